"""The diagnostics while they are open: the way that packets take, the candidates, the pairs, and what is charted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from pyapp.core.diagnostics.checks import CheckedPair, Checks, Outcome, Stats, candidates, mapped_address
from pyapp.core.diagnostics.live import Live
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.path.connection import Connection
from pyapp.core.session import Session
from pyapp.view.status import is_near

MOST_ROWS = 40
"""Rows of a table: more candidates and pairs than that help nobody."""

_OUTCOMES: dict[Outcome, str] = {
    "in-use": "in use",
    "works": "works",
    "checking": "being checked",
    "waiting": "not checked yet",
    "no-answer": "no answer",
    "failed": "failed",
}
_TYPES = {"host": "own address", "srflx": "behind NAT", "prflx": "found on the way", "relay": "relay"}

HopKind: TypeAlias = Literal["end", "nat", "relay"]


@dataclass(frozen=True, slots=True)
class Hop:
    """A station on the way. `leg` is how it is reached from the one before, or empty."""

    kind: HopKind
    name: str
    note: str = ""
    leg: str = ""


@dataclass(frozen=True, slots=True)
class Insight:
    """What is in the panel. Nothing of it is computed while it is closed."""

    is_shown: bool = False
    live: Live = field(default_factory=Live)
    """The growing record itself; `count` shows when it has grown."""
    count: int = 0
    hops: tuple[Hop, ...] = ()
    way: str = ""
    """The way in a sentence."""
    pairs: tuple[tuple[str, ...], ...] = ()
    """Rows: ours, theirs, result, checks answered of sent, round trip."""
    candidates: tuple[tuple[str, ...], ...] = ()
    """Rows: whose, type, protocol, address, server."""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    if not session.succession.is_watched:
        return ()
    count, connection = session.journal.live.count, session.connection
    if connection is None:
        return count
    return count, connection.observation.stats, connection.established, connection.candidates.share_address


class InsightMaker:
    """Presents it, and keeps the rows of the tables, most of which stay as they are for long."""

    def __init__(self) -> None:
        self._checks = Checks()
        self._pairs: dict[str, tuple[CheckedPair, tuple[str, ...]]] = {}
        """By id, each with its row."""
        self._candidates: list[Mapping[str, Any]] = []
        self._rows: tuple[tuple[str, ...], ...] = ()
        """Made of them."""

    def insight(self, session: Session) -> Insight:
        """Present it."""
        if not session.succession.is_watched:
            return Insight()
        live, connection = session.journal.live, session.connection
        report = connection.report if connection and connection.established else None
        if connection is None or report is None:
            return Insight(True, live, live.count)
        stats = connection.observation.stats
        return Insight(
            True,
            live,
            live.count,
            hops(session, connection, report),
            _way(session, report),
            self._pair_rows(self._checks.pairs(stats, report)[:MOST_ROWS]),
            self._candidate_rows(stats),
        )

    def _pair_rows(self, pairs: Sequence[CheckedPair]) -> tuple[tuple[str, ...], ...]:
        before, self._pairs = self._pairs, {}
        for pair in pairs:
            known = before.get(pair.id)
            self._pairs[pair.id] = known if known and known[0] is pair else (pair, _pair(pair))
        return tuple(row for _, row in self._pairs.values())

    def _candidate_rows(self, stats: Stats) -> tuple[tuple[str, ...], ...]:
        entries = [entry for entry in stats.values() if entry.get("type") in ("local-candidate", "remote-candidate")]
        if entries != self._candidates:
            self._candidates = entries
            rows = [_candidate("yours", one) for one in candidates(stats, "local")]
            rows += [_candidate("theirs", one) for one in candidates(stats, "remote")]
            self._rows = tuple(dict.fromkeys(rows))[:MOST_ROWS]  # what the browser hides looks all the same
        return self._rows


CHARTS_LOADING = "Loading the charts…"
NO_CHARTS = "The charts did not load. To try again, close the diagnostics and open them again."
NO_SAMPLES = "Once you are connected, this shows how good the connection is, and was."


def hops(session: Session, connection: Connection, report: PathReport) -> tuple[Hop, ...]:
    """Return the stations from here to the peer."""
    local, remote = report.local, report.remote
    near = report.path == "direct" and is_near(session, report)
    protocol = "LAN" if near else local.protocol.upper()
    result = [Hop("end", "You", local.address if local.type == "host" else "")]
    mapped = "" if near else mapped_address(connection.observation.stats, report)
    if mapped and mapped != result[0].note:
        result.append(Hop("nat", "Your NAT", mapped))
    if local.type == "relay":
        name = session.relays.configuration.server_name(report.server) if report.server else local.address
        result.append(Hop("relay", "Your relay", name, local.relay_protocol.upper() or protocol))
    end = Hop("end", session.company.name or "Other side", remote.address if remote.type == "host" else "", protocol)
    if remote.type == "relay":
        result += [Hop("relay", "Their relay", remote.address, protocol), replace(end, leg="")]
    elif remote.type != "host" and not near:
        result += [Hop("nat", "Their NAT", remote.address, protocol), replace(end, leg="")]
    else:
        result.append(end)
    return tuple(result)


def _way(session: Session, report: PathReport) -> str:
    if report.path == "relay":
        way = "Through the internet and a relay, which cannot read what it passes on"
    elif is_near(session, report):
        way = "Within one network (LAN)"
    else:
        way = "Through the internet, without a relay"
    return f"{way}, over {report.family}." if report.family else f"{way}."


def _pair(pair: CheckedPair) -> tuple[str, ...]:
    trip = "" if pair.round_trip is None else f"{pair.round_trip * 1000:.0f} ms"
    checks = f"{pair.answered}" if pair.sent is None else f"{pair.answered} of {pair.sent}"
    return (_end(pair.local), _end(pair.remote), _OUTCOMES[pair.outcome], checks, trip)


def _candidate(whose: str, one: CandidateFacts) -> tuple[str, ...]:
    protocol = f"{one.protocol} over {one.relay_protocol}" if one.relay_protocol else one.protocol
    return (whose, _TYPES.get(one.type, one.type), protocol.upper().replace("OVER", "over"), _address(one), one.url)


def _end(one: CandidateFacts) -> str:
    return f"{_TYPES.get(one.type, one.type)} {_address(one)}"


def _address(one: CandidateFacts) -> str:
    if not one.address:
        return "(hidden by the browser)"
    host = f"[{one.address}]" if ":" in one.address else one.address
    return f"{host}:{one.port}"


def new_marks(insight: Insight, after: float) -> Sequence[dict[str, object]]:
    """Return what happened after `after` (seconds on the runner's clock), for the charts."""
    marks = (mark for mark in insight.live.marks if mark.at > after)
    return [{"at": mark.unix, "kind": mark.kind, "text": mark.text} for mark in marks]


def new_samples(insight: Insight, after: float) -> Sequence[dict[str, object]]:
    """Return what was measured after `after`, for the charts."""
    return [{"at": taken.unix, **taken.sample.data()} for taken in insight.live.since(after) if taken.at > after]
