"""Entries about the path: what it is, what happens to it, and what this machine's network does."""

from dataclasses import dataclass
from typing import ClassVar

from pyapp.protocol.entries.entry import Entry
from pyapp.protocol.entries.negotiation import end


@dataclass(frozen=True, slots=True)
class State(Entry):
    """A state of the `RTCPeerConnection`, or of its DTLS transport."""

    event: ClassVar[str] = "state"

    state: str
    value: str

    def _says(self) -> str:
        return f"{self.state} {self.value}"


@dataclass(frozen=True, slots=True)
class Channel(Entry):
    """A data channel opened or closed."""

    event: ClassVar[str] = "channel"

    label: str
    open: bool

    def _says(self) -> str:
        return f"channel {self.label} {'open' if self.open else 'closed'}" if self.label else ""


@dataclass(frozen=True, slots=True)
class Pair(Entry):
    """Another candidate pair is in use (webrtc-stats, section 8.18); None, or empty: the browser does not say."""

    event: ClassVar[str] = "pair"

    path: str
    pair: str
    local_type: str
    local_protocol: str
    local_address: str
    local_port: int
    relay_protocol: str
    """How this page reaches its relay: `udp`, `tcp`, `tls`."""
    server: str
    """That relay's URL."""
    remote_type: str
    remote_protocol: str
    remote_address: str
    remote_port: int
    round_trip_ms: float | None
    bytes_sent: int
    """By this connection, whatever the pair."""
    bytes_received: int
    pair_sent: int
    pair_received: int
    relayed: int
    """Bytes between this page and its relay for this pair, as the relay counts them."""
    dtls_state: str
    tls_version: str
    pair_changes: int
    ufrag: str

    def _says(self) -> str:
        trip = "" if self.round_trip_ms is None else f", {self.round_trip_ms:.0f} ms"
        ours = end(self.local_type, self.local_protocol, self.local_address, self.local_port)
        over = f" over {self.relay_protocol}" if self.relay_protocol else ""
        theirs = end(self.remote_type, self.remote_protocol, self.remote_address, self.remote_port)
        return f"{self.path} path, from {ours}{over} to {theirs}{trip}"


@dataclass(frozen=True, slots=True)
class Network(Entry):
    """The network of this machine changed: `certain`, or maybe."""

    event: ClassVar[str] = "network"

    kind: str
    certain: bool

    def _says(self) -> str:
        return f"network {self.kind}"


@dataclass(frozen=True, slots=True)
class Slept(Entry):
    """The machine slept."""

    event: ClassVar[str] = "slept"

    seconds: float

    def _says(self) -> str:
        return f"the machine slept for {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class Suspect(Entry):
    """The path may not work any more; `evidence` is a code. The other side has been silent for `silence_ms`."""

    event: ClassVar[str] = "suspect"
    _mark = "!"

    evidence: str
    silence_ms: int
    patience_ms: int
    """How long a silence is usual on this path."""
    loss: float
    """The fraction of heartbeats that were lost, from 0 to 1."""

    def _says(self) -> str:
        return f"the path is suspect: {self.evidence}"


_NO_ALARMS = {
    "late": "a late heartbeat, not late enough",
    "stalled": "this page stalled",
    "peer-stalled": "the other page stands still, and its browser answers",
    "answered": "the network may have changed, and yet the other side answers",
}


@dataclass(frozen=True, slots=True)
class NoAlarm(Entry):
    """The path was in doubt for `seconds`, and is not: a code for why, and what the browser said."""

    event: ClassVar[str] = "no-alarm"

    cause: str
    seconds: float
    evidence: str = ""

    def _says(self) -> str:
        if self.evidence:
            return f"the browser says {self.evidence}, and yet the other side is heard"
        return _NO_ALARMS.get(self.cause, "")


@dataclass(frozen=True, slots=True)
class Attempt(Entry):
    """An attempt to mend the path; `rung` is how."""

    event: ClassVar[str] = "attempt"

    rung: str
    number: int

    def _says(self) -> str:
        return f"attempt {self.number}: {self.rung}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Entry):
    """An outage of `seconds` is over; `anew`: with a new connection, which the outage led to."""

    event: ClassVar[str] = "recovered"

    anew: bool = False
    seconds: float
    attempts: int

    def _says(self) -> str:
        what = "a new connection works" if self.anew else "the path works again"
        return f"{what} after {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class OneNetwork(Entry):
    """Both sides are behind one NAT: they may reach each other directly, whatever interface that takes."""

    event: ClassVar[str] = "one-network"

    def _says(self) -> str:
        return "both sides share a public address: a connection over every interface"


@dataclass(frozen=True, slots=True)
class Probe(Entry):
    """A query over UDP was answered; `address` is ours, as the STUN server saw it."""

    event: ClassVar[str] = "probe"

    address: str

    def _says(self) -> str:
        return f"UDP gets out again, from {self.address}"
