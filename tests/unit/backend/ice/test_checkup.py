"""`server.py check`: a row for each provider and each URL, and who must act, also with a real coturn."""

import asyncio
import json
import re
import time
from dataclasses import fields
from pathlib import Path

import pytest
import trustme
from aioice.turn import TurnClientUdpProtocol

from backend.ice.checkup import checkup, table
from backend.ice.coturn import Coturn, CoturnConfiguration, coturn_configuration, find_coturn
from backend.ice.credentials import TurnCredentials, turn_credentials
from backend.ice.health import Check
from backend.ice.ice_servers import read_ice_servers
from backend.ice.interfaces import RelayNetwork
from backend.ice.watch import MOST_URLS
from backend.settings import TlsFiles
from server import main

LOOPBACK = RelayNetwork(("127.0.0.1",), ("127.0.0.1",), ("127.0.0.1",), is_loopback=True)
QUOTA = 4
"""Relays for a user: a check asks for three at a time."""


@pytest.fixture
def _servers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(url: str, *_: object, **__: object) -> Check:
        return Check("no answer") if "dead" in url else Check(seconds=0.0123)

    monkeypatch.setattr("backend.ice.watch.check", check)


def write(folder: Path, *hosts: str, file: bool = True) -> Path:
    provided = folder / "rtc.json"
    if file:
        provided.write_text(json.dumps([{"urls": "turn:provided.example", "username": "u", "credential": "c"}]))
    path = folder / "ice.toml"
    entries = "".join(f'[[server]]\nurls = ["turn:{host}.example"]\nsecret = "s"\n' for host in hosts)
    path.write_text(f'{entries}[[provider]]\nkind = "file"\npath = "rtc.json"\n')
    return path


@pytest.mark.usefixtures("_servers")
async def test_a_row_for_each(tmp_path: Path) -> None:
    rows, dead = await checkup(read_ice_servers(write(tmp_path, "one", "dead"))), "dead.example"
    assert table(rows) == [
        "well      provider file",
        "well      turn:one.example       12 ms",
        "not well  turn:dead.example      no answer",
        "well      turn:provided.example  12 ms",
        "",
        f"> Your network's administrator and whoever runs {dead}: open UDP 3478 to {dead}, and check that it runs.",
    ]


@pytest.mark.usefixtures("_servers")
async def test_a_url_that_stands_there_twice_is_asked_with_the_credentials_of_each(tmp_path: Path) -> None:
    rows = await checkup(read_ice_servers(write(tmp_path, "provided")))
    assert [row.what for row in rows] == ["provider file", "turn:provided.example", "turn:provided.example"]


@pytest.mark.usefixtures("_servers")
async def test_all_urls_of_an_entry_are_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    urls = [f"turn:{number}.example" for number in range(MOST_URLS)]
    path = tmp_path / "ice.toml"
    path.write_text(f'[[server]]\nurls = {json.dumps([*urls, "turn:dead.example"])}\nsecret = "s"\n')
    rows = await checkup(read_ice_servers(path))
    assert [row.what for row in rows] == [*urls, "turn:dead.example"]
    assert rows[-1].problem == "no answer"
    assert "never checked" not in caplog.text


async def test_refused_credentials_are_the_affair_of_who_issued_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(*_: object, **__: object) -> Check:
        return Check("401: the credentials are refused")

    monkeypatch.setattr("backend.ice.watch.check", check)
    _, ours, theirs = await checkup(read_ice_servers(write(tmp_path, "one")))
    assert ours.advice.startswith("you: compare the secret")
    assert theirs.advice == "you: compare the keys of provider file with those in your account there; or ask them"


@pytest.mark.usefixtures("_servers")
async def test_a_provider_that_does_not_answer(tmp_path: Path) -> None:
    path = write(tmp_path, "one", file=False)
    rows = await checkup(read_ice_servers(path))
    assert rows[0].problem == f"{tmp_path / 'rtc.json'}: cannot be read: No such file or directory"
    assert rows[0].advice == "you: correct the entry of provider file in the configuration, or ask them"


@pytest.mark.usefixtures("_servers")
def test_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(write(tmp_path, "one"))]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "well      turn:one.example       12 ms"
    assert main(["--config", str(write(tmp_path, "dead")), "check"]) == 1
    assert main(["--turn", "off", "check"]) == 2
    assert main(["check", "--config", str(tmp_path / "nowhere.toml")]) == 2


def test_the_local_coturn_is_asked_where_pages_would_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.ice.checking.TIMEOUT", 60.0)
    issued = trustme.CA().issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    tls = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    assert main([*tls, "check"]) == 0
    said = capsys.readouterr()
    assert re.fullmatch(
        r"well +stun:127\.0\.0\.1:\d+ +\d+ ms\n" + r"well +turn:127\.0\.0\.1:\d+\?transport=(?:ud|tc)p +\d+ ms\n" * 2,
        said.out,
    )
    assert "TLS of the local coturn is not asked: give --turn-host NAME" in said.err
    assert main([*tls, "--turn-host", "127.0.0.1", "check"]) == 1
    assert re.search(r"not well  turns:\S+  its certificate is not trusted here", capsys.readouterr().out)


def test_without_coturn_it_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("checkup", "local_turn"):
        monkeypatch.setattr(f"backend.ice.{module}.find_coturn", lambda: None)
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("not well  the local coturn  coturn is not installed")
    assert said.endswith("> You: install coturn, or name a TURN server in --config.\n")


