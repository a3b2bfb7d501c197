"""The counters, and how pages' journals feed them. No label names a session, a person or an address.

Labels have few values: a page's word becomes one only if it is known.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram

from backend.journal.relayed import carried_by
from backend.journal.ways import rank
from pyapp.protocol.entries.negotiation import RESTARTS
from pyapp.protocol.ice import IceError, parse_reported_url
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

_CONNECT = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30)
_OUTAGE = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)

_PATHS = ("direct", "relay")
_RELAY_PROTOCOLS = ("", "udp", "tcp", "tls")
EVIDENCE = (
    "silence",
    "not-heard",
    "no-echo",
    "network-changed",
    "disconnected",
    "failed",
    "channel-closed",
    "dtls-failed",
)
_RUNGS = ("restart", "relay-only", "tcp-only", "new-connection")
_STUN_CODES = (300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 500, 508, 600, 701)

_SETTLED = 30.0
"""Seconds after Connect within which the best path is looked for, if nothing disturbs that."""

_MOST_PAGES, _MOST_PAIRS = 4096, 16
_LONGEST = 3600.0
"""Seconds; a page's longer duration is not believed."""
_MOST_FREEZES = 100
"""Between two samples; more are not believed."""
_MOST_BYTES = 1 << 40
"""As above, of bytes between two entries."""


@dataclass(slots=True)
class _Page:
    """The state of a page load. Times are seconds of its clock."""

    latest: int = 0
    """The number of the latest entry counted, so that duplicates count once."""
    connecting: float | None = None
    is_second: bool = False
    """Whether the peer was there when it joined, so that its time to connect includes no waiting."""
    is_connected: bool = False
    is_direct: bool = False
    best: tuple[int, str, float] | None = None
    """Of the best path so far, until it is counted: its rank, what it is, and the seconds it took."""
    suspected: float = -math.inf
    """When the path was last in doubt."""
    evidence: str = "other"
    """Why it was."""
    relayed: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """Bytes by candidate pair."""


