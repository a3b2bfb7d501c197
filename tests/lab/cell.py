"""One cell of the grid: two pages meet, and everything that can be said of it is written down."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error as BrowserError

from tests.lab.browser import hang_up
from tests.lab.judge import Found, Verdict, found, judge
from tests.lab.recorded import account_of, misjudged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.lab.browser import End
    from tests.lab.expect import Best
    from tests.lab.lab import Lab
    from tests.lab.servers import Served

_OPENING = 25_000  # ms: Chromium gives up after some 15 s
_SETTLING = 6.0  # s that a better path may take to be chosen
_GATHERING = 1_000  # ms: where a server never answers, gathering takes ten seconds
_TELLING = 5_000  # ms: the console looks at its path every two seconds
_RELEASING = 5.0  # s for relays to be given up, and for the journal's last lines: on a busy machine

_OF_LEAVING = "WebSocket is closed before the connection is established."
"""Who is left alone takes the closed channel for a lost path, and is about to open a new socket when it leaves too."""

_JOURNALED = frozenset(
    {
        *("session", "ice-configuration", "signaling", "peer", "description", "ignored", "restart"),
        *("candidate-error", "operation-failed", "refused", "failed", "fault"),
    }
)
"""What of the console's own journal goes into a timeline: the rest the instrument has seen itself."""


@dataclass(kw_only=True)
class Story:
    """One end of a cell. Times are ms after the second end's click."""

    host: str
    path: Found | None
    first_candidate: float | None
    connected: float | None  # ICE
    opened: float | None  # the channel
    settled: float | None  # on the path that was expected
    relayed: float = 0.0  # ms over a relay, of those between the open channel and that path
    said: dict[str, str]  # the page's own data-… attributes
    candidates: list[str]
    timeline: list[tuple[float, str, str]]  # ms, what, text
    snap: bool  # SCTP parameters in this end's description
    stats: dict[str, Any]
    problems: list[str]


@dataclass(kw_only=True)
class Cell:
    """A pair, how it came out, and both ends: the first waited, the second clicked when that was there."""

    name: str
    left: str
    right: str
    relation: str
    subject: str
    ms: float  # one way, at each site
    expected: str
    path: str  # host, direct or relay, as expected: times are compared within one
    verdict: Verdict
    is_special: bool = False  # not one of the square of kinds
    rest: float | None = None  # s between a fresh page and its click
    ends: tuple[Story, Story] | None = None
    relays_made: dict[str, int] = field(default_factory=dict)
    relays_held: int = 0  # while connected, at both servers
    relays_left: int = 0  # after both had hung up, and the patience for it
    session: str = ""  # its name in the record
    account: list[tuple[str, str]] = field(
        default_factory=list
    )  # of the record: the rule and the text of each sentence
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0  # of the whole cell

    @property
    def channel_ms(self) -> float | None:
        """From the second's click to its open channel."""
        return self.ends[1].opened if self.ends else None

    @property
    def best_ms(self) -> float | None:
        """From the open channel to the expected path at both ends; None: that was not waited for any longer."""
        if not self.ends or any(end.settled is None for end in self.ends):
            return None
        return max(0.0, *((end.settled or 0.0) - (end.opened or 0.0) for end in self.ends))

    @property
    def found(self) -> str:
        """What was chosen, at both ends."""
        return " | ".join(end.path.line() if end.path else "none" for end in self.ends) if self.ends else "none"

    @property
    def letter(self) -> str:
        """H host, D direct, R one relay, RR two: of what was chosen, the worse end's."""
        paths = [end.path for end in self.ends or () if end.path]
        if not paths:
            return ""
        return "R" * max(path.relays for path in paths) or max(path.path for path in paths).name[0]

    @property
    def good(self) -> bool:
        """Whether a run may end well with it. How good the yardstick's paths are is not the question."""
        worst = (Verdict.WORSE,) if self.subject == "yardstick" else ()
        return not self.problems and self.verdict in (Verdict.OK, *worst)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        value = asdict(self)
        value["verdict"] = self.verdict.value
        value["found"] = self.found
        value["letter"] = self.letter
        value["channel_ms"] = self.channel_ms
        value["best_ms"] = self.best_ms
        for end, story in zip(value["ends"] or (), self.ends or (), strict=True):
            end["path"] = story.path.line() if story.path else None
        return value


