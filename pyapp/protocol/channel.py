"""What the two pages say to each other over their data channels: numbered frames and heartbeats.

Both are sent often, and so are as short as they can be.
"""

import json
from dataclasses import dataclass
from typing import TypeAlias

from pyapp.protocol.wire import MessageError, check_length, check_not_negative

MAX_HELD = 64
"""Numbers of messages that came early, listed in one acknowledgement."""

MAX_TEXT_BYTES = 32 * 1024
"""The longest message of a person, in UTF-8: well under the 64 kB that every browser's channel takes."""


@dataclass(frozen=True, slots=True)
class MediaShared:
    """What one side shares from now on; the media sections are negotiated once, and idle until then."""

    audio: bool
    video: bool


Body: TypeAlias = str | MediaShared
"""What can be said over the `messages` channel: a person's text, or what is shared."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What goes over the `messages` channel: a numbered body (or `number` 0 for none) with an acknowledgement."""

    number: int
    body: Body | None
    ack: int
    held: tuple[int, ...] = ()


def encode_frame(frame: Frame) -> str:
    """Return `frame` as the text of one channel message; short keys, because it is sent often."""
    value: dict[str, object] = {"a": frame.ack}
    if frame.held:
        value["h"] = frame.held
    match frame.body:
        case MediaShared(audio, video):
            value |= {"n": frame.number, "m": [audio, video]}
        case str(text):
            value |= {"n": frame.number, "t": text}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def decode_frame(text: str) -> Frame:
    """Return the frame in `text`, or raise `MessageError`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageError("frame", "not JSON (RFC 8259), or nested too deeply") from None
    if not isinstance(value, dict):
        raise MessageError("frame", "an object")
    number, ack, held = value.get("n", 0), value.get("a", ""), value.get("h", [])
    if not isinstance(held, list) or len(held) > MAX_HELD:
        raise MessageError("h", f"at most {MAX_HELD} whole numbers")
    for name, entry in (("a", ack), ("n", number), *(("h", entry) for entry in held)):
        if type(entry) is not int:
            raise MessageError(name, "a whole number")
        check_not_negative(name, entry)
    body = _body(value)
    if (body is None) != (number == 0):
        raise MessageError("n", "0 without a body, from 1 with one")
    return Frame(number, body, ack, tuple(held))


def _body(value: dict[str, object]) -> Body | None:
    match value:
        case {"t": str(text)}:
            # No text of a person is longer, and each character is at least a byte.
            check_length("t", text, MAX_TEXT_BYTES)
            return text
        case {"m": [bool(audio), bool(video)]}:
            return MediaShared(audio, video)
        case {"t": _}:
            raise MessageError("t", "text")
        case {"m": _}:
            raise MessageError("m", "audio and video, each true or false")
    return None


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat. Times are milliseconds."""

    number: int
    echo: int
    """The number of the last beat heard, 0 for none."""
    held: int
    """Since that one was heard."""
    due: int
    """Until the next beat of the sender."""
    generation: int
    """The ICE generation that the sender has seen at work."""
    wants_echo: bool = False
    """Whether the sender wants an answer at once, because something may have changed."""

    def encode(self) -> str:
        """Return the beat as the text of one channel message."""
        values = (self.number, self.echo, self.held, self.due, self.generation, int(self.wants_echo))
        return " ".join(map(str, values))


def decode_beat(text: str) -> Beat:
    """Return the beat in `text`, or raise `MessageError`."""
    words = text.split(" ")
    if len(words) != 6 or not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words):
        raise MessageError("beat", "six whole numbers")
    number, echo, held, due, generation, wants_echo = map(int, words)
    if number < 1:
        raise MessageError("beat", "numbered from 1")
    return Beat(number, echo, held, due, generation, wants_echo=wants_echo == 1)
