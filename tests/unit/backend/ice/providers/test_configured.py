"""`[[provider]]`: what is taken, and the one line for each thing that is not."""

from pathlib import Path

import pytest

from backend.ice.ice_servers import ConfiguredIce, read_ice_servers
from backend.ice.providers.configured import ConfiguredProvider
from backend.settings import StartError

SECRET = "a-secret-that-must-not-show"


def read(folder: Path, text: str) -> ConfiguredIce:
    path = folder / "ice.toml"
    path.write_text(text, encoding="utf-8")
    return read_ice_servers(path, environ={"SECRET": SECRET, "EMPTY": " ", "LINES": "a\nb"})


def test_each_kind(tmp_path: Path) -> None:
    (tmp_path / "turn.secret").write_text(f"{SECRET}\n", encoding="utf-8")
    ice = read(
        tmp_path,
        """
[[provider]]
kind = "cloudflare"
key_id = "0123abc"
token_env = "SECRET"

[[provider]]
kind = "twilio"
name = "second"
account_sid = "AC0123"
token_file = "turn.secret"
ttl = 3600

[[provider]]
kind = "metered"
app = "mine.metered.live"
key_env = "SECRET"
region = "europe"

[[provider]]
kind = "xirsys"
channel = "console"
ident = "me"
secret_env = "SECRET"
timeout = 5

[[provider]]
kind = "turn-rest"
url = "https://turn.example.org/credentials"

[[provider]]
kind = "http"
url = "http://127.0.0.1:8000/ice"
token_env = "SECRET"

[[provider]]
kind = "file"
path = "rtc.json"

[[server]]
urls = ["stun:stun.example.org"]
""",
    )
    cloudflare, twilio, metered, xirsys, rest, http, file = ice.providers
    assert cloudflare == ConfiguredProvider(
        kind="cloudflare",
        name="cloudflare",
        ttl=86400,
        url="https://rtc.live.cloudflare.com",
        values={"key_id": "0123abc"},
        secret=SECRET,
    )
    assert (twilio.name, twilio.ttl, twilio.secret) == ("second", 3600, SECRET)
    assert (metered.url, metered.values["region"]) == ("https://mine.metered.live", "europe")
    assert (xirsys.timeout, xirsys.values["ident"]) == (5, "me")
    assert (rest.url, rest.secret) == ("https://turn.example.org/credentials", "")
    assert (http.url, http.ttl) == ("http://127.0.0.1:8000/ice", 3600)
    assert file.path == tmp_path / "rtc.json"
    assert ice.providers_first
    assert SECRET not in repr(ice)


def test_the_order_of_the_file_is_that_of_the_chain(tmp_path: Path) -> None:
    file = '[[provider]]\nkind = "file"\npath = "x"\n'
    assert not read(tmp_path, f'[[server]]\nurls = ["stun:s"]\n{file}').providers_first
    assert read(tmp_path, f'{file}[[server]]\nurls = ["stun:s"]\n').providers_first


CLOUDFLARE = 'kind = "cloudflare"\nkey_id = "k"\n'
HTTP = 'kind = "http"\n'


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("", "kind: is missing; known are cloudflare, twilio"),
        ('kind = "cloudflair"', "kind: 'cloudflair' is not known; known are cloudflare, twilio"),
        ("kind = 1", "kind: must be text"),
        (CLOUDFLARE, "token_env or token_file: is missing"),
        (CLOUDFLARE + f'token = "{SECRET}"', "token: give token_env or token_file"),
        (CLOUDFLARE + 'token_env = "MISSING"', "token_env: the environment has no variable 'MISSING'"),
        (CLOUDFLARE + 'token_env = "EMPTY"', "token_env: the environment variable 'EMPTY' is empty"),
        (CLOUDFLARE + 'token_env = "LINES"', "token_env: LINES: must be one line of text"),
        (CLOUDFLARE + 'token_file = "missing"', "missing: cannot be read: No such file"),
        (CLOUDFLARE + 'token_env = "SECRET"\ntoken_file = "x"', "token_env and token_file: give one of them"),
        (CLOUDFLARE + 'token_env = "SECRET"\nttl = 172801', "ttl: must be from 1 second to 172800 seconds"),
        (CLOUDFLARE + 'token_env = "SECRET"\ntimeout = 0', "timeout: must be from 1 second to 60 seconds"),
        (CLOUDFLARE + 'token_env = "SECRET"\nregion = "x"', "unknown key 'region'; known are kind, name"),
        (CLOUDFLARE + 'token_env = "SECRET"\nhold = 5', "hold: must stand before the first [[server]]"),
        ('kind = "cloudflare"\nkey_id = "a/b"\ntoken_env = "SECRET"', "key_id: must be letters, digits"),
        ('kind = "cloudflare"\ntoken_env = "SECRET"', "key_id: is missing"),
        (HTTP, "url: is missing"),
        (HTTP + 'url = "turn.example.org"', "url: must be an address such as"),
        (HTTP + 'url = "ftp://turn.example.org"', "url: must be an address such as"),
        (HTTP + 'url = "https://[::1"', "url: must be an address such as"),
        (HTTP + 'url = "https://turn.example.org:x"', "url: must be an address such as"),
        (HTTP + f'url = "https://me:{SECRET}@turn.example.org"', "url: holds a user or a password"),
        (HTTP + 'url = "http://turn.example.org"\ntoken_env = "SECRET"', "url: must be https"),
        (HTTP + 'url = "https://turn.example.org"\nmethod = "PUT"', "method: must be 'GET' or 'POST'"),
        ('kind = "turn-rest"\nurl = "https://t"\nauth = "basic"', "auth: must be 'key' or 'bearer'"),
        ('kind = "file"', "path: is missing"),
        ('kind = "file"\npath = ""', "path: is empty"),
        ('kind = "file"\npath = "x"\nname = 5', "name: must be text"),
        ('name = "first"\nkind = "file"\npath = "x"', "name: 'first' is another provider's"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, table: str, rule: str) -> None:
    with pytest.raises(StartError) as raised:
        read(tmp_path, f'[[provider]]\nname = "first"\nkind = "file"\npath = "x"\n[[provider]]\n{table}')
    [line] = str(raised.value).splitlines()
    assert line.startswith(f"{tmp_path / 'ice.toml'}: [[provider]] 2")
    assert rule in line
    assert SECRET not in line


def test_all_mistakes_come_together(tmp_path: Path) -> None:
    xirsys, unknown, server = 'kind = "xirsys"\nttl = 0', 'kind = "x"', 'urls = ["http://s"]'
    with pytest.raises(StartError) as raised:
        read(tmp_path, f"[[provider]]\n{xirsys}\n[[provider]]\n{unknown}\n[[server]]\n{server}")
    lines = str(raised.value).splitlines()
    rules = ("channel: ", "ident: ", "secret_env or", "ttl: ", "kind: 'x'", "'http://s'")
    assert all(sum(rule in line for line in lines) == 1 for rule in rules)
    assert len(lines) == len(rules)


def test_it_is_a_list_of_tables(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"must be written as \[\[provider\]\]"):
        read(tmp_path, '[provider]\nkind = "file"')
