"""The local coturn: its configuration, and the real program on loopback."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

from backend.ice.coturn import Coturn, CoturnConfiguration, coturn_configuration, find_coturn, free_port
from backend.ice.credentials import turn_credentials
from backend.ice.interfaces import RelayNetwork
from backend.settings import TlsFiles
from tests.unit.waiting import until

ROOT = str(Path(__file__).resolve().parents[4])
LOOPBACK = RelayNetwork(("127.0.0.1",), ("127.0.0.1",), ("127.0.0.1",), is_loopback=True)
LAN = RelayNetwork(
    ("127.0.0.1", "192.168.1.7"), ("192.168.1.7",), ("192.168.1.7", "192.168.1.0-192.168.1.255"), is_loopback=False
)
TLS = TlsFiles(certificate=Path("cert.pem"), key=Path("key.pem"))


def configuration(network: RelayNetwork, *, tls: TlsFiles | None = None) -> CoturnConfiguration:
    return CoturnConfiguration(
        program="turnserver", network=network, port=3478, tls_port=5349 if tls else None, tls=tls, secret="s3cret"
    )


def test_the_configuration_denies_all_and_then_allows_little() -> None:
    lines = configuration(LAN).text().splitlines()
    assert [line for line in lines if "peer" in line] == [
        "no-multicast-peers",
        "denied-peer-ip=0.0.0.0-255.255.255.255",
        "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "allowed-peer-ip=192.168.1.7",
        "allowed-peer-ip=192.168.1.0-192.168.1.255",
    ]
    assert {"no-cli", "no-tcp-relay", "no-tls", "no-dtls", "fingerprint", "use-auth-secret"} <= set(lines)


def test_loopback_peers_are_for_loopback_only() -> None:
    assert "allow-loopback-peers" in configuration(LOOPBACK).text().splitlines()
    assert "allow-loopback-peers" not in configuration(LAN).text().splitlines()


def test_tls_uses_the_certificate_of_the_server() -> None:
    lines = configuration(LAN, tls=TLS).text().splitlines()
    assert f"cert={Path('cert.pem').absolute()}" in lines
    assert f"pkey={Path('key.pem').absolute()}" in lines
    assert "tls-listening-port=5349" in lines
    assert "no-tls" not in lines


def test_the_secret_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(configuration(LAN))


@pytest.mark.parametrize(
    ("network", "host", "name"),
    [
        (LOOPBACK, "127.0.0.1:8080", "127.0.0.1"),
        (LOOPBACK, "localhost:8080", "127.0.0.1"),
        (LAN, "localhost:8080", "127.0.0.1"),
        (LAN, "192.168.1.7:8080", "192.168.1.7"),
        (LAN, "console.lan", "console.lan"),
        (LAN, "[fd00::7]:8080", "[fd00::7]"),
        (RelayNetwork(("::1",), ("::1",), ("::1",), is_loopback=True), "localhost", "[::1]"),
    ],
)
def test_the_urls_have_the_name_by_which_the_caller_came(network: RelayNetwork, host: str, name: str) -> None:
    stun, turn = configuration(network, tls=TLS).servers(host)
    assert stun.urls == (f"stun:{name}:3478",)
    assert turn.urls == (
        f"turn:{name}:3478?transport=udp",
        f"turn:{name}:3478?transport=tcp",
        f"turns:{name}:5349?transport=tcp",
    )
    assert turn.secret == "s3cret"


def test_without_tls_there_is_no_tls_url() -> None:
    assert len(configuration(LAN).servers("192.168.1.7")[1].urls) == 2


@pytest.mark.parametrize(("network", "host"), [(LOOPBACK, "console.example"), (LAN, "a b"), (LAN, ""), (LAN, "_")])
def test_a_caller_who_cannot_reach_it_gets_none(network: RelayNetwork, host: str) -> None:
    assert configuration(network).servers(host) == ()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_not_taken(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.77.0.1", 0))  # where no other test takes the port in the meantime
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        assert free_port(["127.77.0.1"], preferred=port) not in (0, port)
    assert free_port(["127.77.0.1"], preferred=port) == port


def test_a_port_that_another_server_was_given_is_not_taken_before_its_coturn_opened_it() -> None:
    """Since coturn shares ports, two servers that started together both served 3478, each with its own secret."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = f"from backend.ice.coturn import free_port; print(free_port(['127.0.0.1'], preferred={port}), flush=True)"
    command = [sys.executable, "-c", f"{program}; input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert int(other.stdout.readline()) == port
        assert free_port(["127.0.0.1"], preferred=port) != port
        other.communicate("\n")
    assert free_port(["127.0.0.1"], preferred=port) == port


def real(tls: TlsFiles | None = None) -> CoturnConfiguration:
    program = find_coturn()
    assert program, "these tests need coturn: make setup-test"
    return coturn_configuration(program, network=LOOPBACK, tls=tls)


async def relay(turn: CoturnConfiguration, *arguments: str, secret: str = "") -> tuple[int | None, str]:
    """Send two messages through `turn` with coturn's own client; return its exit code and what it said."""
    credentials = turn_credentials(secret or turn.secret, name="demo", expires=int(time.time()) + 60)
    process = await asyncio.create_subprocess_exec(
        "turnutils_uclient", "-u", credentials.username, "-w", credentials.credential,
        "-p", str(turn.port),
        "-n", "2", "-m", "1", "-c", "-X", *arguments, "127.0.0.1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, output.decode()


def read(path: str) -> str:
    return Path(path).read_bytes().decode()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_what_is_allowed_is_relayed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ice_console.coturn")
    turn = real()
    async with Coturn(turn).running() as coturn:
        assert coturn.ready.is_set()
        for code, output in await asyncio.gather(relay(turn, "-y"), relay(turn, "-y", "-t")):
            assert code == 0, output
            assert "Total lost packets 0" in output
    assert re.search(r"user <\d+:demo>: incoming packet ALLOCATE processed, success", caplog.text)
    assert turn.secret not in caplog.text


async def test_tls_is_served_with_the_certificate_of_the_server(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = TlsFiles(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    turn = real(files)
    async with Coturn(turn).running():
        reader, writer = await asyncio.open_connection("127.0.0.1", turn.tls_port, ssl=context)
        writer.write(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"transaction!")
        answer = await asyncio.wait_for(reader.readexactly(20), 30)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # coturn ends TLS without a goodbye
            await writer.wait_closed()
    assert answer[:2] == b"\x01\x01"  # Binding success response (RFC 8489, section 5)
    assert answer[8:] == b"transaction!"


async def test_what_is_not_allowed_is_refused() -> None:
    turn = real()
    async with Coturn(turn).running():
        for peer in ("127.0.0.2", "192.0.2.99", "10.0.0.1"):
            code, output = await relay(turn, "-e", peer)
            assert code != 0
            assert "403 (Forbidden IP)" in output


async def test_another_secret_is_refused() -> None:
    turn = real()
    async with Coturn(turn).running():
        code, output = await relay(turn, "-y", secret="another")
        assert code != 0
        assert "Cannot complete Allocation" in output


async def test_the_secret_is_in_no_argument_list_and_no_file() -> None:
    turn = real()
    async with Coturn(turn).running() as coturn:
        assert coturn.pid
        for name in ("cmdline", "environ"):
            assert turn.secret not in read(f"/proc/{coturn.pid}/{name}")
        assert "turnserver" in read(f"/proc/{coturn.pid}/cmdline")


async def test_it_is_started_again_when_it_dies_and_stopped_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ice_console.coturn")
    async with Coturn(real()).running() as coturn:
        first = coturn.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: coturn.pid not in (first, None) and coturn.ready.is_set())
        second = coturn.pid
        assert second
    assert not is_alive(second)
    assert "! coturn ended with code -9; starting it again in" in caplog.text
    assert coturn.pid is None


async def test_the_delay_grows_when_it_cannot_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "ice_console.coturn")
    broken = CoturnConfiguration(program="false", network=LOOPBACK, port=1, tls_port=None, tls=None, secret="s")
    supervisor = asyncio.create_task(Coturn(broken)._supervise())
    await until(lambda: len(caplog.records) >= 3)
    supervisor.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await supervisor
    delays = [float(text) for text in re.findall(r"again in ([\d.]+) s", caplog.text)]
    assert delays[:3] == [0.25, 0.5, 1.0]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "run.py"
    path.write_text(
        "import asyncio\n"
        "from backend.ice.coturn import Coturn, coturn_configuration, find_coturn\n"
        "from backend.ice.interfaces import RelayNetwork\n"
        "async def main():\n"
        "    network = RelayNetwork(('127.0.0.1',), ('127.0.0.1',), (), is_loopback=True)\n"
        "    async with Coturn(coturn_configuration(find_coturn(), network=network, tls=None)).running() as coturn:\n"
        "        print(coturn.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n",
        encoding="utf-8",
    )
    return path


async def test_it_dies_with_a_server_that_is_killed(script: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": ROOT}
    )
    assert server.stdout
    pid = int(await asyncio.wait_for(server.stdout.readline(), 30))
    assert is_alive(pid)
    server.kill()
    await server.communicate()
    await until(lambda: not is_alive(pid))
