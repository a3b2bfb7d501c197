"""How far each page's clock is off: puts the entries of both pages on the server's time axis. Pure.

A page notes when it asks for its place and when it has it, and the server when it gives it: as in NTP (RFC 5905,
section 8), the server's moment is in the middle of the page's two. The shortest round trip is the most accurate.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST_JOIN = 10.0
"""Seconds; a join that took longer says nothing."""


def offsets(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return what to add to the times of each participant, seconds, from `entries` in the order in which they came."""
    asked: dict[str, float] = {}
    seated: dict[str, float] = {}
    best: dict[str, tuple[float, float]] = {}
    latest: dict[str, float] = {}
    for entry in entries:
        who, at, event = entry["participant"], entry["at"] / 1000, entry["event"]
        if not entry["number"]:
            if event == "server-joined":
                seated[who] = at
            continue
        late = entry["time"] - at
        latest[who] = min(late, latest.get(who, late))
        if event == "session":
            asked[who] = at
        elif event == "signaling" and "alone" in entry["data"] and who in asked and who in seated:
            trip = at - asked.pop(who)
            if 0 <= trip <= _LONGEST_JOIN and trip < best.get(who, (_LONGEST_JOIN + 1, 0.0))[0]:
                best[who] = (trip, seated[who] - (at - trip / 2))
    # Without a join, the entry that arrived fastest gives an upper bound.
    return latest | {who: offset for who, (_, offset) in best.items()}
