"""Files that change while the server runs."""

import asyncio
import datetime as dt
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import trustme

from backend.settings import TlsFiles
from backend.web import reloading
from backend.web.keys import CURRENT, LOCAL_TURN, RELOADER, SIGNALING
from backend.web.server import Serving
from pyapp.protocol.signaling import Join
from pyapp.protocol.wire import encode
from tests.unit.waiting import until

Start = Callable[..., Awaitable[Serving]]
ONE = '[[server]]\nurls = ["turn:one.example"]\nsecret_file = "turn.secret"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "turn.secret").write_text("first", encoding="utf-8")
    path = tmp_path / "ice.toml"
    path.write_text(ONE, encoding="utf-8")
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def replace(path: Path, content: bytes | None) -> None:
    """Write a file in place of the file, or folder, that is there; without content, make a folder."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


def write_pair(folder: Path, *, days: float = 90) -> tuple[TlsFiles, ssl.SSLContext]:
    authority = trustme.CA()
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    issued = authority.issue_cert("127.0.0.1", not_after=until)
    files = TlsFiles(certificate=folder / "cert.pem", key=folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return files, context


async def test_another_configuration_is_in_force_and_sessions_go_on(start: Start, config: Path) -> None:
    server = await start(config=config)
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(server.address + "ws")
        await socket.send_str(encode(Join("demo", "a" * 32, "b" * 32)))
        await socket.receive_str(timeout=30)
        write(config, f"hold = 7\n[limits]\nsockets_per_address = 1\n{ONE.replace('one', 'two')}")
        await server.app[RELOADER].reload()
        async with http.get(server.address + "ice") as response:
            assert (await response.json())["iceServers"][0]["urls"] == ["turn:two.example"]
        async with http.get(server.address + "ws") as response:
            assert response.status == 503, "the new limit"
        assert server.app[SIGNALING]._rooms.hold == 7
        await socket.send_str('{"kind":"ping","number":1}')
        assert "pong" in await socket.receive_str(timeout=30)


@pytest.mark.parametrize(
    "bad",
    [
        b"[[server",
        ONE.encode("utf-16"),
        ONE.replace("turn.secret", r"turn\u0000secret").encode(),
        b"x = " + b"[" * 5000 + b"]" * 5000,
        b"x = " + b"[" * 300 + b"]" * 300,
        b"\xff",
        None,
    ],
)
async def test_after_any_bad_file_the_next_good_one_is_read(
    start: Start, config: Path, caplog: pytest.LogCaptureFixture, bad: bytes | None
) -> None:
    server = await start(config=config)
    before = server.app[CURRENT].configured
    replace(config, bad)
    await server.app[RELOADER].reload()
    assert server.app[CURRENT].configured is before
    assert caplog.text.count("! not taken, what was there stays") == 1
    assert "Traceback" not in caplog.text
    replace(config, ONE.replace("one", "two").encode())
    await server.app[RELOADER].reload()
    assert server.app[CURRENT].configured is not before


async def test_a_fault_of_ours_does_not_end_the_reading_of_files(
    start: Start, config: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(config=config)
    with monkeypatch.context() as broken:
        broken.setattr(reloading, "read_ice_servers", lambda _: 1 / 0)
        await server.app[RELOADER].reload()
    assert "ZeroDivisionError" in caplog.text
    write(config, ONE.replace("one", "two"))
    await server.app[RELOADER].reload()
    assert server.app[CURRENT].configured.servers[0].urls == ("turn:two.example",)


async def test_a_configuration_that_comes_through_a_pipe_is_read_once(start: Start, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = asyncio.create_task(asyncio.to_thread(write, pipe, ONE.replace("secret_file", "secret")))
    server = await asyncio.wait_for(start(config=pipe), 60)
    await writing
    await asyncio.wait_for(server.app[RELOADER].reload(), 60)
    assert server.app[CURRENT].configured.servers[0].urls == ("turn:one.example",)


async def test_a_bad_file_is_refused_and_the_old_one_stays(
    start: Start, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start(config=config)
    before = server.app[CURRENT].configured
    write(config, f"hold = 0\nstandby = 1\n{ONE}")
    await server.app[RELOADER].reload()
    assert server.app[CURRENT].configured is before
    assert f"! not taken, what was there stays: {config}: hold: must be seconds" in caplog.text
    assert f"! not taken, what was there stays: {config}: standby: must be true or false" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_secret_that_was_exchanged_is_seen(
    start: Start, config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reloading, "LOOK_EVERY", 0.01)
    caplog.set_level("INFO")
    server = await start(config=config)
    write(config.parent / "turn.secret", "second")
    await until(lambda: server.app[CURRENT].configured.servers[0].secret == "second")
    write(config, "standby = true\n" + ONE)
    await until(lambda: server.app[CURRENT].configured.standby)
    remove(config)
    await until(lambda: "ice.toml: cannot be read" in caplog.text)
    assert server.app[CURRENT].configured.standby
    write(config, ONE)
    await until(lambda: not server.app[CURRENT].configured.standby)


async def test_another_certificate_is_shown_and_connections_go_on(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, trusts_first = write_pair(tmp_path)
    server = await start(tls=files)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusts_first)) as before:
        socket = await before.ws_connect(server.address + "ws")
        _, trusts_second = write_pair(tmp_path)
        await server.app[RELOADER].reload()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusts_second)) as after,
            after.get(server.address + "healthz") as response,
        ):
            assert response.status == 200
        await socket.send_str('{"kind":"ping","number":1}')
        assert "pong" in await socket.receive_str(timeout=30)
        write(files.key, "nothing")
        await server.app[RELOADER].reload()
        assert f"! not taken, what was there stays: {files.key}: cannot be used" in caplog.text
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusts_second)) as after,
            after.get(server.address + "healthz") as response,
        ):
            assert response.status == 200


async def test_a_local_coturn_is_there_while_the_file_names_no_relay(start: Start, config: Path) -> None:
    server = await start(config=config, turn=True)
    local = server.app[LOCAL_TURN]
    assert local.coturn is None
    write(config, "")
    await server.app[RELOADER].reload()
    assert local.coturn
    assert local.coturn.pid
    write(config, ONE)
    await server.app[RELOADER].reload()
    assert local.coturn is None


async def test_the_local_coturn_gets_the_new_certificate(start: Start, tmp_path: Path) -> None:
    files, trusts_first = write_pair(tmp_path)
    server = await start(tls=files, turn=True)
    coturn = server.app[LOCAL_TURN].coturn
    assert coturn
    pid, port = coturn.pid, coturn.configuration.tls_port
    await greet(port, trusts_first)
    _, trusts_second = write_pair(tmp_path)
    await server.app[RELOADER].reload()
    async with asyncio.timeout(50):
        while True:
            try:
                await greet(port, trusts_second)
                break
            except ssl.SSLError:
                await asyncio.sleep(0.05)
    assert coturn.pid == pid, "it was not started again"


async def greet(port: int | None, context: ssl.SSLContext) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.transport.abort()


async def test_a_certificate_that_nobody_renews_is_told_of(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "LOOK_EVERY", 0.01)
    await start(tls=write_pair(tmp_path)[0])
    files, _ = write_pair(tmp_path, days=2.5)
    monkeypatch.setattr(reloading, "TELL_EVERY", 0.0)
    await until(lambda: f"! {files.certificate}: expires in 2.5 days" in caplog.text)
