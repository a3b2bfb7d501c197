"""Candidates and candidate pairs with the results of their connectivity checks, from `getStats()`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyapp.core.commands import UNCHECKED
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport, candidate_facts

Outcome: TypeAlias = Literal["in-use", "works", "failed", "no-answer", "checking", "waiting"]


@dataclass(frozen=True, slots=True)
class CheckedPair:
    """A candidate pair (webrtc-stats, section 8.18). `sent` and `answered` count our checks, `asked` the peer's.

    `sent` is None in a browser that does not count them (Firefox ESR 153).
    """

    id: str
    local: CandidateFacts
    remote: CandidateFacts
    outcome: Outcome
    sent: int | None = 0
    answered: int = 0
    asked: int = 0
    round_trip: float | None = None
    """Seconds."""


Stats: TypeAlias = Mapping[str, Mapping[str, Any]]


_ORDER: tuple[Outcome, ...] = ("in-use", "works", "checking", "waiting", "no-answer", "failed")


@dataclass(slots=True)
class Checks:
    """Builds `CheckedPair`s, and keeps those whose entries are the same objects as last time."""

    _made: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], bool, CheckedPair]] = field(
        init=False, default_factory=dict
    )
    """By id: the entries of the pair and its ends, whether it was in use, and what was made of that."""

    def pairs(self, stats: Stats, report: PathReport | None) -> list[CheckedPair]:
        """Return the pairs: the one in use first, then those that work, then the others."""
        before, self._made = self._made, {}
        for key, entry in stats.items():
            if entry.get("type") != "candidate-pair":
                continue
            local, remote = stats.get(entry.get("localCandidateId", "")), stats.get(entry.get("remoteCandidateId", ""))
            if local is None or remote is None or remote.get("usernameFragment") == UNCHECKED:
                continue
            in_use = report is not None and key == report.pair
            made = before.get(key)
            if not (made and made[0] is entry and made[1] is local and made[2] is remote and made[3] == in_use):
                made = (entry, local, remote, in_use, _checked(key, entry, local, remote, in_use=in_use))
            self._made[key] = made
        found = (made[4] for made in self._made.values())
        return sorted(found, key=lambda pair: (_ORDER.index(pair.outcome), pair.id))


def _checked(
    key: str, entry: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], *, in_use: bool
) -> CheckedPair:
    sent, answered = entry.get("requestsSent"), int(entry.get("responsesReceived") or 0)
    outcome = "in-use" if in_use else _outcome(str(entry.get("state") or ""), sent, answered)
    asked, trip = int(entry.get("requestsReceived") or 0), entry.get("currentRoundTripTime")
    return CheckedPair(key, candidate_facts(local), candidate_facts(remote), outcome, sent, answered, asked, trip)


def candidates(stats: Stats, side: Literal["local", "remote"]) -> list[CandidateFacts]:
    """Return the candidates of one side, each once, by type and address."""
    entries = (entry for entry in stats.values() if entry.get("type") == f"{side}-candidate")
    found = {candidate_facts(entry) for entry in entries if entry.get("usernameFragment") != UNCHECKED}
    order = ("host", "srflx", "prflx", "relay")
    return sorted(found, key=lambda one: (order.index(one.type) if one.type in order else 4, one.address, one.port))


def mapped_address(stats: Stats, report: PathReport) -> str:
    """Return our public address as a STUN or TURN server sees it, or empty."""
    if report.local.type in ("srflx", "prflx"):
        return report.local.address
    for entry in stats.values():
        if entry.get("type") == "local-candidate" and entry.get("candidateType") == "srflx":
            return str(entry.get("address") or "")
    return ""


def _outcome(state: str, sent: int | None, answered: int) -> Outcome:
    if state == "succeeded":
        return "works"
    if state == "failed":
        return "failed"
    if sent is None:
        return "checking" if state == "in-progress" else "waiting"
    if sent and not answered:
        return "no-answer" if sent > 3 else "checking"
    return "checking" if sent else "waiting"
