"""A head start, in an ICE restart, for candidates of the kind that worked before, and of cheaper kinds. Pure.

The side whose network did not change believes that its old pair still works, and Chromium then checks one new pair
every 480 ms. With every relay of both sides there are some thirty pairs, and the one that will work waits its turn. So
candidates for a more expensive kind of path are sent a moment later: they are needed only where the old kind is no
longer possible. They are not delayed when our network shows that: when a relay answers and we have found no address at
which we can be reached over UDP, or when two servers saw two ports of one socket, which means a symmetric NAT (RFC
4787, section 4.1).
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol.entries import LocalCandidate
from pyapp.protocol.ice import PATH_KINDS
from pyapp.protocol.peer import Candidate

TIMER = ConnectionTimer.HEAD_START

HEAD_START = 0.3
"""Seconds, plus one RTT."""


@dataclass(slots=True)
class HeadStart:
    """Our delayed candidates, in the order in which they were gathered."""

    waiting: list[Candidate | None] = field(default_factory=list)
    """None is the end of candidates."""
    _fragment: str = field(init=False, default="")
    """The ICE generation of the last candidate."""
    _reached: dict[str, set[int]] = field(init=False, default_factory=dict)
    """Where we can be reached over UDP, in this generation: ports by address."""

    def holds(self, candidate: Candidate, entry: LocalCandidate, report: PathReport | None) -> bool:
        """Delay `candidate`, described by `entry`, if its kind of path is more expensive than that in `report`.

        Cheaper ones are never delayed: relays need the peer's reflexive addresses for their permissions (RFC 8656,
        section 9).
        """
        self._learn(candidate, entry)
        rank = _rank(entry.type, entry.server)
        is_held = report is not None and rank > PATH_KINDS.index(report.kind) and not self.is_pointless
        if is_held:
            self.waiting.append(candidate)
        return is_held

    @property
    def is_pointless(self) -> bool:
        """Whether our network offers nothing better than a relay, so that delaying is pointless."""
        return not self._reached or any(len(ports) > 1 for ports in self._reached.values())

    @property
    def reached(self) -> AbstractSet[str]:
        """The addresses at which we can be reached over UDP, in this generation."""
        return self._reached.keys()

    def holds_end(self) -> bool:
        """Delay the end of candidates, if any candidate is delayed."""
        if self.waiting:
            self.waiting.append(None)
        return bool(self.waiting)

    def over(self) -> list[Candidate | None]:
        """Return what was delayed."""
        waiting, self.waiting = self.waiting, []
        return waiting

    def _learn(self, candidate: Candidate, entry: LocalCandidate) -> None:
        if candidate.username_fragment != self._fragment:
            self._fragment = candidate.username_fragment or ""
            self._reached.clear()
        if entry.type != "relay" and entry.protocol == "udp" and not entry.address.endswith(".local"):
            self._reached.setdefault(entry.address, set()).add(entry.port)


def _rank(type_: str, server: str) -> int:
    if type_ != "relay":
        return PATH_KINDS.index("direct")
    is_udp = server.startswith("turn:") and "transport=tcp" not in server
    return PATH_KINDS.index("relay over UDP" if is_udp else "relay over TCP")