class _WithQuota(CoturnConfiguration):
    """A coturn that gives each user four relays."""

    def text(self) -> str:
        return super().text().replace("user-quota=100", f"user-quota={QUOTA}")


async def relay_of(port: int, username: str, credential: str) -> TurnClientUdpProtocol:
    """Return a client that holds a relay."""
    address = ("127.0.0.1", port)
    _, client = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: TurnClientUdpProtocol(address, username, credential, 600, 600), remote_addr=address
    )
    await client.connect()
    return client


def fixed(credentials: TurnCredentials) -> str:
    """Return the lines of a `[[server]]` with these."""
    return f'username = "{credentials.username}"\ncredential = "{credentials.credential}"'


async def asked(capsys: pytest.CaptureFixture[str], path: Path, *tables: str) -> tuple[int, list[list[str]], list[str]]:
    """Return the exit code of `server.py check`, the rows of its table, and its advice."""

    def ask() -> int:
        path.write_text("".join(f"[[server]]\n{table}\n" for table in tables))
        return main(["check", "--config", str(path)])

    code = await asyncio.to_thread(ask)
    rows, _, advice = capsys.readouterr().out.partition("\n\n")
    return code, [re.split(r" {2,}", row) for row in rows.splitlines()], advice.splitlines()


async def test_a_real_coturn_is_asked_in_all_ways(
    tmp_path: Path, unused_tcp_port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.ice.checking.TIMEOUT", 60.0)
    authority, program = trustme.CA(), find_coturn()
    assert program
    files = TlsFiles(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    found = coturn_configuration(program, network=LOOPBACK, tls=files)
    turn = _WithQuota(**{field.name: getattr(found, field.name) for field in fields(found)})
    path = tmp_path / "ice.toml"
    stun = f"stun:127.0.0.1:{turn.port}"
    udp, tcp = (f"turn:127.0.0.1:{turn.port}?transport={transport}" for transport in ("udp", "tcp"))
    tls = f"turns:127.0.0.1:{turn.tls_port}?transport=tcp"
    relays, secret = f"urls = {[udp, tcp, tls]}", f'secret = "{turn.secret}"'
    async with Coturn(turn).running() as coturn:
        async with asyncio.timeout(60):
            await coturn.ready.wait()

        code, rows, advice = await asked(capsys, path, f"{relays}\n{secret}")
        assert (code, [row[0] for row in rows]) == (1, ["well", "well", "not well"])
        assert rows[2][2].startswith("its certificate is not trusted here: ")
        assert advice == [
            "> Whoever runs 127.0.0.1: use a certificate for 127.0.0.1 that browsers trust, and send its whole chain."
        ]

        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        code, rows, advice = await asked(capsys, path, f"urls = ['{stun}']", f"{relays}\n{secret}")
        assert (code, [row[:2] for row in rows], advice) == (0, [["well", url] for url in (stun, udp, tcp, tls)], [])
        assert all(re.fullmatch(r"\d+ ms", row[2]) for row in rows)

        old = turn_credentials(turn.secret, name="old", expires=int(time.time()) - 60)
        for credentials, problem, told in (
            ('secret = "another"', "the credentials are refused", "compare the secret"),
            (fixed(old), "the credentials have expired", "put new credentials"),
        ):
            code, rows, advice = await asked(capsys, path, f"{relays}\n{credentials}")
            assert (code, rows) == (1, [["not well", url, f"401: {problem}"] for url in (udp, tcp, tls)])
            assert [line.startswith(f"> You: {told}") for line in advice] == [True]

        dead = f"turn:127.0.0.1:{unused_tcp_port}?transport=tcp"
        other_name = tls.replace("127.0.0.1", "localhost")
        code, rows, advice = await asked(capsys, path, f"urls = {[dead, other_name]}\n{secret}")
        assert (code, rows[1]) == (1, ["not well", other_name, "its certificate is not valid for its name"])
        assert rows[0][2].startswith("it cannot be reached: ")
        assert f"TCP {unused_tcp_port} of 127.0.0.1" in advice[0]
        assert "get a certificate for localhost" in advice[1]

        busy = turn_credentials(turn.secret, name="busy", expires=int(time.time()) + 600)
        held = [await relay_of(turn.port, busy.username, busy.credential) for _ in range(QUOTA)]
        code, rows, advice = await asked(capsys, path, f"{relays}\n{fixed(busy)}")
        assert (code, rows) == (
            1,
            [["not well", url, "486: its quota for this user is used up"] for url in (udp, tcp, tls)],
        )
        assert advice[0].startswith("> Whoever runs 127.0.0.1: raise the quota of 127.0.0.1 for a user")
        await asyncio.gather(*(relay.delete() for relay in held))


def test_a_udp_port_where_nothing_listens(
    tmp_path: Path, unused_udp_port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.ice.checking.TIMEOUT", 0.1)
    monkeypatch.setattr("backend.ice.checking._REFUSED_WITHIN", 60.0)
    path = tmp_path / "ice.toml"
    path.write_text(f'[[server]]\nurls = ["turn:127.0.0.1:{unused_udp_port}"]\nsecret = "s"\n')
    assert main(["check", "--config", str(path)]) == 1
    assert "it cannot be reached: nothing listens on that port" in capsys.readouterr().out