def measure(
    cell: Cell, lab: Lab, served: Served, ends: tuple[End, End], expected: Best, *, session: str, camera: bool = False
) -> bool:
    """Let two pages meet and fill in `cell`; say whether the pages can be used again."""
    begin = time.monotonic()
    first, second = ends
    try:
        reports = _meet(first, second, session, expected, camera=camera, rest=cell.rest)
        cell.relays_made = {server.node: server.allocations(session).made for server in (lab.turn1, lab.turn2)}
        cell.relays_held = _held(lab, session)
        problems = [end.take_problems() for end in ends]
        hang_up(ends)
        for end, so_far in zip(ends, problems, strict=True):
            so_far += [problem for problem in end.take_problems() if not problem.endswith(_OF_LEAVING)]
    except (BrowserError, AssertionError) as error:
        cell.problems.append(f"the pages did not play: {error}")
        cell.problems += [problem for end in ends for problem in end.take_problems()]
        cell.seconds = time.monotonic() - begin
        return False
    clicked = reports[1]["clicked"]
    journals = _journals(served, session)
    stories = [
        _story(end, report, clicked, journal, near=_near(end, other), problems=complaints)
        for end, other, report, journal, complaints in zip(ends, ends[::-1], reports, journals, problems, strict=True)
    ]
    cell.ends = (stories[0], stories[1])
    usable = all(report["opened"] for report in reports)
    cell.verdict = judge(expected, *(story.path if usable else None for story in stories))
    cell.problems += [f"{story.host}: {problem}" for story in stories for problem in story.problems]
    if served.subject == "console":
        cell.problems += [problem for story in stories for problem in _lies(story)]
    if (recorded := served.journal) and usable:
        cell.session = session
        paths = [story.path for story in stories if story.path]

        def is_told() -> bool:
            cell.account = [(one.rule, one.text) for one in account_of(recorded, session).sentences]
            have_left = sum(rule == "left" for rule, _ in cell.account) == len(ends)
            return have_left and not misjudged(cell.account, paths)

        if (ended := _told_ends(served, session)) < len(ends):
            cell.problems.append(f"the record has the end of {ended} pages, not of {len(ends)}")
        wait_until(is_told, _RELEASING)
        cell.problems += misjudged(cell.account, paths)
    wait_until(lambda: _held(lab, session) == 0, _RELEASING)
    cell.relays_left = _held(lab, session)
    cell.seconds = time.monotonic() - begin
    return usable


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition that no page can be asked for; say whether it came to hold."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def _meet(
    first: End, second: End, session: str, expected: Best, *, camera: bool, rest: float | None
) -> list[dict[str, Any]]:
    ends = (first, second)
    if rest is None:
        for end in ends:
            end.begin(session, camera=camera)
    for end in ends:
        if rest is None:
            end.connect()
        else:
            end.arrive(session, rest)
        if end is first:
            first.expect_state("waiting")
            # Whoever waits has usually waited for long.
            first.ask("gathered", _GATHERING)
    opened = [end.ask("opened", _OPENING) for end in ends]
    if all(opened):

        def is_best() -> bool:
            for end in ends:
                end.ask("told", _TELLING)
            paths = [found(end.ask("path"), _near(end, other)) for end, other in (ends, ends[::-1])]
            return judge(expected, *paths) is Verdict.OK

        for end in ends:
            end.ask("gathered", _GATHERING)
        if wait_until(is_best, _SETTLING):
            for end in ends:
                end.ask("settled")
        for end, other in (ends, ends[::-1]):
            text = f"{session} from {end.host.node}"
            end.say(text)
            other.expect_message(text)
    return [end.ask("report") for end in ends]


def _held(lab: Lab, session: str) -> int:
    return lab.turn1.allocations(session).held + lab.turn2.allocations(session).held


