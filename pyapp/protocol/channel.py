"""The messages on the data channels between two pages: numbered frames and heartbeats.

Both are sent often, so they are as short as possible.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from pyapp.protocol.wire import MessageError, check_not_negative

MAX_HELD = 16
"""Ranges of out-of-order numbers in one acknowledgement: the lowest ones."""

MAX_TEXT_BYTES = 64 * 1024
"""The longest message of a person, in UTF-8. A message is sent in pieces, so no channel needs this limit; but each
message is kept, and rendered, for the life of the page."""

MAX_PIECE_BYTES = 900
"""The longest piece of a text, in UTF-8, so that each is one packet and a lost packet is one piece.

Chromium's SCTP packets have 1,191 bytes, chosen so that they fit through DTLS, TURN and IPv6 into the 1,280 bytes that
every IPv6 link takes (RFC 8200, section 5); Firefox's have 1,200. Of them 28 are the headers of the packet and the
chunk (RFC 9260, section 3), at most 170 ours, and 90 are left for a SACK chunk in the same packet: a piece that does
not fit beside it would be fragmented, and lost with either fragment.
"""


@dataclass(frozen=True, slots=True)
class MediaShared:
    """What one side shares from now on; the media sections are negotiated once, and are idle until then.

    Muted means that the sender's system has muted the track for now: a lid was closed, or the phone rings.
    """

    audio: bool
    video: bool
    audio_muted: bool = False
    video_muted: bool = False


NOTHING_SHARED = MediaShared(audio=False, video=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """A person's text, or a part of it if there is `more` in the next piece."""

    text: str
    more: bool = False


Body: TypeAlias = Piece | MediaShared
"""What the `messages` channel carries. The two kinds are numbered separately, from 1."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame on the `messages` channel: a numbered body (`number` 0 for none) with acknowledgements."""

    number: int
    body: Body | None
    ack: int
    """The cumulative acknowledgement of pieces."""
    held: tuple[tuple[int, int], ...] = ()
    """First and last of each range above it that arrived out of order, ascending."""
    media_ack: int = 0
    """The cumulative acknowledgement of `MediaShared`."""


def split(text: str) -> list[Piece]:
    """Return `text` in pieces. Raises `UnicodeEncodeError` for half of a surrogate pair."""
    data = text.encode()
    pieces, start = [], 0
    while len(data) - start > MAX_PIECE_BYTES:
        end = start + MAX_PIECE_BYTES
        while data[end] & 0xC0 == 0x80:  # the middle of a character (RFC 3629, section 3)
            end -= 1
        pieces.append(Piece(data[start:end].decode(), more=True))
        start = end
    return [*pieces, Piece(data[start:].decode())]


def encode_frame(frame: Frame) -> str:
    """Return `frame` as the text of one channel message: a line of JSON with short keys, and then the text as it is."""
    value: dict[str, object] = {"a": frame.ack}
    if frame.held:
        value["h"] = [number - frame.ack for bounds in frame.held for number in bounds]
    if frame.media_ack:
        value["s"] = frame.media_ack
    text = ""
    match frame.body:
        case MediaShared(audio, video, audio_muted, video_muted):
            value |= {"n": frame.number, "m": [audio, video]}
            if audio_muted or video_muted:  # older pages do not know it
                value["u"] = [audio_muted, video_muted]
        case Piece(words, more):
            value |= {"n": frame.number} | ({"c": True} if more else {})
            text = "\n" + words
    return json.dumps(value, separators=(",", ":")) + text


def decode_frame(text: str) -> Frame:
    """Return the frame in `text`, or raise `MessageError`."""
    head, is_text, words = text.partition("\n")
    try:
        value = json.loads(head)
    except (ValueError, RecursionError):
        raise MessageError("frame", "not JSON (RFC 8259), or nested too deeply") from None
    if not isinstance(value, dict):
        raise MessageError("frame", "an object")
    number, ack, media_ack = _count(value, "n", 0), _count(value, "a"), _count(value, "s", 0)
    body = _body(value, words if is_text else None)
    if (body is None) != (number == 0):
        raise MessageError("n", "0 without a body, from 1 with one")
    return Frame(number, body, ack, _held(ack, value.get("h", [])), media_ack)


