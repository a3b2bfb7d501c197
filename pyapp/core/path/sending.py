"""Whether the browser sends what it was given to send.

A camera may be previewed and yet not be sent: Chromium's WebRTC passes over frames in formats such as that of depth
cameras (Y16), without an error. So what was sent is counted, and the person is told if it does not grow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pyapp.core.events import TrackKind
from pyapp.core.path.facts import Output
from pyapp.core.path.outside import Outside
from pyapp.protocol import entries

STILL_FOR = 3.0
"""Seconds without a frame (video) or a packet (sound)."""

_COUNTED: dict[TrackKind, str] = {"video": "framesEncoded", "audio": "packetsSent"}


class Health(Protocol):
    """Whether anything can be sent now: the `Recovery` of a connection."""

    @property
    def is_suspect(self) -> bool:
        """Whether the path has stopped working, or may have."""


@dataclass(slots=True)
class _Sent:
    """A track that is to be sent, by the number of the request for it."""

    number: int
    count: int
    """What its sender had sent when that was last seen to grow."""
    since: float
    """When that was."""
    is_still: bool = False


@dataclass(slots=True)
class Sending:
    """What one connection sends. Times are seconds on the runner's clock."""

    health: Health
    outside: Outside
    _sent: dict[TrackKind, _Sent] = field(init=False, default_factory=dict)

    @property
    def unsent(self) -> frozenset[TrackKind]:
        """What is to be sent, and is not."""
        wanted = self.outside.sent
        return frozenset(kind for kind, one in self._sent.items() if one.is_still and wanted.get(kind) == one.number)

    def measure(self, stats: Mapping[str, Mapping[str, Any]], now: float) -> list[Output]:
        """Look at what was sent, by the entries of `getStats()`."""
        wanted = self.outside.sent
        self._sent = {kind: one for kind, one in self._sent.items() if wanted.get(kind) == one.number}
        result: list[Output] = []
        for kind, number in wanted.items():
            if (count := _count(stats, kind)) is None:
                continue  # not negotiated yet
            one = self._sent.setdefault(kind, _Sent(number, count, now))
            if count > one.count:
                one.count, one.since, one.is_still = count, now, False
            elif self.health.is_suspect:
                one.since = now
            elif not one.is_still and now - one.since >= STILL_FOR:
                one.is_still = True
                result.append(entries.NotSent(kind, round(now - one.since, 1)))
        return result


def _count(stats: Mapping[str, Mapping[str, Any]], kind: TrackKind) -> int | None:
    streams = [one for one in stats.values() if one.get("type") == "outbound-rtp" and one.get("kind") == kind]
    return sum(int(one.get(_COUNTED[kind]) or 0) for one in streams) if streams else None
