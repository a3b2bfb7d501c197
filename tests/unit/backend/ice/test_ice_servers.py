"""The ICE configuration file: what is taken, and the one line for each thing that is not."""

from pathlib import Path

import pytest

from backend.ice.ice_servers import ConfiguredIce, ConfiguredServer, read_ice_servers
from backend.settings import StartError

SECRET = "a-secret-that-must-not-show"


def read(folder: Path, text: str, environ: dict[str, str] | None = None) -> ConfiguredIce:
    path = folder / "ice.toml"
    path.write_text(text, encoding="utf-8")
    return read_ice_servers(path, environ=environ or {})


def test_the_example_of_the_design(tmp_path: Path) -> None:
    (tmp_path / "turn.secret").write_text(f"{SECRET}\n", encoding="utf-8")
    ice = read(
        tmp_path,
        """
standby = true
hold = 45
relay_video = 800

[[server]]
urls = ["stun:stun.example.org:3478"]

[[server]]
name = "turn-eu"
urls = ["turn:turn1.example.org:3478?transport=udp", "turns:turn1.example.org:443?transport=tcp"]
secret_file = "turn.secret"
ttl = 600

[[server]]
urls = ["turn:turn2.example.org:3478"]
username = "user"
credential = "word"

[[server]]
urls = ["turn:turn3.example.org:3478"]
secret_env = "TURN_SECRET"
""",
        {"TURN_SECRET": "from-the-environment"},
    )
    servers = ice.servers
    assert ice.standby
    assert ice.hold == 45
    assert ice.relay_video == 800
    assert servers == (
        ConfiguredServer(urls=("stun:stun.example.org:3478",)),
        ConfiguredServer(
            name="turn-eu",
            urls=("turn:turn1.example.org:3478?transport=udp", "turns:turn1.example.org:443?transport=tcp"),
            secret=SECRET,
            ttl=600,
        ),
        ConfiguredServer(urls=("turn:turn2.example.org:3478",), username="user", credential="word"),
        ConfiguredServer(urls=("turn:turn3.example.org:3478",), secret="from-the-environment", ttl=3600),
    )
    assert [server.is_turn for server in servers] == [False, True, True, True]
    assert SECRET not in repr(ice)
    assert "word" not in repr(ice)


def test_an_empty_file_has_no_servers_and_no_standby(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ConfiguredIce(servers=(), standby=False, hold=None)


TURN = 'urls = ["turn:t.example:3478"]\n'
STUN = 'urls = ["stun:s.example"]\n'
HIDDEN = f'secret = "{SECRET}"\n'
FIXED = f'username = "u"\ncredential = "{SECRET}"\n'


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ('urls = "stun:s.example"', "urls: must be a list of texts"),
        ("urls = [1]", "urls: must be a list of texts"),
        ("urls = []", "urls: is empty"),
        ("", "urls: is missing"),
        (STUN + 'nmae = "x"', "unknown key 'nmae'"),
        (STUN + "standby = true", "standby: must stand before the first [[server]]"),
        (STUN + "hold = 5", "hold: must stand before the first [[server]]"),
        (STUN + "name = 1", "name: must be text"),
        ('urls = ["http://s.example"]', "is not a stun:, turn: or turns: URI"),
        ('urls = ["stun:"]', "is not a stun:, turn: or turns: URI"),
        ('urls = ["turn:t.example:0"]\n' + HIDDEN, "the port must be from 1 to 65535"),
        ('urls = ["turn:2001:db8::1:3478"]\n' + HIDDEN, "an IPv6 address stands in brackets"),
        ('urls = ["stun:s.example?transport=sctp"]', "a stun: URI has no transport"),
        ('urls = ["stun:s.example", "turn:t.example"]', "a TURN server needs credentials"),
        ('urls = ["turn:t.example?transport=sctp"]\n' + HIDDEN, "the transport must be"),
        (STUN + HIDDEN, "secret: a STUN server takes no credentials"),
        (STUN + FIXED, "username: a STUN server takes no credentials"),
        (STUN + "ttl = 5", "ttl: a STUN server takes no credentials"),
        (TURN, "a TURN server needs credentials"),
        (TURN + "ttl = 5", "a TURN server needs credentials"),
        (TURN + HIDDEN + 'secret_env = "X"', "secret and secret_env: give one of them"),
        (TURN + HIDDEN + FIXED, "secret and username: give a shared secret, or username and credential"),
        (TURN + HIDDEN + "ttl = 0", "ttl: must be from 1 second"),
        (TURN + HIDDEN + "ttl = -5", "ttl: must be from 1 second"),
        (TURN + HIDDEN + "ttl = 1.5", "ttl: must be a whole number"),
        (TURN + HIDDEN + "ttl = true", "ttl: must be a whole number"),
        (TURN + FIXED + "ttl = 5", "ttl: is for a shared secret"),
        (TURN + 'username = "u"', "username without credential"),
        (TURN + f'credential = "{SECRET}"', "credential without username"),
        (TURN + f'username = ""\ncredential = "{SECRET}"', "username: is empty"),
        (TURN + 'username = "u"\ncredential = ""', "credential: is empty"),
        (TURN + 'username = "u"\ncredential = 5', "credential: must be text"),
        (TURN + 'secret = " "', "secret: is empty"),
        (TURN + "secret = 5", "secret: must be text"),
        (TURN + 'secret_env = "MISSING"', "secret_env: the environment has no variable 'MISSING'"),
        (TURN + 'secret_env = "EMPTY"', "secret_env: the environment variable 'EMPTY' is empty"),
        (TURN + 'secret_env = ""', "secret_env: is empty"),
        (TURN + 'secret_file = "missing"', "missing: cannot be read: No such file"),
        (TURN + 'secret_file = "empty"', "empty: is empty"),
        (TURN + 'secret_file = "binary"', "binary: is not UTF-8 text"),
    ],
)
def test_each_error_is_one_line_that_names_file_entry_and_rule(tmp_path: Path, table: str, rule: str) -> None:
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(StartError) as raised:
        read(tmp_path, f'[[server]]\nurls = ["stun:first.example"]\n[[server]]\n{table}', {"EMPTY": " "})
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'ice.toml'}: [[server]] 2: ")
    assert rule in message
    assert SECRET not in message
    assert "\n" not in message


