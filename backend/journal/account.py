"""What happened in a session, in sentences and in figures, from its record. Pure.

Each sentence has a rule, by whose id it is found and tested. What is told of one entry is that entry's own sentence
(`Told.text`); the words for what follows from several are here. Times stand beside the sentences, because the reader's
browser knows the reader's time zone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from backend.journal.outages import CAUSES, TOGETHER, Outage, find_outages
from backend.journal.reading import BESIDE, Recorded, Told
from backend.journal.ways import Change, Path, Relays, Ways, is_ipv6, rank_of, site_of
from pyapp.protocol import entries
from pyapp.protocol.entries import SAMPLES, Entered, Entry, Joined, LocalCandidate, Pair, ServerJoined

_UNTOLD = SAMPLES | BESIDE


@dataclass(frozen=True, slots=True)
class Sentence:
    """`rule` is its id; `at` is Unix time, seconds."""

    rule: str
    at: float
    text: str


@dataclass(slots=True)
class _Page:
    """What one page load told."""

    name: str
    asked: float | None = None
    was_second: bool = False
    took: float | None = None
    connected: float | None = None
    """When it first had a path, Unix time, seconds."""
    first: Pair | None = None
    """That path."""
    path: Path = ""
    has_come: bool = False
    lost: Told | None = None
    """When the server lost it, while it has not come again."""
    best: tuple[int, float] | None = None
    """Rank and seconds of the best path before the first outage."""
    types: set[tuple[str, str]] = field(default_factory=set)
    """Of its candidates, each with the ICE generation that gathered it (`ufrag`)."""
    policy: str = "all"
    ways: Ways = field(default_factory=Ways)
    site: str = ""
    """The network from which the server saw it come."""
    is_host: bool = False
    """Whether a pair was in use whose candidate at this end is the machine's own address (RFC 8445, section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The sentences, and the figures of a list. Seconds; None: not known."""

    sentences: list[Sentence]
    outcome: str
    connect_seconds: float | None
    best_seconds: float | None
    paths: list[Path]
    outages: list[Outage]


def account(session: Recorded) -> Account:
    """Return the account of a recorded session."""
    told = [one for one in session.told if one.event not in _UNTOLD]
    pages = {one.id: _Page(_name(one.name, number)) for number, one in enumerate(session.participants, start=1)}
    names = {identifier: page.name for identifier, page in pages.items()}
    sentences: list[Sentence] = []
    paths: dict[Path, None] = {}
    relays = Relays(told)
    outages = find_outages(told, names)
    undisturbed = outages[0].began if outages else inf
    for one in told:
        page = pages[one.participant]
        _learn(page, one, undisturbed)
        if isinstance(one.entry, Pair):
            path = relays.path(one, one.entry)
            paths[path] = None
            page.path = page.path or path
            # The latest: another may have ended a moment before it.
            outage = next((each for each in reversed(outages) if each.holds(one.at)), None)
            if outage:
                outage.path = path
            page.ways.take(one.at, path, is_told=not outage)
        else:
            sentences += _sentence(one, page)
    sentences += [_quoted("server-lost", page.lost, page) for page in pages.values() if page.lost]
    connected = [page for page in pages.values() if page.first]
    if not connected and not any(one.rule == "failed" for one in sentences) and told:
        sentences.append(Sentence("not-connected", told[-1].at, _why_not(pages)))
    second = next((page for page in connected if page.was_second and page.took is not None), None)
    beginning = list(_connected(connected))
    is_direct = any(one.rule in ("connected-direct", "connected-lan") for one in beginning)
    for page in connected:
        changes = page.ways.changes(direct_since=beginning[0].at if is_direct else None)
        # The other page may have seen it before this one had any path.
        sentences += (_path_sentence(change, max(change.at, beginning[0].at)) for change in changes)
    sentences = [*_once([*beginning, *sentences]), *map(_outage_sentence, outages)]
    sentences.sort(key=lambda one: one.at)
    return Account(
        sentences=sentences,
        outcome=_outcome(connected, sentences, outages, len(pages)),
        connect_seconds=second.took if second else None,
        best_seconds=second.best[1] if second and second.best else None,
        paths=list(paths),
        outages=outages,
    )


# One page.


def _name(name: str, number: int) -> str:
    return name or f"Guest {number}"


def _learn(page: _Page, one: Told, undisturbed: float) -> None:
    """Learn from an entry; how well it connected is a question of the time until the first outage."""
    match one.entry:
        case Entered(policy=policy):
            page.asked, page.policy = one.at, policy or "all"
        case Joined(alone=alone) if page.first is None:
            page.was_second = not alone
        case LocalCandidate(type=kind, ufrag=ufrag) if kind:
            page.types.add((kind, ufrag or ""))
        case ServerJoined(address=address) if one.is_ours:
            page.site = page.site or site_of(address)
        case Pair() as pair:
            rank = rank_of(pair)
            seconds = one.at - page.asked if page.asked is not None else 0.0
            if page.first is None:
                page.first, page.connected = pair, one.at
                page.took = seconds if page.asked is not None else None
            if page.best is None or (rank < page.best[0] and one.at < undisturbed):
                page.best = (rank, seconds)
            if one.at < undisturbed:
                page.is_host = page.is_host or pair.local_type == "host"
        case _:
            pass


