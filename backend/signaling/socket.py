"""One WebSocket of the server (RFC 6455), from its upgrade to its end.

aiohttp answers the HTTP request. From then on the connection is ours, and what HTTP needed of it (request, parser,
tasks) is freed. aiohttp's frame reader stays, and calls us for each frame: no queue and no task is in between.
"""

import asyncio
import base64
import binascii
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from aiohttp import WSCloseCode, WSMessage, WSMsgType, hdrs, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WS_KEY, WebSocketError, WebSocketReader
from aiohttp.web_protocol import RequestHandler

from backend.each import each
from backend.signaling.masking import Masking
from backend.timeouts import Timeouts

_log = logging.getLogger("ice_console.signaling")

CLOSING_TIMEOUT = 1.0
"""How long the page has to answer a closing handshake, in seconds."""
DRAINING_TIMEOUT = 10.0
"""How long it then has to read what still waits for it, in seconds."""
MOST_TOGETHER = 64
"""Sockets whose frames wait for the end of a turn. With 2,000 sessions a turn has a thousand of them: by its end, the
first ones are out of the processor's cache."""
TICKS = 8
"""Ticks in a heartbeat: after so many without a byte the page is pinged, and after half as many again it is lost."""

OnFrame: TypeAlias = Callable[[WSMessage, int], None]
"""Takes a text or binary message, and its size in bytes."""
OnEnd: TypeAlias = Callable[[int], None]
"""Takes the close code (RFC 6455, section 7.4)."""


class Upgraded(web.StreamResponse):
    """What a handler returns whose connection was taken over: there is nothing left to send."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, _request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self, _data: bytes = b"") -> None:
        """Do nothing."""


class Outbox:
    """What sockets send in one turn of the event loop: one system call for each socket, not for each frame.

    `closing` are the sockets whose pages have been told, and that have not answered yet.
    """

    def __init__(self) -> None:
        self._sockets: list[Socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing: Timeouts[Socket] = Timeouts(Socket.give_up)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop; asking for it each time would be a system call (`getpid`)."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def add(self, socket: "Socket") -> None:
        """Have `socket` flushed at the end of this turn, or once many are waiting."""
        if len(self._sockets) >= MOST_TOGETHER:
            self._flush()
        if not self._sockets:
            self.loop.call_soon(self._flush)
        self._sockets.append(socket)

    def _flush(self) -> None:
        sockets, self._sockets = self._sockets, []
        each(sockets, Socket.flush, Socket.abort)


class Socket(asyncio.Protocol):
    """The connection of an upgraded request. A frame longer than `longest` bytes closes it (1009).

    What is sent waits for the end of the turn, then in the transport's buffer. If more than `most_waiting` bytes wait
    there, the page does not read: the connection is aborted.
    """

    __slots__ = (
        "_closing_code",
        "_masking",
        "_most_waiting",
        "_on_end",
        "_on_frame",
        "_outbox",
        "_reader",
        "_silent",
        "_transport",
        "_waiting",
        "is_slow",
    )

    def __init__(self, transport: asyncio.Transport, outbox: Outbox, *, longest: int, most_waiting: int) -> None:
        self._transport = transport
        self._outbox = outbox
        self._waiting = b""
        self._most_waiting = most_waiting
        self.is_slow = False
        """Whether it was aborted because the page did not read."""
        self._silent = 0
        self._masking: Masking | None = Masking()
        """None once it was violated: nothing more is read."""
        self._closing_code: int | None = None
        """What it was closed with on our side, if it was."""
        self._on_frame: OnFrame | None = None
        self._on_end: OnEnd | None = None
        # No compression: a few bytes could unpack to a frame of any length.
        self._reader = WebSocketReader(_Sink(self, transport, outbox), longest, compress=False, decode_text=True)

    def handle(self, *, on_frame: OnFrame, on_end: OnEnd) -> None:
        """Call these from now on."""
        self._on_frame, self._on_end = on_frame, on_end

    def begin(self, answer: bytes, rest: bytes) -> None:
        """Take the connection with what has already arrived, and send the `answer` to the handshake."""
        self._transport.set_protocol(self)
        self._write(answer)
        if rest:
            self.data_received(rest)

    def take_over(self, http: RequestHandler, answer: bytes) -> None:
        """As `begin`, from aiohttp."""
        self._write(answer)
        http.set_parser(self)  # type: ignore[arg-type]  # it has what is asked of a parser
        self._transport.set_protocol(self)
        http.transport = None  # which it would close
        http.connection_lost(None)

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close it."""
        return self._closing_code is None and not self._transport.is_closing()

    def send(self, payload: bytes) -> None:
        """Send a text message, in UTF-8."""
        self._write(_head(0x81, len(payload)) + payload)

    def flush(self) -> None:
        """Hand to the transport what was sent in this turn."""
        waiting, self._waiting = self._waiting, b""
        if waiting and not self._transport.is_closing():
            self._transport.write(waiting)
            if self._transport.get_write_buffer_size() > self._most_waiting:
                self.is_slow = True
                self._transport.abort()

    def close(self, code: int) -> None:
        """Begin the closing handshake, after everything that was sent."""
        if self.is_open:
            self._write(b"\x88\x02" + code.to_bytes(2))
            self.flush()
            self._closing_code = code
            self._outbox.closing.start(self, CLOSING_TIMEOUT)

    def give_up(self) -> None:
        """End it without an answer to its closing handshake."""
        if self._closing_code is not None:
            self._shut(self._closing_code)

    def abort(self) -> None:
        """End it at once. Whoever handles its end is told in another turn."""
        self._transport.abort()

    def tick(self) -> None:
        """Notice that time passes: `TICKS` times in a heartbeat."""
        self._silent += 1
        if self._silent >= TICKS + TICKS // 2:
            self._transport.abort()
        elif self._silent == TICKS:
            self._write(b"\x89\x00")

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Read it, up to a frame that is not masked: that ends the connection (RFC 6455, section 5.1)."""
        self._silent = 0
        if self._masking is None:
            return
        readable = self._masking.unmasked(data)
        if readable is None:
            self._reader.feed_data(data)
            return
        self._masking = None
        self._reader.feed_data(data[:readable])
        self.close(WSCloseCode.PROTOCOL_ERROR)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell the end, if it was without a closing handshake."""
        self._end(WSCloseCode.ABNORMAL_CLOSURE)

    # What aiohttp's connection calls while it lets go of it.

    def feed_data(self, data: bytes) -> None:
        """Read what came right behind the request."""
        self.data_received(data)

    def feed_eof(self) -> None:
        """Do nothing: the connection goes on without it."""

    # What the reader calls.

    def came(self, message: WSMessage, size: int) -> None:
        """Handle a message of `size` bytes."""
        kind = message.type
        if kind is WSMsgType.TEXT:  # most are
            if self._on_frame and self.is_open:
                self._on_frame(message, size)
        elif kind is WSMsgType.CLOSE:
            # RFC 6455, section 5.5.1: the answer repeats the code.
            self._write(b"\x88\x02" + message.data.to_bytes(2) if message.data else b"\x88\x00")
            self.flush()
            self._shut(message.data)
        elif not self.is_open:
            pass
        elif kind is WSMsgType.PING:
            self._write(_head(0x8A, len(message.data)) + message.data)
        elif kind is not WSMsgType.PONG and self._on_frame:
            self._on_frame(message, size)

    def failed(self, error: BaseException) -> None:
        """Handle what cannot be read (RFC 6455, section 7.1.7), or an error of ours while a message was handled."""
        if isinstance(error, WebSocketError):
            self.close(error.code)
        else:
            _log.error("! a frame could not be handled", exc_info=error)
            self.close(WSCloseCode.INTERNAL_ERROR)

    def _write(self, data: bytes) -> None:
        if self.is_open:
            if not self._waiting:
                self._outbox.add(self)
            self._waiting += data

    def _shut(self, code: int) -> None:
        if self._transport.get_write_buffer_size():  # who never reads would hold it for good, and no limit counts it
            self._outbox.loop.call_later(DRAINING_TIMEOUT, self._transport.abort)
        self._transport.close()
        self._end(code)

    def _end(self, code: int) -> None:
        if self._closing_code is not None:
            self._outbox.closing.cancel(self)
        on_end = self._on_end
        self._on_frame = self._on_end = None  # no cycle is left for the garbage collector
        if on_end:
            on_end(code)