def test_lists_as_people_paste_them(tmp_path: Path) -> None:
    ice = read(
        tmp_path,
        """
[[server]]
name = "pasted"
urls = [
  "stun:turn.example.org:3478?transport=udp", " stun:turn.example.org:3479 ", "stun:turn.example.org?transport=tcp",
  "TURN:turn.example.org:3478?transport=UDP", "turn:turn.example.org:53", "turn:TURN.example.org",
  "turns:turn.example.org:443?transport=udp", "turns:turn.example.org", "stuns:turn.example.org",
  "turn:[2001:DB8:0::1]:3478?transport=tcp",
]
username = "user"
credential = "word"
""",
    )
    stun, turn = ice.servers
    assert stun == ConfiguredServer(name="pasted", urls=("stun:turn.example.org:3478", "stun:turn.example.org:3479"))
    assert turn.urls == (
        "turn:turn.example.org:3478?transport=udp",
        "turns:turn.example.org",
        "turn:[2001:DB8:0::1]:3478?transport=tcp",
    )
    assert (turn.name, turn.username, turn.credential) == ("pasted", "user", "word")
    assert [(one.url, one.why.partition(";")[0]) for one in ice.left_out] == [
        ("stun:turn.example.org?transport=tcp", "no browser speaks STUN over TCP"),
        ("turn:turn.example.org:53", "browsers refuse port 53, for STUN and TURN alike"),
        ("turn:TURN.example.org", "it is the same as 'turn:turn.example.org:3478?transport=udp'"),
        ("turns:turn.example.org:443?transport=udp", "no browser speaks TURN over DTLS"),
        ("stuns:turn.example.org", "no browser speaks STUN over TLS"),
    ]


def test_an_entry_of_no_use_does_not_end_the_start(tmp_path: Path) -> None:
    ice = read(tmp_path, f'[[server]]\nurls = ["stun:s.example", "turn:t.example:53"]\n{HIDDEN}')
    assert ice.servers == (ConfiguredServer(urls=("stun:s.example",)),)
    assert [one.url for one in ice.left_out] == ["turn:t.example:53"]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = (
        'standby = 1\nnmae = "x"\n[limits]\nsessions_per_address = 0\n'
        '[[server]]\nurls = ["http://s", "turn:t.example:0"]\n'
        f'[[server]]\nname = 5\nurls = ["turn:t.example"]\n{HIDDEN}ttl = 0\n'
    )
    with pytest.raises(StartError) as raised:
        read(tmp_path, text)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{tmp_path / 'ice.toml'}: ") for line in lines)
    for rule in (
        "unknown key 'nmae'",
        "standby:",
        "[limits] sessions_per_address: ",
        "'http://s'",
        "turn:t.example:0",
        "name: ",
        "ttl: ",
    ):
        assert sum(rule in line for line in lines) == 1, rule
    assert len(lines) == 7
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "it names no server"),
        ("5", "it must be a list of servers"),
        ('{"servers": []}', "it names no server"),
        (f'[{{"urls": "turn:t.example", "credential": "{SECRET}"}}]', "without a user name and a credential"),
    ],
)
def test_errors_of_a_json_file(tmp_path: Path, text: str, rule: str) -> None:
    path = tmp_path / "ice.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StartError) as raised:
        read_ice_servers(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert rule in str(raised.value)
    assert SECRET not in str(raised.value)


def test_the_entry_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r'\[\[server\]\] 1 "turn-eu": a TURN server needs'):
        read(tmp_path, '[[server]]\nname = "turn-eu"\n' + TURN)


