"""A head start, in an ICE restart, for candidates of the kind that worked until then, and cheaper ones. Pure.

The side whose network did not change takes its old pair for good, and Chromium then checks one new pair every 480 ms.
With every relay of both sides there are some thirty of them, and the one that will work waits for its turn. So what
leads to a dearer kind of path is told a moment later: it is needed only where the old kind is no longer possible. It
does not wait where our network shows that it is not: when a relay answers and no address of ours was found by which
others could reach us over UDP, or when two servers saw two ports of one socket, which is a symmetric NAT (RFC 4787,
section 4.1).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol.ice import PATH_KINDS
from pyapp.protocol.peer import Candidate
from pyapp.protocol.wire import Scalar

TIMER = ConnectionTimer.HEAD_START

HEAD_START = 0.3
"""Seconds, beside one round trip."""


@dataclass(slots=True)
class HeadStart:
    """The candidates of ours that wait, in the order in which they were gathered."""

    waiting: list[Candidate | None] = field(default_factory=list)
    """None is the end of candidates."""
    _fragment: str = field(init=False, default="")
    """The ICE generation of the last candidate."""
    _reached: dict[str, set[int]] = field(init=False, default_factory=dict)
    """Where others could reach us over UDP, in this generation: ports by address."""

    def holds(self, candidate: Candidate, data: Mapping[str, Scalar], report: PathReport | None) -> bool:
        """Take `candidate`, which `data` describes, if it leads to a dearer kind of path than `report` tells of.

        What is cheaper never waits: relays need the other side's reflexive addresses for their permissions (RFC 8656,
        section 9).
        """
        self._learn(candidate, data)
        rank = _rank(str(data.get("type")), str(data.get("server")))
        is_held = report is not None and rank > PATH_KINDS.index(report.kind) and not self.is_pointless
        if is_held:
            self.waiting.append(candidate)
        return is_held

    @property
    def is_pointless(self) -> bool:
        """Whether our network leaves nothing that a relay could wait for."""
        return not self._reached or any(len(ports) > 1 for ports in self._reached.values())

    @property
    def reached(self) -> AbstractSet[str]:
        """The addresses by which others could reach us over UDP, in this generation."""
        return self._reached.keys()

    def holds_end(self) -> bool:
        """Take the end of candidates, if one of them still waits."""
        if self.waiting:
            self.waiting.append(None)
        return bool(self.waiting)

    def over(self) -> list[Candidate | None]:
        """Return what waited."""
        waiting, self.waiting = self.waiting, []
        return waiting

    def _learn(self, candidate: Candidate, data: Mapping[str, Scalar]) -> None:
        if candidate.username_fragment != self._fragment:
            self._fragment = candidate.username_fragment or ""
            self._reached.clear()
        address, port = str(data.get("address", "")), data.get("port")
        if data.get("type") == "relay" or data.get("protocol") != "udp" or address.endswith(".local"):
            return
        if isinstance(port, int):
            self._reached.setdefault(address, set()).add(port)


def _rank(type_: str, server: str) -> int:
    if type_ != "relay":
        return PATH_KINDS.index("direct")
    is_udp = server.startswith("turn:") and "transport=tcp" not in server
    return PATH_KINDS.index("relay over UDP" if is_udp else "relay over TCP")