class Meters:
    """The counters. `hosts` are our STUN and TURN hosts; the others count as `other`."""

    def __init__(self, hosts: Callable[[], Collection[str]]) -> None:
        self.registry = CollectorRegistry()
        self._hosts = hosts
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        registry = self.registry
        self._joins = Counter("ice_console_joins", "Pages that asked for a place.", ["outcome"], registry=registry)
        self._refusals = Counter("ice_console_refusals", "Errors that pages were told.", ["code"], registry=registry)
        self._connect = Histogram(
            "ice_console_connect_seconds",
            "From Connect, with the other side there, to a path.",
            ["path"],
            buckets=_CONNECT,
            registry=registry,
        )
        self._direct = Histogram(
            "ice_console_direct_path_seconds",
            "From Connect, with the other side there, to a direct path.",
            buckets=_CONNECT,
            registry=registry,
        )
        self._best = Histogram(
            "ice_console_best_path_seconds",
            "From Connect, with the other side there, to the best path of the first half minute.",
            ["path"],
            buckets=_CONNECT,
            registry=registry,
        )
        self._outage = Histogram(
            "ice_console_outage_seconds",
            "Interruptions, from the last sign of life to the next.",
            buckets=_OUTAGE,
            registry=registry,
        )
        self._picture = Histogram(
            "ice_console_picture_outage_seconds",
            "Freezes of the received picture, from one frame to the next.",
            buckets=_OUTAGE,
            registry=registry,
        )
        self._paths = Counter(
            "ice_console_paths", "Paths that were taken into use.", ["path", "relay_protocol"], registry=registry
        )
        self._suspicions = Counter("ice_console_suspicions", "Doubts about a path.", ["evidence"], registry=registry)
        self._attempts = Counter("ice_console_recovery_attempts", "What was tried.", ["rung"], registry=registry)
        self._restarts = Counter(
            "ice_console_restarts", "ICE restarts, by evidence or another reason.", ["reason"], registry=registry
        )
        self._failures = Counter("ice_console_failures", "Sessions that could not go on.", registry=registry)
        self._ice_errors = Counter(
            "ice_console_ice_errors",
            "icecandidateerror events. 701 comes once for each network interface.",
            ["host", "code"],
            registry=registry,
        )
        self._relay_bytes = Counter(
            "ice_console_relay_bytes",
            "Bytes over each TURN host, both ways, as its own client counted them.",
            ["host", "protocol"],
            registry=registry,
        )
        self._joined, _ = (self._joins.labels(outcome) for outcome in ("joined", "refused"))
        for path in _PATHS:
            self._connect.labels(path)
            self._best.labels(path)

    def joined(self) -> None:
        """Count a page that has joined."""
        self._joined.inc()

    def refused(self, code: str, *, is_join: bool) -> None:
        """Count an error that was sent to a page: one of the server's own codes."""
        self._refusals.labels(code).inc()
        if is_join:
            self._joins.labels("refused").inc()

    def heard(self, participant: str, entries: Sequence[JournalEntry]) -> None:
        """Count a page's journal entries."""
        page = self._pages.pop(participant, None) or _Page()
        self._pages[participant] = page
        while len(self._pages) > _MOST_PAGES:
            self._pages.popitem(last=False)
        for entry in entries:
            if entry.number > page.latest:
                page.latest = entry.number
                self._count(page, entry)

    def _count(self, page: _Page, entry: JournalEntry) -> None:
        data, at = entry.data, entry.at / 1000
        if page.best and page.connecting is not None and at > page.connecting + _SETTLED:
            self._settle(page)
        match entry.event:
            case "session" if "policy" in data:
                self._settle(page)
                page.connecting, page.is_second, page.is_connected, page.is_direct = at, False, False, False
            case "session":  # it hung up
                self._settle(page)
            case "signaling" if "alone" in data:
                page.is_second = data["alone"] is False
            case "pair" | "sample":
                self._relayed(page, data, is_new=entry.event == "pair")
                if entry.event == "pair":
                    self._pair(page, data, at)
                else:
                    self._frozen(page, data, at)
            case "recovered":
                if (seconds := _seconds(data.get("seconds"))) is not None:
                    self._outage.observe(seconds)
            case "suspect":
                self._settle(page)
                page.suspected, page.evidence = at, _known(data.get("evidence"), EVIDENCE)
                self._suspicions.labels(page.evidence).inc()
            case "attempt":
                self._attempts.labels(_known(data.get("rung"), _RUNGS)).inc()
            case "restart" if "reason" in data:
                self._restarts.labels(_reason(data["reason"], page.evidence)).inc()
            case "failed":
                self._failures.inc()
            case "candidate-error":
                code = data.get("code")
                word = str(code) if type(code) is int and code in _STUN_CODES else "other"
                self._ice_errors.labels(self._host(data.get("url")), word).inc()
            case _:
                pass

    def _pair(self, page: _Page, data: Mapping[str, Scalar], at: float) -> None:
        path = _known(data.get("path"), _PATHS)
        self._paths.labels(path, _known(data.get("relay_protocol") or "", _RELAY_PROTOCOLS)).inc()
        took = _seconds(at - page.connecting) if page.connecting is not None and page.is_second else None
        if took is None or path not in _PATHS:
            return
        at_rank = rank(path, data.get("local_type"), data.get("relay_protocol"))
        if not page.is_connected:
            page.is_connected = True
            self._connect.labels(path).observe(took)
            page.best = (at_rank, path, took)
        elif page.best and at_rank < page.best[0]:
            page.best = (at_rank, path, took)
        if at_rank == 0:
            self._settle(page)
        if path == "direct" and not page.is_direct:
            page.is_direct = True
            self._direct.observe(took)

    def _settle(self, page: _Page) -> None:
        """Count the best path, once: a better one will not come, or would not be due to the first connection."""
        if page.best:
            _, path, took = page.best
            self._best.labels(path).observe(took)
            page.best = None

    def _frozen(self, page: _Page, data: Mapping[str, Scalar], at: float) -> None:
        """Count the freezes since the last sample; several of them with their mean."""
        freezes, frozen, seconds = data.get("freezes"), data.get("frozen_ms"), _seconds(data.get("seconds"))
        if type(freezes) is not int or not 0 < freezes <= _MOST_FREEZES or type(frozen) is not int or seconds is None:
            return
        if frozen / 1000 > seconds and page.suspected < at - seconds - frozen / 1000:
            return  # it began before the last sample, when the path was well: the camera was off
        if (mean := _seconds(frozen / 1000 / freezes)) is not None:
            for _ in range(freezes):
                self._picture.observe(mean)

    def _relayed(self, page: _Page, data: Mapping[str, Scalar], *, is_new: bool) -> None:
        """Count the bytes over this side's relay; the peer's page reports its own.

        Every pair begins with an entry of its own (`is_new`). If that was told to an earlier run of the server, so was
        what it had carried by then.
        """
        if data.get("local_type") != "relay":
            return
        carried = carried_by(data)
        pair = f"{data.get('pair')} {data.get('ufrag')}"
        before = page.relayed.pop(pair, 0 if is_new else carried)
        more = carried - before
        page.relayed[pair] = max(carried, before) if more < _MOST_BYTES else before
        while len(page.relayed) > _MOST_PAIRS:
            page.relayed.popitem(last=False)
        if 0 < more < _MOST_BYTES:
            protocol = _known(data.get("relay_protocol") or "udp", _RELAY_PROTOCOLS)
            self._relay_bytes.labels(self._host(data.get("server")), protocol).inc(more)

    def _host(self, url: Scalar) -> str:
        try:
            host = parse_reported_url(url).host if isinstance(url, str) else ""
        except IceError:
            host = ""
        return host if host in self._hosts() else "other"


def _known(word: Scalar, words: Collection[str]) -> str:
    return word if isinstance(word, str) and word in words else "other"


def _reason(reason: Scalar, evidence: str) -> str:
    """Return why ICE was restarted: an attempt (`attempt 2`) is due to what put the path in doubt."""
    return evidence if isinstance(reason, str) and reason.startswith("attempt ") else _known(reason, RESTARTS)


def _seconds(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < _LONGEST else None
