"""The first bytes of a connection: a WebSocket's handshake is answered at once, and everything else is aiohttp's.

aiohttp makes a request, two tasks and a timer for each connection, which a WebSocket frees at once: they were a
sixth of what a whole session cost the server. A handshake that is to be refused, that comes in pieces, or on a
connection that was used before, takes the long way, through aiohttp; only there are refusals put into words.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from backend.timeouts import Timeouts

_HANDSHAKE = b"GET /ws HTTP/1.1\r\n"
_SILENT = 10.0
"""Seconds after which aiohttp gets a connection on which nothing came: it knows how long to wait for it."""

Upgrade: TypeAlias = Callable[[RawRequestMessage, asyncio.Transport, bytes], bool]
"""Takes a request, its connection, and what came behind it. Returns whether the connection is a WebSocket now."""


class Door:
    """Makes the protocols of new connections: a factory for `create_server`. `http` makes those of aiohttp."""

    def __init__(self, http: Callable[[], RequestHandler], upgrade: Upgrade) -> None:
        self.http = http
        self.upgrade = upgrade
        self.silent: Timeouts[Front] = Timeouts(Front.pass_on)
        """Connections on which nothing came so far."""

    def __call__(self) -> "Front":
        """Return the protocol of a new connection."""
        return Front(self)

    def close(self) -> None:
        """Have what nobody has asked anything on yet closed by aiohttp, like the others."""
        for front in self.silent.stop():
            front.pass_on()


class Front(asyncio.Protocol):
    """A connection before its first request."""

    __slots__ = ("_door", "_transport")

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self._door.silent.start(self, _SILENT)

    def data_received(self, data: bytes) -> None:
        """Upgrade the connection, or pass it on."""
        if data.startswith(_HANDSHAKE) and self._is_upgraded(data):
            self._door.silent.cancel(self)
        else:
            self.pass_on(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget it."""
        self._door.silent.cancel(self)

    def pass_on(self, data: bytes = b"") -> None:
        """Give the connection to aiohttp, with its first bytes."""
        self._door.silent.cancel(self)
        http = self._door.http()
        self._transport.set_protocol(http)
        http.connection_made(self._transport)
        if data:
            http.data_received(data)

    def _is_upgraded(self, data: bytes) -> bool:
        loop = asyncio.get_running_loop()
        try:
            requests, is_upgrade, rest = HttpRequestParser(BaseProtocol(loop), loop, 2**16).feed_data(data)
        except HttpProcessingError:
            return False
        return is_upgrade and len(requests) == 1 and self._door.upgrade(requests[0][0], self._transport, rest)