def test_a_url_stands_in_one_entry_only(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"\[\[server\]\] 2: urls: .* stands in \[\[server\]\] 1 already"):
        read(tmp_path, f"[[server]]\n{STUN}[[server]]\n{STUN}")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[[server]\n", "is not TOML"),
        ("servers = []", "unknown key 'servers'"),
        ("standby = 1", "standby: must be true or false"),
        ('standby = "yes"', "standby: must be true or false"),
        ("standby = []", "standby: must be true or false"),
        ('[access]\nmetrics = ["here"]', "[access] metrics: 'here' is no address and no network"),
        ("[access]\nmetrics = 5", "[access] metrics: must be a list of texts"),
        ("checks = 1", "checks: must be true or false"),
        ("hold = true", "hold: must be seconds, from 1 to 3600"),
        ("hold = 0", "hold: must be seconds, from 1 to 3600"),
        ("hold = 3601", "hold: must be seconds, from 1 to 3600"),
        ("relay_video = 49", "relay_video: must be a whole number of kbit/s, from 50 to 100000"),
        ("relay_video = true", "relay_video: must be a whole number of kbit/s, from 50 to 100000"),
        ("hold = nan", "hold: must be seconds, from 1 to 3600"),
        ("server = 5", "must be written as [[server]]"),
        ("server = [5]", "must be written as [[server]]"),
        ('[server]\nurls = ["stun:s.example"]', "must be written as [[server]]"),
        (f'[[server]]\nsecret = "{SECRET}\n', "is not TOML"),
    ],
)
def test_errors_of_the_whole_file(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(StartError) as raised:
        read(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'ice.toml'}: ")
    assert rule in message
    assert SECRET not in message
    assert "\n" not in message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"nowhere\.toml: cannot be read: No such file"):
        read_ice_servers(tmp_path / "nowhere.toml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "ice.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StartError, match="is not UTF-8 text"):
        read_ice_servers(tmp_path / "ice.toml")


TEXT = '[[server]]\nurls = ["turn:t.example"]\nsecret_file = "turn.secret"\n'


@pytest.mark.parametrize(
    ("encoded", "rule"),
    [
        (TEXT.encode(), ""),
        (TEXT.encode("utf-8-sig"), ""),
        (TEXT.replace("\n", "\r\n").encode(), ""),
        (TEXT.replace("\n", "\r").encode(), ""),
        (TEXT.rstrip("\n").encode(), ""),
        (TEXT.replace(" = ", "\t=\t").replace("urls", "\turls").replace("\n", "\t\n").encode(), ""),
        (TEXT.encode("utf-16"), "is not UTF-8 text"),
        (TEXT.encode("utf-16-le"), "is not UTF-8 text"),
        ((TEXT + "# für\n").encode("latin-1"), "is not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "is not TOML: "),
    ],
)
def test_the_file_is_read_as_editors_on_any_system_write_it(tmp_path: Path, encoded: bytes, rule: str) -> None:
    (tmp_path / "turn.secret").write_text(SECRET)
    path = tmp_path / "ice.toml"
    path.write_bytes(encoded)
    if not rule:
        assert read_ice_servers(path).servers[0].secret == SECRET
        return
    with pytest.raises(StartError, match=f"^{path}: {rule}") as raised:
        read_ice_servers(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("encoded", "rule"),
    [
        (f"{SECRET}\n\n".encode(), ""),
        (f"  {SECRET} \r\n".encode("utf-8-sig"), ""),
        (SECRET.encode("utf-16"), "is not UTF-8 text"),
        (SECRET.encode("utf-16-le"), "must be one line of text in UTF-8"),
        (f"{SECRET}ä".encode("latin-1"), "is not UTF-8 text"),
        (f"{SECRET}\n{SECRET}\n".encode(), "must be one line of text in UTF-8"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
    ],
)
def test_a_secret_file_is_too_and_no_wrong_secret_is_taken_in_silence(
    tmp_path: Path, encoded: bytes, rule: str
) -> None:
    (tmp_path / "turn.secret").write_bytes(encoded)
    if not rule:
        assert read(tmp_path, TEXT).servers[0].secret == SECRET
        return
    with pytest.raises(
        StartError, match=rf"ice\.toml: \[\[server\]\] 1: secret_file: .*turn\.secret: {rule}"
    ) as raised:
        read(tmp_path, TEXT)
    assert SECRET not in str(raised.value)


def test_other_secrets_are_one_line_too(tmp_path: Path) -> None:
    for line, environ in (
        ('secret_env = "TURN"', {"TURN": "two\nlines"}),
        ('secret = "two\\nlines"', {}),
        ('secret_file = "a\\u0000b"', {}),
    ):
        with pytest.raises(StartError, match=r"must be one line of text|is no path"):
            read(tmp_path, TEXT.replace('secret_file = "turn.secret"', line), environ)
    assert read(tmp_path, TEXT.replace('secret_file = "turn.secret"', 'secret_env = "TURN"'), {"TURN": "one\n"})
