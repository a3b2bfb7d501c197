"""Entries about offers, answers, candidates and ICE restarts."""

from dataclasses import dataclass
from typing import ClassVar

from pyapp.protocol.entries.entry import Entry, Mark
from pyapp.protocol.wire import Scalar


@dataclass(frozen=True, slots=True)
class Description(Entry):
    """A description, sent if it is our `own`; `exchange` as in the message."""

    event: ClassVar[str] = "description"

    type: str
    exchange: int
    own: bool

    @property
    def mark(self) -> Mark:
        """Sent or received."""
        return ">" if self.own else "<"

    def _says(self) -> str:
        return f"{self.type} {'sent' if self.own else 'received'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateEntry(Entry):
    """A candidate, without its credentials; or the `end` of them; or the `problem` with what is none."""

    type: str = ""
    protocol: str = ""
    tcp_type: str = ""
    address: str = ""
    port: int = 0
    priority: int = 0
    server: str = ""
    """The URL of the server that it is from, where the browser says so; always empty for one of the other side's."""
    mid: str | None = None
    ufrag: str | None = None
    end: bool = False
    problem: str = ""

    def data(self) -> dict[str, Scalar]:
        """Return what is told of such a candidate."""
        if self.problem:
            return {"problem": self.problem}
        if self.end:
            return {"end": True} if self.ufrag is None else {"end": True, "ufrag": self.ufrag}
        return {name: getattr(self, name) for name in _OF_A_CANDIDATE}

    def _says(self) -> str:
        if self.problem:
            return self.problem
        return f"candidate {end(self.type, self.protocol, self.address, self.port)}" if self.type else _END


_OF_A_CANDIDATE = ("type", "protocol", "tcp_type", "address", "port", "priority", "server", "mid", "ufrag")
_END = "end of candidates"


def end(kind: str, protocol: str, address: str, port: int) -> str:
    """Return one end of a path in words: `relay udp 192.0.2.1:5000`."""
    return " ".join(filter(None, (kind, protocol, f"{address}:{port}" if address and port else address)))


class LocalCandidate(CandidateEntry):
    """A candidate that was gathered here."""

    __slots__ = ()
    event: ClassVar[str] = "candidate-local"
    _mark = ">"


class RemoteCandidate(CandidateEntry):
    """A candidate that the other side sent."""

    __slots__ = ()
    event: ClassVar[str] = "candidate-remote"
    _mark = "<"


@dataclass(frozen=True, slots=True)
class CandidateError(Entry):
    """An `icecandidateerror` of the server at `url` (W3C WebRTC 1.0, section 4.8.3.1); `address` is the interface."""

    event: ClassVar[str] = "candidate-error"
    _mark = "!"

    url: str
    code: int
    address: str
    reason: str

    def _says(self) -> str:
        return f"{self.code} {self.reason}"


@dataclass(frozen=True, slots=True)
class Crossed(Entry):
    """Both sides made the first offer, and the polite one begins anew."""

    event: ClassVar[str] = "crossed"

    def _says(self) -> str:
        return "the first offers crossed: a new connection for the other side's"


_LEFT_ASIDE = {
    "crossed": "it crossed an own offer, and this is the impolite side",
    "newer-offered": "a newer one was offered meanwhile",
    "no-description": "no description came for {ufrag}",
    "not-awaited": "not awaited while {state}",
    "offer-gone": "to offer {exchange}, which no longer stands",
    "old-generation": "of an older ICE generation, {ufrag}",
    "replaced": "a remote offer took its place",
    "symmetric": "of a symmetric network, whose first one will do",
}


@dataclass(frozen=True, slots=True)
class Ignored(Entry):
    """Something that came was of no use any more: `what`, and a code for `why`."""

    event: ClassVar[str] = "ignored"

    what: str
    why: str
    state: str | None = None
    exchange: int | None = None
    ufrag: str | None = None

    def _says(self) -> str:
        form = _LEFT_ASIDE.get(self.why)
        if form is None:
            return f"{self.what} left aside: {self.why}"
        facts = {"state": self.state, "exchange": self.exchange, "ufrag": self.ufrag}
        told = {name: "" if value is None else value for name, value in facts.items()}
        return f"{self.what} left aside: {form.format_map(told)}"


RESTARTS = {
    "person": "asked for by the person",
    "peer": "asked for by the other side",
    "credentials-expired": "the relays' credentials had expired",
    "credentials-renewed": "the relay's credentials were renewed",
    "direct-path": "looking for a direct path",
    "relays-needless": "the relays are not needed",
    "udp-again": "UDP gets out again",
}
"""Why ICE is restarted, where that is no attempt to mend the path: words by code."""


@dataclass(frozen=True, slots=True)
class Restart(Entry):
    """An ICE restart (RFC 8445, section 2.4); `reason` is a code, or the attempt that it is part of."""

    event: ClassVar[str] = "restart"
    key: ClassVar[str] = "reason"

    reason: str

    def _says(self) -> str:
        return f"ICE restart, {RESTARTS.get(self.reason, self.reason)}"


@dataclass(frozen=True, slots=True)
class RestartRefused(Entry):
    """The person asked for one that would have cost the path."""

    event: ClassVar[str] = "restart"
    key: ClassVar[str] = "refused"
    _mark = "!"

    refused: bool

    def _says(self) -> str:
        return "no ICE restart: no new relay is given, and the one in use would be lost"


@dataclass(frozen=True, slots=True)
class OperationFailed(Entry):
    """A method of `RTCPeerConnection` failed."""

    event: ClassVar[str] = "operation-failed"
    _mark = "!"

    operation: str
    error: str

    def _says(self) -> str:
        return f"{self.operation}: {self.error}"


@dataclass(frozen=True, slots=True)
class OperationWorks(Entry):
    """A method of `RTCPeerConnection` that failed, perhaps more than once, works again."""

    event: ClassVar[str] = "operation-works"

    operation: str

    def _says(self) -> str:
        return f"{self.operation} works again"
