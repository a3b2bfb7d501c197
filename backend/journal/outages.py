"""The outages of a recorded session. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.journal.reading import Told
from pyapp.protocol import entries

TOGETHER = 5.0
"""Seconds within which what both ends tell is about the same."""
_LONGEST_OPEN = 60.0
"""Seconds after which a suspicion is no part of an outage whose end was not told."""

_NOTICED = 2.0
"""Seconds from a change of the network to the silence that it explains."""

CAUSES = {
    "network-changed": "the network of {who} changed",
    "dtls-failed": "the encryption (DTLS) failed at the side of {who}",
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
    who: list[str]
    """To whom that happened, by name: only networks change at both ends."""
    seconds: float | None = None
    ended: float | None = None
    path: str = ""
    """That was in use afterwards, if it is another one."""
    left: str = ""
    """Who left before it ended."""
    left_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it did not end, though people waited for that."""
        return self.seconds is None and (self.left_at is None or self.left_at > self.began + TOGETHER)

    def holds(self, at: float) -> bool:
        """Whether a path that was taken at `at` is one that the outage led to."""
        return self.began <= at <= (self.ended or self.began) + TOGETHER


def find_outages(told: Sequence[Told], names: Mapping[str, str]) -> list[Outage]:
    """Return the outages, with names by participant. What both ends noticed at about the same time is one.

    A path that ends because somebody has left is none.
    """
    found: list[Outage] = []
    open_ones: dict[str, Outage] = {}
    changed: dict[str, float] = {}
    """By participant: when its network changed last."""
    for one in told:
        entry = one.entry
        if isinstance(entry, entries.Suspect):
            evidence, who = entry.evidence, names[one.participant]
            began = one.at - entry.silence_ms / 1000
            last = found[-1] if found else None
            if last is None or (last.ended is not None and began > last.ended) or began > last.began + _LONGEST_OPEN:
                last = Outage(began, evidence, [who])
                found.append(last)
                for participant, at in changed.items():
                    if at >= began - _NOTICED:
                        _explain(last, "network-changed", names[participant])
            else:
                _explain(last, evidence, who)
            last.began = min(last.began, began)
            open_ones.setdefault(one.participant, last)
        elif isinstance(entry, entries.Network) and entry.certain:
            changed[one.participant] = one.at
            if found and one.at <= (found[-1].ended or found[-1].began + TOGETHER):
                _explain(found[-1], "network-changed", names[one.participant])
        elif isinstance(entry, entries.Recovered):
            over = open_ones.pop(one.participant, None)
            if over is not None:
                over.seconds = max(over.seconds or 0.0, entry.seconds)
                over.ended = max(over.ended or 0.0, one.at)
    return [one for one in found if one.seconds is not None or not _is_end(one, told, names)]


def _explain(outage: Outage, evidence: str, who: str) -> None:
    """Take what says more about the cause."""
    if _weight(evidence) < _weight(outage.evidence):
        outage.evidence, outage.who = evidence, [who]
    elif evidence == outage.evidence == "network-changed" and who not in outage.who:
        outage.who.append(who)


def _is_end(outage: Outage, told: Sequence[Told], names: Mapping[str, str]) -> bool:
    """Return whether an open outage is only how one end saw that the other one left; else note who left in it."""
    for one in told:
        has_left = (isinstance(one.entry, entries.ServerLeft) and one.is_ours) or isinstance(one.entry, entries.HungUp)
        if not has_left or one.at < outage.began - TOGETHER:
            continue
        if outage.evidence == "channel-closed" and one.at <= outage.began + TOGETHER:
            return True
        if one.at <= outage.began:
            return True
        outage.left, outage.left_at = names[one.participant], one.at
        break
    return False


def _weight(evidence: str) -> int:
    return list(CAUSES).index(evidence) if evidence in CAUSES else len(CAUSES)