def _journals(served: Served, session: str) -> list[list[dict[str, Any]]]:
    """Return what each end told the console's server, the first one's first; nothing of the yardstick."""
    if not served.journal:
        return [[], []]

    wait_until(lambda: _told_ends(served, session) >= 2, _RELEASING)
    entries = served.entries(session)
    begun = {e["participant"]: e["at"] for e in reversed(entries) if e["data"].get("session") == session}
    order = sorted(begun, key=begun.__getitem__)[:2]
    journals = [[e for e in entries if e["participant"] == who] for who in order]
    return [*journals, [], []][:2]


def _told_ends(served: Served, session: str) -> int:
    """Return how many pages have told the end: the last that a page says is that it hung up, or that it failed."""
    return sum(
        entry["event"] == "failed" or (entry["event"], entry["data"]) == ("session", {})
        for entry in served.entries(session)
    )


def _near(end: End, other: End) -> list[str]:
    """Return the addresses of the other end's host, if both are on one LAN."""
    host = other.host
    return [str(address) for address in (host.ipv4, host.ipv6) if address] if host.place is end.host.place else []


def _story(
    end: End,
    report: dict[str, Any],
    clicked: float | None,
    journal: Sequence[dict[str, Any]],
    *,
    near: list[str],
    problems: list[str],
) -> Story:
    zero = clicked or 0.0
    events = [(round(event["at"] - zero, 1), event["what"], event["text"]) for event in report["events"]]
    if report["clicked"]:
        events.append((round(report["clicked"] - zero, 1), "click", ""))
    events += [
        (round(entry["at"] - zero, 1), f"console: {entry['event']}", _words(entry["data"]))
        for entry in journal
        if entry["event"] in _JOURNALED
    ]
    events.sort(key=lambda event: event[0])

    def when(what: str, *texts: str) -> float | None:
        times = [at for at, name, text in events if name == what and (not texts or text in texts)]
        return min(times) if times else None

    settled = round(report["settled"] - zero, 1) if report["settled"] else None
    opened = when("channel open")
    return Story(
        host=end.host.node,
        path=found(report["path"], near),
        first_candidate=when("candidate"),
        connected=when("iceConnectionState", "connected", "completed"),
        opened=opened,
        settled=settled,
        relayed=relayed(events, opened, events[-1][0] if settled is None else settled) if opened is not None else 0.0,
        said=report["said"],
        candidates=[
            f"{one['type']} {one['protocol']} {one['address']}:{one['port']}"
            + (f" over {one['relayProtocol']}" if one["relayProtocol"] else "")
            + (f" from {one['url']}" if one["url"] else "")
            for one in report["candidates"]
        ],
        timeline=events,
        snap=report["snap"],
        stats=report["path"] or {},
        problems=problems,
    )


def relayed(events: Sequence[tuple[float, str, str]], opened: float, until: float) -> float:
    """Return for how many ms, from the open channel on, a relay was in use at either end of the pair selected here."""
    pairs = [(at, "relay " in f"{text} ") for at, what, text in events if what == "pair"]
    ends = [at for at, _ in pairs[1:]] + [until]
    return round(
        sum(
            max(min(end, until) - max(at, opened), 0.0) for (at, relay), end in zip(pairs, ends, strict=False) if relay
        ),
        1,
    )


def _words(data: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in data.items() if value not in (None, ""))[:300]


def _lies(story: Story) -> list[str]:
    """Compare what the console says of itself and its path, by its contract, with what the browser says."""
    if (state := story.said.get("state")) != "connected":
        return [] if story.opened is None else [f"{story.host}: its channel was open, and the page said {state!r}"]
    if not story.path:
        return []
    path = story.path
    truth = {
        "path": "relay" if path.relays else "direct",
        "localCandidate": path.local,
        "remoteCandidate": path.remote,
        "protocol": path.protocol,
        "relayProtocol": path.leg.name.lower() if path.leg is not None else "",
    }
    return [
        f"{story.host}: for {_TELLING} ms the page said {name}={story.said.get(name)!r}, getStats {value!r}"
        for name, value in truth.items()
        if story.said.get(name) != value
    ]
