"""From the bytes of a socket to a message: what may be too much, too long, or malformed. Pure: time is an argument."""

from aiohttp import WSMessage, WSMsgType

from backend.access.limits import Limits
from backend.signaling.connections import Connection
from backend.signaling.frames import Received, read
from pyapp.protocol.signaling import MAX_FRAME_BYTES, Error
from pyapp.protocol.wire import MessageError


def received(
    connection: Connection, message: WSMessage, *, size: int, limits: Limits, now: float
) -> Received | Error | None:
    """Return the message of a frame of `size` bytes, or what is wrong with it; None if it is dropped without a word.

    A flood is told of once: answering each of its frames would double it.
    """
    # A long frame costs as much as several short ones with the same content.
    if not connection.bucket.take(1 + size // MAX_FRAME_BYTES, now=now):
        was_warned, connection.is_warned = connection.is_warned, True
        rule = f"At most {limits.messages_per_second:g} messages a second; what is above is dropped."
        return None if was_warned else Error("limit", rule, "messages-per-second")
    connection.is_warned = False
    if message.type is not WSMsgType.TEXT:
        return Error("malformed", "frame: must be text")
    if size > MAX_FRAME_BYTES:
        return Error("limit", f"frame: at most {MAX_FRAME_BYTES} bytes", "frame-bytes")
    try:
        return read(message.data)
    except MessageError as error:
        return Error("malformed", str(error))