class _Sink(WebSocketDataQueue):
    """Where aiohttp's reader puts what it has read: never a queue."""

    __slots__ = ("_socket",)

    def __init__(self, socket: Socket, transport: asyncio.Transport, outbox: Outbox) -> None:
        super().__init__(transport, 0, loop=outbox.loop)  # type: ignore[arg-type] # it is never paused
        self._socket = socket

    def feed_data(self, data: Any, size: int) -> None:
        self._socket.came(data, size)

    def set_exception(self, exc: BaseException, *_: BaseException) -> None:
        self._socket.failed(exc)


def handshake_answer(headers: Mapping[str, str]) -> bytes:
    """Return the answer to a handshake (RFC 6455, section 4.2). Raises `web.HTTPException` if it is not one."""
    connection = [token.strip().lower() for token in headers.get(hdrs.CONNECTION, "").split(",")]
    if headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket" or "upgrade" not in connection:
        raise web.HTTPUpgradeRequired(text="This address is for WebSockets.", headers={hdrs.UPGRADE: "websocket"})
    if headers.get(hdrs.SEC_WEBSOCKET_VERSION) != "13":
        raise web.HTTPUpgradeRequired(text="Sec-WebSocket-Version: must be 13", headers=_VERSION)
    key = headers.get(hdrs.SEC_WEBSOCKET_KEY, "")
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise web.HTTPBadRequest(text="Sec-WebSocket-Key: must be 16 bytes in base64")
    accept = base64.b64encode(hashlib.sha1(key.encode() + WS_KEY).digest())  # noqa: S324 - RFC 6455, section 4.2.2
    return b"\r\n".join(
        (
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + accept,
            b"",
            b"",
        )
    )


_VERSION = {hdrs.SEC_WEBSOCKET_VERSION: "13", hdrs.UPGRADE: "websocket"}


def _head(first: int, size: int) -> bytes:
    """Return the head of a server's frame, unmasked and whole (RFC 6455, section 5.2)."""
    if size < 126:
        return bytes((first, size))
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2)
    return bytes((first, 127)) + size.to_bytes(8)
