"""A sample of a path: what one page measured over a few seconds. An entry of the journal, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from pyapp.protocol.entries.entry import Entry
from pyapp.protocol.wire import MAX_COUNT, MessageError, Scalar

_LONGEST = 128
"""Characters of a text in a sample."""


@dataclass(frozen=True, slots=True)
class Sample(Entry):
    """What was measured of the path in use over `seconds`. "In" is what this page received. None: not measured.

    Its fields are those of the journal entry, where those with their default are left out: an entry is about 250 bytes.
    """

    event: ClassVar[str] = "sample"

    seconds: float
    """Over which rates, loss and freezes were measured."""
    path: Literal["direct", "relay"] = "direct"
    round_trip_ms: float | None = None
    """Of the selected pair (`currentRoundTripTime`), milliseconds."""
    jitter_ms: float | None = None
    """Of received media (RFC 3550, section 6.4.1), or else of the heartbeats; milliseconds."""
    loss_in: float | None = None
    """The fraction of packets that did not arrive, from 0 to 1: media and heartbeats."""
    loss_out: float | None = None
    """The fraction of media packets that the peer misses, by its RTCP reports (RFC 3550, section 6.4.1)."""
    bits_in: int = 0
    """Received, bits per second, everything that the transport carries."""
    bits_out: int = 0
    """Sent, bits per second."""
    frames_in: float | None = None
    """Video frames decoded per second, or None if no video arrives."""
    frames_out: float | None = None
    """Video frames encoded per second, or None if none is sent."""
    width_in: int = 0
    """Of the received video, pixels; 0 without one."""
    height_in: int = 0
    width_out: int = 0
    height_out: int = 0
    freezes: int = 0
    """Freezes of the received video that ended meanwhile (`freezeCount`)."""
    frozen_ms: int = 0
    """How long they were, together, milliseconds."""
    available: int | None = None
    """What the browser thinks it can send (`availableOutgoingBitrate`), bits per second."""
    local_type: str = ""
    """The type of our candidate; `relay` means that this page pays for the relay."""
    relay_protocol: str = ""
    """How we reach that relay: `udp`, `tcp`, `tls`."""
    server: str = ""
    """The relay's URL."""
    pair: str = ""
    ufrag: str = ""
    pair_sent: int = 0
    """Bytes sent over this candidate pair since it exists."""
    pair_received: int = 0
    relayed: int = 0
    """Bytes between this page and its relay for this pair, both ways, since it exists, as the relay counts them: the
    relay meter adds them up, pair by pair."""
    bytes_sent: int = 0
    """Bytes sent over this connection since it exists, whatever the pair."""
    bytes_received: int = 0

    def data(self) -> dict[str, Scalar]:
        """Return it as the data of the record. The path is always told."""
        return {"seconds": self.seconds, "path": self.path, **Entry.data(self)}

    def _says(self) -> str:
        parts = (
            self.path,
            "" if self.round_trip_ms is None else f"{self.round_trip_ms:.0f} ms",
            "" if self.loss_in is None else f"{self.loss_in:.1%} lost",
            f"{self.bits_in / 1000:.0f} kbit/s in",
            f"{self.bits_out / 1000:.0f} kbit/s out",
            "" if self.frames_in is None else f"video {self.width_in}x{self.height_in} at {self.frames_in:.0f} fps",
        )
        return ", ".join(filter(None, parts))


def read_sample(data: Mapping[str, Scalar]) -> Sample:
    """Return the sample that is the data of an entry, or raise `MessageError`. Unknown fields are passed over."""
    arguments: dict[str, Any] = {}
    for item in fields(Sample):
        if item.name not in data:
            continue
        value = data[item.name]
        _check(item.name, value)
        arguments[item.name] = value
    if "seconds" not in arguments:
        raise MessageError("seconds", "missing")
    return Sample(**arguments)


_TEXTS = frozenset({"local_type", "relay_protocol", "server", "pair", "ufrag"})
_WHOLE = frozenset(
    {"bits_in", "bits_out", "width_in", "height_in", "width_out", "height_out", "freezes", "frozen_ms", "available"}
    | {"pair_sent", "pair_received", "relayed", "bytes_sent", "bytes_received"}
)


def _check(name: str, value: Scalar) -> None:
    if name == "path":
        if value not in ("direct", "relay"):
            raise MessageError(name, "direct or relay")
    elif name in _TEXTS:
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise MessageError(name, f"text of at most {_LONGEST} characters")
    elif isinstance(value, bool) or not isinstance(value, int if name in _WHOLE else int | float):
        raise MessageError(name, "a whole number" if name in _WHOLE else "a number")
    elif not 0 <= value <= MAX_COUNT:
        raise MessageError(name, "from 0, below 2^53")
    elif name.startswith("loss") and value > 1:
        raise MessageError(name, "a fraction, from 0 to 1")
