"""What is going on, as facts: the journal of a page load, the path from `getStats()`, verdicts in plain words."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyapp.protocol.ice import IceError, PathKind, parse_candidate, parse_ice_url
from pyapp.protocol.messages import MAX_JOURNAL_ENTRIES, Candidate, JournalEntry, Scalar, encode

Mark: TypeAlias = Literal[">", "<", "=", "!"]

SHOWN = 500
"""Lines kept for the page."""

BATCH_BYTES = 48 * 1024
"""Well under `MAX_FRAME_BYTES`, which the server enforces on the whole frame."""

KEPT = 2000
"""Entries kept for the server while signaling is away; the oldest go first, and their loss is counted."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the page. `mark` is `>` sent, `<` received, `=` state, `!` trouble; `at` is Unix time in ms."""

    number: int
    at: float
    mark: Mark
    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class Note:
    """An output of a part of the core beside its commands: an entry for the journal, as in `Journal.note`."""

    mark: Mark
    event: str
    text: str
    data: Mapping[str, Scalar]


def note(mark: Mark, event: str, text: str, **data: Scalar) -> Note:
    """Return a note."""
    return Note(mark, event, text, data)


@dataclass(slots=True)
class Journal:
    """The diagnostics of one page load: shown newest first, streamed to the server until it confirms them.

    `time_origin` is Unix time in milliseconds at the runner's time 0.
    """

    time_origin: float
    lines: tuple[LogLine, ...] = ()
    """The newest first, at most `SHOWN`."""
    _unconfirmed: deque[JournalEntry] = field(default_factory=deque)
    number: int = 0
    """Of the latest entry."""
    _streamed: int = 0

    def note(self, now: float, mark: Mark, event: str, text: str, **data: Scalar) -> None:
        """Add an entry; `now` is seconds on the runner's clock, `event` the machine's word and `text` the person's."""
        self.number += 1
        at = round(self.time_origin + now * 1000, 1)
        shortened = {name: value[:1024] if isinstance(value, str) else value for name, value in data.items()}
        detail = " ".join(
            f"{name.replace('_', '-')}={value}" for name, value in data.items() if value not in (None, "")
        )
        self.lines = (LogLine(self.number, at, mark, text, detail), *self.lines[: SHOWN - 1])
        self._unconfirmed.append(JournalEntry(self.number, at, event, shortened))
        if len(self._unconfirmed) > KEPT:
            self._unconfirmed.popleft()

    def next_batch(self) -> tuple[JournalEntry, ...]:
        """Return the entries to stream next, as many as fit into a frame, and count them as streamed."""
        batch: list[JournalEntry] = []
        size = 0
        for entry in self._unconfirmed:
            if entry.number <= self._streamed:
                continue
            size += len(encode(entry).encode()) + 1
            if batch and (size > BATCH_BYTES or len(batch) == MAX_JOURNAL_ENTRIES):
                break
            batch.append(entry)
        if batch:
            self._streamed = batch[-1].number
        return tuple(batch)

    @property
    def has_more(self) -> bool:
        """Whether something was not streamed yet."""
        return bool(self._unconfirmed) and self._unconfirmed[-1].number > self._streamed

    def confirmed(self, number: int) -> None:
        """Forget the entries up to and including `number`: the server keeps them."""
        while self._unconfirmed and self._unconfirmed[0].number <= number:
            self._unconfirmed.popleft()

    def stream_again(self) -> None:
        """Stream again what was not confirmed: the socket was replaced."""
        self._streamed = 0


@dataclass(frozen=True, slots=True)
class CandidateFacts:
    """One end of a pair, as `RTCIceCandidateStats` says (webrtc-stats, section 8.19)."""

    type: str
    protocol: str
    address: str = ""
    port: int = 0
    relay_protocol: str = ""
    url: str = ""
    username_fragment: str = ""

    def words(self) -> str:
        """Return `relay udp 192.0.2.1:5000 over tls`."""
        over = f" over {self.relay_protocol}" if self.relay_protocol else ""
        address = f" {self.address}:{self.port}" if self.address else ""
        return f"{self.type} {self.protocol}{address}{over}"


@dataclass(frozen=True, slots=True)
class PathReport:
    """The selected pair and its transport. None means not measured."""

    pair: str
    local: CandidateFacts
    remote: CandidateFacts
    round_trip: float | None = None
    """Seconds."""
    bytes_sent: int = 0
    bytes_received: int = 0
    dtls_state: str = ""
    tls_version: str = ""
    pair_changes: int = 0

    @property
    def path(self) -> Literal["direct", "relay"]:
        """Whether a relay carries it: at either end (RFC 8445, section 4)."""
        return "relay" if "relay" in (self.local.type, self.remote.type) else "direct"

    @property
    def kind(self) -> PathKind:
        """What the path costs. Of a relay of the other side's nothing is known here but that UDP leads to it."""
        if self.path == "direct":
            return "direct"
        is_udp = self.local.type != "relay" or self.local.relay_protocol in ("", "udp")
        return "relay over UDP" if is_udp else "relay over TCP"

    def line(self) -> str:
        """Return the report as one line that `grep` finds."""
        trip = "?" if self.round_trip is None else f"{self.round_trip * 1000:.0f}ms"
        return f"path={self.path} local={self.local.words()} remote={self.remote.words()} rtt={trip}"

    def data(self) -> dict[str, Scalar]:
        """Return the report as the fields of a journal entry."""
        return {
            "path": self.path,
            "pair": self.pair,
            "local_type": self.local.type,
            "local_protocol": self.local.protocol,
            "local_address": self.local.address,
            "relay_protocol": self.local.relay_protocol,
            "server": self.local.url,
            "remote_type": self.remote.type,
            "remote_protocol": self.remote.protocol,
            "remote_address": self.remote.address,
            "round_trip_ms": None if self.round_trip is None else round(self.round_trip * 1000, 1),
            "bytes_sent": self.bytes_sent,
            "bytes_received": self.bytes_received,
            "dtls_state": self.dtls_state,
            "tls_version": self.tls_version,
            "pair_changes": self.pair_changes,
            "ufrag": self.local.username_fragment,
        }


