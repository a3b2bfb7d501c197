"""A WebSocket client for benchmarks, which does as little as it can (RFC 6455)."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

OnFrame: TypeAlias = Callable[[], None]


class Client(asyncio.Protocol):
    """It counts the frames that come."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._buffer = b""
        self._is_open = False
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self.came = 0
        self.on_frame: OnFrame | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head.partition(b"\r\n")[0], head
            self._is_open, self._buffer = True, rest
        while (size := _whole(self._buffer)) is not None:
            opcode, self._buffer = self._buffer[0] & 15, self._buffer[size:]
            if opcode == 9:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            elif opcode == 1:
                self._frame_came()

    def _frame_came(self) -> None:
        self.came += 1
        if self.on_frame:
            self.on_frame()
        if self._waiter and self.came >= self._wanted and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("the server closed the socket"))

    async def heard(self, count: int) -> None:
        """Wait until `count` frames have come in all."""
        if self.came < count:
            self._wanted, self._waiter = count, asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._waiter, 60)

    def send(self, *frames: bytes) -> None:
        self.transport.write(b"".join(frames))

    def close(self) -> None:
        self.transport.close()


def _whole(buffer: bytes) -> int | None:
    """Return how many bytes the first frame takes, None if it is not there as a whole."""
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 127, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(buffer[2:start])
    return start + size if len(buffer) >= start + size else None


def frame(text: str) -> bytes:
    """Return a client's text frame; its mask of zeros costs the server as much as any."""
    payload = text.encode()
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return b"\x81" + length + b"\0\0\0\0" + payload
