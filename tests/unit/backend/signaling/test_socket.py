"""A WebSocket of the server, byte by byte (RFC 6455)."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp.web_protocol import RequestHandler

from backend.access.limits import Limits
from backend.signaling import socket as module
from backend.signaling.endpoint import Signaling
from backend.web.keys import SIGNALING
from backend.web.server import Serving
from pyapp.protocol.signaling import Join, Ping
from pyapp.protocol.wire import encode

Start = Callable[..., Awaitable[Serving]]

JOIN = encode(Join("demo", "a" * 32, "b" * 32)).encode()
UPGRADE = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(**changed: str) -> bytes:
    headers = UPGRADE | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["GET /ws HTTP/1.1", *lines, "", ""]).encode()


def frame(first: int, payload: bytes) -> bytes:
    """Return a client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([first]) + length + bytes(4) + payload


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def finish(self) -> None:
        self._writer.write_eof()

    def drop(self) -> None:
        self._writer.transport.abort()

    async def head(self) -> str:
        return (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 30)).decode()

    async def frame(self) -> tuple[int, bytes]:
        first, size = await asyncio.wait_for(self._reader.readexactly(2), 30)
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2))
        return first, await self._reader.readexactly(size)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), 30)


Dial = Callable[..., Awaitable[Raw]]


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Connect, and say `data`."""
    clients: list[Raw] = []

    async def dialled(server: Serving, data: bytes) -> Raw:
        client = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
        clients.append(client)
        client.send(data)
        return client

    yield dialled
    for client in clients:
        client.drop()


@pytest.fixture
async def upgraded(dial: Dial) -> Dial:
    """Connect, shake hands, and say `data`."""

    async def dialled(server: Serving, data: bytes) -> Raw:
        client = await dial(server, request())
        await client.head()
        client.send(data)
        return client

    return dialled


async def test_a_handshake_is_answered_as_rfc_6455_says(start: Start, dial: Dial) -> None:
    head = await (await dial(await start(), request())).head()
    assert head.startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head


@pytest.mark.parametrize(
    ("changed", "status", "rule"),
    [
        ({"Upgrade": "h2c"}, 426, "for WebSockets"),
        ({"Connection": "close"}, 426, "for WebSockets"),
        ({"Sec_WebSocket_Version": "12"}, 426, "must be 13"),
        ({"Sec_WebSocket_Key": "short"}, 400, "16 bytes in base64"),
        ({"Sec_WebSocket_Key": "é" * 24}, 400, "16 bytes in base64"),
    ],
)
async def test_what_is_no_handshake_is_told_why(
    start: Start, dial: Dial, changed: dict[str, str], status: int, rule: str
) -> None:
    client = await dial(await start(), request(**changed))
    assert (await client.head()).startswith(f"HTTP/1.1 {status} ")
    client.finish()
    assert rule in (await client.rest()).decode()


async def test_what_comes_right_behind_the_request_is_read(start: Start, dial: Dial) -> None:
    early = frame(0x81, JOIN)
    client = await dial(await start(), request() + early[:20])
    await client.head()
    client.send(early[20:])
    assert b'"welcome"' in (await client.frame())[1]


async def test_a_message_may_come_in_fragments_with_a_ping_between(start: Start, upgraded: Dial) -> None:
    client = await upgraded(await start(), frame(0x01, JOIN[:9]) + frame(0x89, b"hello") + frame(0x80, JOIN[9:]))
    assert await client.frame() == (0x8A, b"hello")
    assert b'"welcome"' in (await client.frame())[1]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(0x81, b'{"kind":"relay","body":"\xff"}'), 1007),
        (frame(0xC1, b"{}"), 1002),  # compressed, which was not agreed
        (frame(0x83, b""), 1002),
        (b"\x81\xff" + (1 << 40).to_bytes(8) + bytes(4), 1009),
    ],
)
async def test_what_cannot_be_read_ends_the_socket(start: Start, upgraded: Dial, frames: bytes, code: int) -> None:
    client = await upgraded(await start(), frames)
    assert await client.frame() == (0x88, code.to_bytes(2))


def unmasked(first: int, payload: bytes) -> bytes:
    return bytes((first, len(payload))) + payload


@pytest.mark.parametrize("first", [0x81, 0x89, 0x8A, 0x88])
async def test_a_frame_without_a_mask_ends_the_socket(start: Start, upgraded: Dial, first: int) -> None:
    client = await upgraded(await start(), frame(0x89, b"read") + unmasked(first, b"") + frame(0x89, b"not read"))
    assert await client.frame() == (0x8A, b"read")
    assert await client.frame() == (0x88, (1002).to_bytes(2))
    client.send(frame(0x81, JOIN))
    assert await client.rest() == b""


async def test_a_frame_without_a_mask_right_behind_the_request_ends_the_socket(start: Start, dial: Dial) -> None:
    client = await dial(await start(), request() + unmasked(0x89, b"hello"))
    await client.head()
    assert await client.frame() == (0x88, (1002).to_bytes(2))


@pytest.mark.parametrize("payload", [b"", (1000).to_bytes(2), (1001).to_bytes(2) + b"bye"])
async def test_a_goodbye_is_answered_with_its_code(start: Start, upgraded: Dial, payload: bytes) -> None:
    client = await upgraded(await start(), frame(0x88, payload))
    assert await client.frame() == (0x88, payload[:2])
    assert await client.rest() == b""


async def test_who_does_not_answer_a_goodbye_is_cut_off(start: Start, upgraded: Dial) -> None:
    client = await upgraded(await start(), frame(0x81, encode(Ping(1)).encode()) + frame(0x81, b'{"kind":"leave"}'))
    assert b'"pong"' in (await client.frame())[1]
    assert b'"not-joined"' in (await client.frame())[1]
    assert await client.frame() == (0x88, (1008).to_bytes(2))
    assert await client.rest() == b""


async def test_who_does_not_read_its_pongs_is_cut_off(
    start: Start, upgraded: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    client = await upgraded(await start(limits=Limits(send_bytes=1)), b"")

    async def flood() -> None:
        while True:
            client.send(frame(0x89, bytes(125)) * 1000)
            await client.drain()

    with caplog.at_level(logging.WARNING, "ice_console.signaling"), pytest.raises(ConnectionError):
        await asyncio.wait_for(flood(), 30)
    assert "reads too slowly" in caplog.text


async def test_an_error_of_ours_ends_its_socket_only(
    start: Start, upgraded: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start()
    other = await upgraded(server, b"")
    with monkeypatch.context() as broken:
        broken.setattr(Signaling, "_dispatch", lambda *_, **__: 1 / 0)
        client = await upgraded(server, frame(0x81, JOIN))
        assert await client.frame() == (0x88, (1011).to_bytes(2))
    assert "ZeroDivisionError" in caplog.text
    other.send(frame(0x81, JOIN))
    assert b'"welcome"' in (await other.frame())[1]


async def test_nothing_of_http_is_kept(start: Start, upgraded: Dial) -> None:
    server = await start()
    before = {id(one) for one in gc.get_objects() if isinstance(one, RequestHandler)}
    client = await upgraded(server, frame(0x81, JOIN))
    await client.frame()
    gc.collect()
    assert {id(one) for one in gc.get_objects() if isinstance(one, RequestHandler)} <= before


class Stuck(asyncio.Transport):
    """To a page that reads nothing any more: what waits for it stays."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return 1000

    def is_closing(self) -> bool:
        return False

    def write(self, data: object) -> None:
        del data

    def close(self) -> None:
        """Wait until everything is written."""

    def abort(self) -> None:
        self.aborted.set()


