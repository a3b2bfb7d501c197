"""The first bytes of a connection: a WebSocket's handshake, or anything else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from backend.settings import Settings
from backend.web import front
from backend.web.server import Serving, serving

Start = Callable[..., Awaitable[Serving]]
Dial = Callable[[Serving], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PING, PONG = b"\x89\x82\0\0\0\0hi", b"\x8a\x02hi"


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    writers: list[asyncio.StreamWriter] = []

    async def dialled(server: Serving) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append(writer)
        return reader, writer

    yield dialled
    for writer in writers:
        writer.transport.abort()


async def head(reader: asyncio.StreamReader) -> bytes:
    return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).partition(b"\r\n")[0]


@pytest.mark.parametrize("cut", [0, 1, 17, 60, len(HANDSHAKE) - 1])
async def test_a_handshake_is_answered_however_it_is_cut(start: Start, dial: Dial, cut: int) -> None:
    reader, writer = await dial(await start())
    if cut:
        writer.write(HANDSHAKE[:cut])
        for _ in range(20):  # turns of the loop, in which the server reads it
            await asyncio.sleep(0)
    writer.write(HANDSHAKE[cut:] + PING)
    assert await head(reader) == b"HTTP/1.1 101 Switching Protocols"
    assert await asyncio.wait_for(reader.readexactly(4), 20) == PONG


async def test_a_handshake_may_come_on_a_connection_that_was_used_before(start: Start, dial: Dial) -> None:
    reader, writer = await dial(await start())
    writer.write(HEALTH)
    assert await head(reader) == b"HTTP/1.1 200 OK"
    await reader.readuntil(b"}")
    writer.write(HANDSHAKE + PING)
    assert await head(reader) == b"HTTP/1.1 101 Switching Protocols"
    assert await asyncio.wait_for(reader.readexactly(4), 20) == PONG


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HANDSHAKE.replace(b"13\r\n", b"13\r\nOrigin: https://elsewhere.example\r\n"), b"403"),
        (HANDSHAKE.replace(b": 13", b": 12"), b"426"),
        (HANDSHAKE.replace(b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b""), b"426"),
        (HANDSHAKE.replace(b"Host: ", b"Ho st: "), b"400"),
        (HANDSHAKE.replace(b"/ws ", b"/wss "), b"404"),
        (b"NOTHING\r\n\r\n", b"400"),
    ],
)
async def test_what_is_refused_is_told_by_aiohttp(start: Start, dial: Dial, request_: bytes, status: bytes) -> None:
    reader, writer = await dial(await start())
    writer.write(request_)
    assert (await head(reader)).split()[1] == status


async def test_who_is_silent_for_a_while_can_still_ask(
    start: Start, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "_SILENT", 0.0)
    passed_on = asyncio.Event()
    pass_on = front.Front.pass_on

    def observed(self: front.Front, data: bytes = b"") -> None:
        pass_on(self, data)
        passed_on.set()

    monkeypatch.setattr(front.Front, "pass_on", observed)
    reader, writer = await dial(await start())
    await asyncio.wait_for(passed_on.wait(), 20)
    writer.write(HANDSHAKE + PING)
    assert await head(reader) == b"HTTP/1.1 101 Switching Protocols"


async def test_the_end_closes_a_connection_on_which_nothing_came(tmp_path: Path, server_root: Path, dial: Dial) -> None:
    journal = tmp_path / "journal"
    settings = Settings(port=0, turn=False, checks=False, open_to_all=True, journal=journal, root=server_root)
    async with serving(settings) as server:
        silent, _ = await dial(server)
        other, writer = await dial(server)
        writer.write(HEALTH)
        await head(other)  # by then the first one has been accepted
    assert await asyncio.wait_for(silent.read(), 20) == b""