def _count(value: dict[str, Any], name: str, default: int | None = None) -> int:
    count = value.get(name, default)
    if type(count) is not int:
        raise MessageError(name, "a whole number")
    check_not_negative(name, count)
    return count


def _held(ack: int, bounds: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(bounds, list) or len(bounds) > 2 * MAX_HELD or len(bounds) % 2:
        raise MessageError("h", f"at most {MAX_HELD} ranges, each two whole numbers")
    if not all(type(bound) is int for bound in bounds):
        raise MessageError("h", "whole numbers")
    ranges = tuple((ack + first, ack + last) for first, last in zip(bounds[::2], bounds[1::2], strict=True))
    before = ack
    for first, last in ranges:
        if not before + 1 < first <= last:  # a number is missing before each range, or the two would be one
            raise MessageError("h", "ascending, with something missing before each")
        before = last
    check_not_negative("h", before)
    return ranges


def _body(value: dict[str, object], words: str | None) -> Body | None:
    if words is not None:
        if "m" in value:
            raise MessageError("m", "not with a text")
        if (size := len(words.encode(errors="surrogatepass"))) > MAX_PIECE_BYTES:
            raise MessageError("frame", f"a piece of {size} bytes; {MAX_PIECE_BYTES} are the most")
        return Piece(words, more=value.get("c") is True)
    match value:
        case {"m": [bool(audio), bool(video)], "u": [bool(audio_muted), bool(video_muted)]}:
            return MediaShared(audio, video, audio_muted, video_muted)
        case {"m": [bool(), bool()], "u": _}:
            raise MessageError("u", "audio and video, each true or false")
        case {"m": [bool(audio), bool(video)]}:
            return MediaShared(audio, video)
        case {"m": _}:
            raise MessageError("m", "audio and video, each true or false")
    return None


MAX_BEAT_HELD, MAX_BEAT_DUE = 10**9, 60_000
"""The largest values in a heartbeat, in milliseconds."""


_WANTS_ECHO, _IS_DEAF = 1, 2
"""Bits of the last number of a beat."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat. Times are milliseconds."""

    number: int
    echo: int
    """The number of the last beat heard, 0 for none."""
    held: int
    """Time since that beat was heard."""
    due: int
    """Time until the sender's next beat."""
    generation: int
    """The ICE generation of the sender's selected pair."""
    wants_echo: bool = False
    """Whether the sender wants an immediate echo, because something may have changed."""
    is_deaf: bool = False
    """Whether the sender suspects the path because it hears nothing."""

    def encode(self) -> str:
        """Return the beat as the text of one channel message."""
        flags = self.wants_echo * _WANTS_ECHO + self.is_deaf * _IS_DEAF
        values = (self.number, self.echo, self.held, self.due, self.generation, flags)
        return " ".join(map(str, values))


def decode_beat(text: str) -> Beat:
    """Return the beat in `text`, or raise `MessageError`."""
    words = text.split(" ")
    if len(words) != 6 or not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words):
        raise MessageError("beat", "six whole numbers")
    number, echo, held, due, generation, flags = map(int, words)
    if number < 1:
        raise MessageError("beat", "numbered from 1")
    if held > MAX_BEAT_HELD or due > MAX_BEAT_DUE:
        # A longer time would be a timer that never fires, or fires at once.
        raise MessageError("beat", f"at most {MAX_BEAT_HELD} ms old, and the next within {MAX_BEAT_DUE} ms")
    wants_echo, is_deaf = bool(flags & _WANTS_ECHO), bool(flags & _IS_DEAF)
    return Beat(number, echo, held, due, generation, wants_echo=wants_echo, is_deaf=is_deaf)
