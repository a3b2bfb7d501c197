"""Candidates and candidate pairs with the results of their connectivity checks, from `getStats()`."""

from collections.abc import Mapping
from dataclasses import dataclass
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


def checked_pairs(stats: Stats, report: PathReport | None) -> list[CheckedPair]:
    """Return the pairs: the one in use first, then those that work, then the others."""
    result = []
    for key, entry in stats.items():
        if entry.get("type") != "candidate-pair":
            continue
        local, remote = stats.get(entry.get("localCandidateId", "")), stats.get(entry.get("remoteCandidateId", ""))
        if local is None or remote is None or remote.get("usernameFragment") == UNCHECKED:
            continue
        sent, answered = entry.get("requestsSent"), int(entry.get("responsesReceived") or 0)
        outcome = _outcome(str(entry.get("state") or ""), sent, answered)
        if report is not None and key == report.pair:
            outcome = "in-use"
        asked, trip = int(entry.get("requestsReceived") or 0), entry.get("currentRoundTripTime")
        ends = candidate_facts(local), candidate_facts(remote)
        result.append(CheckedPair(key, *ends, outcome, sent, answered, asked, trip))
    order: tuple[Outcome, ...] = ("in-use", "works", "checking", "waiting", "no-answer", "failed")
    return sorted(result, key=lambda pair: (order.index(pair.outcome), pair.id))


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
