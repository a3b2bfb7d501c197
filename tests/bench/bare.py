"""A relay of WebSocket frames between the two that ask for the same path: what `signaling.py` takes for the floor.

It answers any handshake, reads frames that are masked with zeros (`client.frame`), and understands nothing else.
"""

import argparse
import asyncio
import gc
from typing import cast

import uvloop

_WELCOME = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00"


class Relay(asyncio.Protocol):
    """One of the two. `waiting` are those, by path, whose other one has not come yet."""

    def __init__(self, waiting: "dict[bytes, Relay]") -> None:
        self._waiting = waiting
        self._buffer = b""
        self._other: Relay | None = None
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self._is_open:
            head, _, data = data.partition(b"\r\n\r\n")
            self._is_open = True
            self._meet(head.split(b" ")[1])
            self._transport.write(_WELCOME)
        at = 0
        while len(data) - at > 8:
            size, start = data[at + 1] & 127, at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2]), start + 2
            end = start + 4 + size
            if end > len(data):
                break
            if self._other:
                self._other.send(data[start + 4 : end])
            at = end
        self._buffer = data[at:]

    def send(self, payload: bytes) -> None:
        """Send a text frame."""
        size = len(payload)
        head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2)
        self._transport.write(head + payload)

    def _meet(self, path: bytes) -> None:
        if other := self._waiting.pop(path, None):
            self._other, other._other = other, self
        else:
            self._waiting[path] = self


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    waiting: dict[bytes, Relay] = {}
    server = await asyncio.get_running_loop().create_server(lambda: Relay(waiting), "127.0.0.1", port, backlog=1024)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as `server.py` does
    print(f"127.0.0.1:{port}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