def path_report(stats: Mapping[str, Mapping[str, Any]]) -> PathReport | None:
    """Return the path in use from `getStats()` entries by id, or None while there is none.

    `RTCTransportStats.selectedCandidatePairId` is the only way to it that every browser has but Firefox, which says
    `selected` on the pair instead.
    """
    transport = next((entry for entry in stats.values() if entry.get("type") == "transport"), {})
    pair_id = transport.get("selectedCandidatePairId") or next(
        (key for key, entry in stats.items() if entry.get("type") == "candidate-pair" and entry.get("selected")), None
    )
    pair = stats.get(pair_id) if pair_id else None
    if not pair:
        return None
    local, remote = stats.get(pair.get("localCandidateId", "")), stats.get(pair.get("remoteCandidateId", ""))
    if not local or not remote:
        return None
    return PathReport(
        pair=str(pair_id),
        local=_candidate_facts(local),
        remote=_candidate_facts(remote),
        round_trip=pair.get("currentRoundTripTime"),
        bytes_sent=int(transport.get("bytesSent") or pair.get("bytesSent") or 0),
        bytes_received=int(transport.get("bytesReceived") or pair.get("bytesReceived") or 0),
        dtls_state=str(transport.get("dtlsState") or ""),
        tls_version=str(transport.get("tlsVersion") or ""),
        pair_changes=int(transport.get("selectedCandidatePairChanges") or 0),
    )


def _candidate_facts(entry: Mapping[str, Any]) -> CandidateFacts:
    return CandidateFacts(
        type=str(entry.get("candidateType") or ""),
        protocol=str(entry.get("protocol") or ""),
        address=str(entry.get("address") or ""),
        port=int(entry.get("port") or 0),
        relay_protocol=str(entry.get("relayProtocol") or ""),
        url=str(entry.get("url") or ""),
        username_fragment=str(entry.get("usernameFragment") or ""),
    )


def candidate_data(candidate: Candidate, url: str = "") -> dict[str, Scalar]:
    """Return what a journal says of a candidate: everything but its credentials."""
    if not candidate.candidate:
        return {"end": True, "ufrag": candidate.username_fragment}
    try:
        line = parse_candidate(candidate.candidate)
    except IceError as error:
        return {"problem": str(error)}
    return {
        "type": line.type,
        "protocol": line.protocol,
        "tcp_type": line.tcp_type,
        "address": line.address,
        "port": line.port,
        "priority": line.priority,
        "server": url,
        "mid": candidate.sdp_mid,
        "ufrag": candidate.username_fragment or line.username_fragment,
    }


def candidate_words(data: Mapping[str, Scalar]) -> str:
    """Return the short form of `candidate_data`."""
    if data.get("end"):
        return "end of candidates"
    if "problem" in data:
        return str(data["problem"])
    return f"candidate {data['type']} {data['protocol']} {data['address']}:{data['port']}"


@dataclass(slots=True)
class Gathering:
    """What came of asking the ICE servers: candidates by kind, and errors by server URL."""

    candidates: int = 0
    types: set[str] = field(default_factory=set)
    urls: set[str] = field(default_factory=set)
    errors: dict[str, dict[int, str]] = field(default_factory=dict)
    """By URL, then by code: the last error text."""

    def candidate(self, data: Mapping[str, Scalar]) -> None:
        """Count a local candidate."""
        if data.get("type"):
            self.candidates += 1
            self.types.add(str(data["type"]))
            self.urls.add(str(data.get("server") or ""))

    def error(self, url: str, code: int, text: str) -> None:
        """Count an `icecandidateerror`."""
        self.errors.setdefault(url, {})[code] = text

    @property
    def found_nothing(self) -> bool:
        """Whether there were errors, and no candidate."""
        return bool(self.errors) and not self.candidates

    def verdicts(self) -> list[str]:
        """Return a plain sentence for each server that is known to be of no use.

        Codes are those of STUN (RFC 8489, section 14.8; RFC 8656, section 19) and 701 for no answer (W3C WebRTC 1.0,
        section 4.8.3.1). A 701 alone proves nothing, since it comes once per network interface.
        """
        result = []
        for url, by_code in self.errors.items():
            if url in self.urls:
                continue
            name = _server_words(url)
            if by_code.keys() & {401, 403, 438, 441}:
                result.append(f"The relay server {name} refused our user name or password.")
            elif 486 in by_code:
                result.append(f"The relay server {name} has reached its limit of connections for us.")
            elif 508 in by_code:
                result.append(f"The relay server {name} has no capacity left.")
            elif 701 in by_code and url.startswith("turn"):
                result.append(f"The relay server {name} did not answer.")
        return list(dict.fromkeys(result))

    def causes(self) -> list[str]:
        """Return the technical form of the same, one line an error."""
        return [
            f"icecandidateerror {code} {text} ({url})"
            for url, by_code in self.errors.items()
            for code, text in by_code.items()
        ]


def _server_words(url: str) -> str:
    try:
        parsed = parse_ice_url(url)
    except IceError:
        return url
    return f"{parsed.host} ({parsed.transport.upper()} port {parsed.port})"
