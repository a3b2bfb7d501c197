"""Servers are asked over real sockets: a real coturn, and what stands where one should be."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from backend.ice.checking import check
from backend.ice.coturn import Coturn, CoturnConfiguration, coturn_configuration, find_coturn
from backend.ice.credentials import turn_credentials
from backend.ice.ice_servers import ConfiguredServer
from backend.ice.interfaces import RelayNetwork
from backend.ice.watch import Watch
from backend.settings import TlsFiles

LOOPBACK = RelayNetwork(("127.0.0.1",), ("127.0.0.1",), ("127.0.0.1",), is_loopback=True)
AUTHORITY = trustme.CA()


@pytest.fixture(autouse=True)
def _on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.ice.checking.TIMEOUT", 60.0)


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.fixture
async def turn(tmp_path: Path) -> AsyncIterator[CoturnConfiguration]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = AUTHORITY.issue_cert("127.0.0.1")
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    program = find_coturn()
    assert program
    configuration = coturn_configuration(program, network=LOOPBACK, tls=TlsFiles(certificate=certificate, key=key))
    async with Coturn(configuration).running() as coturn:
        async with asyncio.timeout(60):
            await coturn.ready.wait()
        yield configuration


def urls(turn: CoturnConfiguration) -> list[str]:
    ways = [f"turn:127.0.0.1:{turn.port}?transport=udp", f"turn:127.0.0.1:{turn.port}?transport=tcp"]
    return [*ways, f"turns:127.0.0.1:{turn.tls_port}?transport=tcp"]


async def test_a_server_that_is_well(turn: CoturnConfiguration, tls: ssl.SSLContext) -> None:
    good = turn_credentials(turn.secret, name="check", expires=int(time.time()) + 300)
    asked = [check(url, good.username, good.credential, tls=tls) for url in urls(turn)]
    all_found = await asyncio.gather(check(f"stun:127.0.0.1:{turn.port}"), *asked)
    for found in all_found:
        assert found.problem == ""
        assert found.seconds is not None
        assert found.seconds > 0
    assert [found.relayed for found in all_found] == ["", *["127.0.0.1"] * len(asked)]


async def test_credentials_that_are_refused(turn: CoturnConfiguration, tls: ssl.SSLContext) -> None:
    bad = turn_credentials("another", name="check", expires=int(time.time()) + 300)
    for url in urls(turn):
        found = await check(url, bad.username, bad.credential, tls=tls)
        assert found.problem == "401: the credentials are refused"


async def test_a_certificate_that_nobody_believes(turn: CoturnConfiguration) -> None:
    found = await check(urls(turn)[2], "u", "c", tls=ssl.create_default_context())
    assert found.problem.startswith("its certificate is not trusted here: ")


@pytest.mark.parametrize(
    ("name", "days", "problem"),
    [("127.0.0.1", -1, "its certificate has expired"), ("127.0.0.2", 1, "its certificate is not valid for its name")],
)
async def test_a_certificate_that_is_not_good(name: str, days: int, problem: str, tls: ssl.SSLContext) -> None:
    issued = AUTHORITY.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await check(f"turns:127.0.0.1:{port}", "u", "c", tls=tls)).problem == problem


async def test_no_tls_where_there_should_be(turn: CoturnConfiguration, tls: ssl.SSLContext) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await check(f"turns:127.0.0.1:{port}", "u", "c", tls=tls)).problem


@pytest.mark.parametrize("scheme", ["stun:", "turn:"])
async def test_nobody_there(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.ice.checking.TIMEOUT", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert (await check(f"{scheme}127.0.0.1:{port}", "u", "c")).problem


async def test_nobody_there_over_tcp(unused_tcp_port: int) -> None:
    found = await check(f"turn:127.0.0.1:{unused_tcp_port}?transport=tcp", "u", "c")
    assert found.problem.startswith("it cannot be reached")


async def test_a_name_that_is_not_known() -> None:
    assert (await check("turn:no-such-host.invalid?transport=tcp", "u", "c")).problem


async def test_what_is_no_answer_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.ice.checking.TIMEOUT", 0.1)

    class Nonsense(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # as above
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.transport.sendto(b"x", addr)
            self.transport.sendto(data, addr)  # a request, not an answer

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Nonsense, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    for url in (f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}"):
        assert (await check(url, "u", "c")).problem == "no answer"
    transport.close()


async def test_the_dead_one_of_two_is_left_out(
    turn: CoturnConfiguration, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    dead = f"turn:127.0.0.1:{unused_tcp_port}?transport=tcp"
    servers = [
        ConfiguredServer(urls=(dead,), secret=turn.secret),
        ConfiguredServer(urls=tuple(urls(turn)[:2]), secret=turn.secret),
    ]
    watch = Watch()
    await watch.round(servers)
    assert watch.well(servers) == servers
    await watch.round(servers)
    assert watch.well(servers) == servers[1:]
    assert f"! {dead} fails for all and is left out: it cannot be reached" in caplog.text
    assert turn.secret not in caplog.text