def _connected(pages: Sequence[_Page]) -> Iterator[Sentence]:
    """Say how long it took, of whoever came second: the other one has waited."""
    for page in sorted(pages, key=lambda one: not one.was_second)[:1]:
        if page.first is None or page.connected is None:
            continue
        after = f"Connected after {page.took:.1f} s" if page.was_second and page.took is not None else "Connected"
        path = page.path
        if path == "direct" and _are_near(pages):
            yield Sentence("connected-lan", page.connected, f"{after}, directly, within one network.")
        elif path == "direct":
            over = " over IPv6" if is_ipv6(page.first) else ""
            yield Sentence("connected-direct", page.connected, f"{after}, directly{over}.")
        else:
            why = _why_relay(pages)
            yield Sentence(
                "connected-relay", page.connected, f"{after} through {path}{f', because {why}' if why else ''}."
            )


def _are_near(pages: Sequence[_Page]) -> bool:
    """Return whether both machines are on one network: they came from one site, and no NAT was between them.

    The other end may be named `prflx` while its mDNS name is not resolved (RFC 8828), so each end speaks for itself.
    """
    return len(pages) == 2 and all(page.is_host for page in pages) and "" != pages[0].site == pages[1].site


def _why_relay(pages: Sequence[_Page]) -> str:
    if any(page.policy == "relay" for page in pages):
        return "only relays were allowed"
    blocked = [
        page.name
        for page in pages
        if page.first is not None
        and page.first.relay_protocol in ("tcp", "tls")
        and ("srflx", page.first.ufrag) not in page.types
    ]
    if len(blocked) > 1:
        return f"the networks of {' and '.join(blocked)} block UDP"
    if blocked:
        return f"the network of {blocked[0]} blocks UDP"
    return "" if any(page.best and page.best[0] == 0 for page in pages) else "no direct path worked"


def _why_not(pages: dict[str, _Page]) -> str:
    return "Nobody else came." if len(pages) < 2 else "The two were not connected."


_QUOTED: dict[type[Entry], str] = {
    entries.ServerJoined: "came",
    entries.ServerLeft: "left",
    entries.ServerLost: "server-lost",
    entries.Slept: "slept",
    entries.Failed: "failed",
    entries.RelaySuspected: "relay-died",
    entries.RelayWell: "relay-back",
    entries.StandbyUsed: "standby",
}
"""The rules by which an entry is told."""
_MOMENT = 1.0
"""Seconds without the server that nobody noticed: a page in doubt opens another socket, and drops the one before."""
_OF_BOTH = frozenset({"relay-died", "relay-back", "standby"})
"""Rules about what both pages share, whoever says so."""


def _sentence(one: Told, page: _Page) -> Iterator[Sentence]:
    rule = _QUOTED.get(type(one.entry), "")
    if not rule or (one.event.startswith("server-") and not one.is_ours):  # what the server saw, a page does not tell
        return
    if rule == "server-lost":
        page.lost = page.lost or one  # to be told when it is known for how long
        return
    if one.is_ours:
        lost, page.lost = page.lost, None
        if lost and rule == "came" and one.at - lost.at < _MOMENT:
            return
        if lost:
            yield _quoted("server-lost", lost, page)
    if rule == "came" and page.has_come:
        yield Sentence("server-back", one.at, f"{page.name} had the server again.")
        return
    page.has_come = page.has_come or rule == "came"
    yield _quoted(rule, one, page)


def _quoted(rule: str, one: Told, page: _Page) -> Sentence:
    """Return an entry's own sentence."""
    text = one.text
    if rule in _OF_BOTH:
        text = text[0].upper() + text[1:]
    else:
        text = f"{page.name} {text}" if one.is_ours else f"{page.name}: {text}"
    return Sentence(rule, one.at, f"{text}.")


def _path_sentence(change: Change, at: float) -> Sentence:
    if change.path == "direct":
        return Sentence("became-direct", at, "A direct path was found: the relay is not needed any more.")
    rule = "became-relay" if change.before == "direct" else "other-relay"
    return Sentence(rule, at, f"The path went through {change.path} from then on.")


# The whole.


def _outage_sentence(outage: Outage) -> Sentence:
    cause = CAUSES.get(outage.evidence, "the path of {who} was interrupted").format(
        who=" and ".join(sorted(outage.who))
    )
    if len(outage.who) > 1:
        cause = cause.replace("the network", "the networks", 1)
    cause = cause[0].upper() + cause[1:]
    if outage.seconds is None and outage.left:
        return Sentence("outage-left", outage.began, f"{cause}; {outage.left} left before it was back.")
    if outage.seconds is None:
        return Sentence("outage-open", outage.began, f"{cause}; it did not come back.")
    how = "" if not outage.path else ", directly" if outage.path == "direct" else f", through {outage.path}"
    return Sentence("outage", outage.began, f"{cause}; everything was back after {outage.seconds:.1f} s{how}.")


def _once(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Return them without what both ends say at about the same time."""
    kept: list[Sentence] = []
    for one in sorted(sentences, key=lambda one: one.at):
        if not any(one.text == other.text and one.at - other.at < TOGETHER for other in kept[-8:]):
            kept.append(one)
    return kept


def _outcome(connected: Sequence[_Page], sentences: Sequence[Sentence], outages: Sequence[Outage], pages: int) -> str:
    if any(one.rule == "failed" for one in sentences):
        return "failed"
    if not connected:
        return "alone" if pages < 2 else "not connected"
    return "interrupted" if outages and outages[-1].is_open else "connected"
