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

_HANDSHAKE = b"GET /ws HTTP/1.1\r\n"
_SILENT = 10.0
"""Seconds after which aiohttp gets a connection on which nothing came: it knows how long to wait for it."""

Upgrade: TypeAlias = Callable[[RawRequestMessage, asyncio.Transport, bytes], bool]
"""Takes a request, its connection, and what came behind it. Returns whether the connection is a WebSocket now."""


class Front(asyncio.Protocol):
    """A connection before its first request. `http` makes aiohttp's protocol for it; `unread` is those that wait."""

    __slots__ = ("_http", "_timer", "_transport", "_unread", "_upgrade")

    def __init__(self, http: Callable[[], RequestHandler], upgrade: Upgrade, unread: "set[Front]") -> None:
        self._http = http
        self._upgrade = upgrade
        self._unread = unread

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self._unread.add(self)
        self._timer = asyncio.get_running_loop().call_later(_SILENT, self.pass_on, b"")

    def data_received(self, data: bytes) -> None:
        """Upgrade the connection, or pass it on."""
        if data.startswith(_HANDSHAKE) and self._is_upgraded(data):
            self._forget()
        else:
            self.pass_on(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget it."""
        self._forget()

    def pass_on(self, data: bytes) -> None:
        """Give the connection to aiohttp, with its first bytes."""
        self._forget()
        http = self._http()
        self._transport.set_protocol(http)
        http.connection_made(self._transport)
        if data:
            http.data_received(data)

    def _forget(self) -> None:
        self._unread.discard(self)
        self._timer.cancel()

    def _is_upgraded(self, data: bytes) -> bool:
        loop = asyncio.get_running_loop()
        try:
            requests, is_upgrade, rest = HttpRequestParser(BaseProtocol(loop), loop, 2**16).feed_data(data)
        except HttpProcessingError:
            return False
        return is_upgrade and len(requests) == 1 and self._upgrade(requests[0][0], self._transport, rest)