async def test_who_says_goodbye_and_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAINING_TIMEOUT", 0.01)
    transport = Stuck()
    socket = module.Socket(transport, module.Outbox(), longest=1000, most_waiting=2000)
    socket.data_received(frame(0x88, b""))
    await asyncio.wait_for(transport.aborted.wait(), 30)


class Written(Stuck):
    """To a page that reads everything."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.writes.append(data)


async def test_frames_of_a_turn_go_together_and_many_sockets_do_not_wait_for_its_end() -> None:
    outbox = module.Outbox()
    transports = [Written() for _ in range(module.MOST_TOGETHER + 1)]
    sockets = [module.Socket(one, outbox, longest=1000, most_waiting=2000) for one in transports]
    for socket in sockets:
        socket.send(b"a")
        socket.send(b"b")
    assert [len(one.writes) for one in transports] == [1] * module.MOST_TOGETHER + [0]
    await asyncio.sleep(0)
    assert {b"".join(one.writes) for one in transports} == {b"\x81\x01a\x81\x01b"}
    assert all(len(one.writes) == 1 for one in transports)


async def test_who_comes_while_the_server_closes_does_not_hold_it_up(start: Start, upgraded: Dial) -> None:
    server = await start(limits=Limits(heartbeat=1000.0))
    await upgraded(server, b"")
    closing = asyncio.create_task(server.app[SIGNALING].close())
    await upgraded(server, b"")
    await asyncio.wait_for(closing, 30)
