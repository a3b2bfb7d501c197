"""The outages of a recorded session. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.journal.reading import Told
from pyapp.protocol.wire import Scalar

TOGETHER = 5.0
"""Seconds within which what both ends tell is about the same."""
_LONGEST_OPEN = 60.0
"""Seconds after which a suspicion is no part of an outage whose end was not told."""

CAUSES = {
    "network-changed": "the network of {who} changed",
    "channel-closed": "the connection was closed at the side of {who}",
    "failed": "the path failed at the side of {who}",
    "disconnected": "the path broke at the side of {who}",
    "not-heard": "{who} was not heard any more",
    "no-echo": "{who} was not heard any more",
    "silence": "{who} heard nothing any more",
}
"""By evidence; what comes first says more."""


@dataclass(slots=True)
class Outage:
    """An interruption. `seconds` is None if its end was not told; `began` is Unix time, seconds."""

    began: float
    evidence: str
    who: str
    seconds: float | None = None
    ended: float | None = None
    path: str = ""
    """That was in use afterwards, if it is another one."""

    def holds(self, at: float) -> bool:
        """Whether a path that was taken at `at` is one that the outage led to."""
        return self.began <= at <= (self.ended or self.began) + TOGETHER


def find_outages(told: Sequence[Told], names: Mapping[str, str]) -> list[Outage]:
    """Return the outages, with names by participant. What both ends noticed at about the same time is one."""
    found: list[Outage] = []
    open_ones: dict[str, Outage] = {}
    for one in told:
        if one.event == "suspect":
            evidence, who = str(one.data.get("evidence")), names[one.participant]
            began = one.at - number_of(one.data.get("silence_ms")) / 1000
            last = found[-1] if found else None
            if last is None or (last.ended is not None and began > last.ended) or began > last.began + _LONGEST_OPEN:
                last = Outage(began, evidence, who)
                found.append(last)
            elif _weight(evidence) < _weight(last.evidence):
                last.evidence, last.who = evidence, who
            last.began = min(last.began, began)
            open_ones.setdefault(one.participant, last)
        elif one.event == "recovered":
            over = open_ones.pop(one.participant, None)
            if over is not None:
                over.seconds = max(over.seconds or 0.0, number_of(one.data.get("seconds")))
                over.ended = max(over.ended or 0.0, one.at)
    return found


def _weight(evidence: str) -> int:
    return list(CAUSES).index(evidence) if evidence in CAUSES else len(CAUSES)


def number_of(value: Scalar) -> float:
    """Return a figure that a page told, 0 if it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
