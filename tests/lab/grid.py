"""The grid: the pairs of kinds, and a run over them, with the yardstick beside the console if wanted."""

from __future__ import annotations

import contextlib
import enum
import secrets
import statistics
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Self

from tests.lab import kinds
from tests.lab.browser import Fleet
from tests.lab.cell import Cell, measure
from tests.lab.delay import Delay
from tests.lab.expect import Relation, best
from tests.lab.judge import Verdict
from tests.lab.sites import Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import BrowserType

    from tests.lab.kinds import Kind
    from tests.lab.lab import Lab
    from tests.lab.servers import Served
    from tests.lab.sites import Host, Place

_SAME_ADDRESSES = IPv4Network("192.168.1.0/24")


class Snap(enum.Enum):
    """Which browsers support SNAP (SCTP parameters in SDP, draft-hancke-tsvwg-snap; Chromium's `WebRtcSctpSnap`)."""

    OFF = "off"
    BOTH = "both"
    ONE = "one"
    """The one that waits, and so offers: the other must ignore what it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pair of kinds, and where they are relative to each other. The left one waits, the right one joins."""

    left: Kind
    right: Kind
    relation: Relation = Relation.APART
    camera: bool = False
    first_turn_dead: bool = False
    rest: float | None = None
    """Seconds from ready to the click on fresh pages, at both ends; None: pages that were used before."""

    @property
    def name(self) -> str:
        """A sentence, nearly."""
        words = [f"{self.left.name} x {self.right.name}"]
        if self.relation is not Relation.APART:
            words.append(self.relation.value)
        if self.camera:
            words.append("camera")
        if self.first_turn_dead:
            words.append("first TURN server dead")
        if self.rest is not None:
            words.append(resting(self.rest))
        return ", ".join(words)


def resting(seconds: float) -> str:
    """Say how long the pages had been ready when they were clicked."""
    return f"after {seconds:g} s at rest" if seconds else "clicked at once"


PERMITTED = (
    (kinds.FULL_CONE, kinds.RESTRICTED),
    (kinds.SYMMETRIC, kinds.TLS_443_ONLY),
    (kinds.UDP_BLOCKED, kinds.HTTP_PROXY),
    (kinds.DUAL_STACK, kinds.V6_ONLY),
    (kinds.NAT64, kinds.SYMMETRIC),
)
"""Pairs that represent each class of path, run with camera permission as well."""


def square(chosen: Sequence[Kind]) -> list[Case]:
    """Every kind with every kind: each pair twice, with the roles swapped."""
    return [Case(left=left, right=right) for left in chosen for right in chosen]


def half(chosen: Sequence[Kind]) -> list[Case]:
    """Each pair of the square once."""
    return [Case(left=left, right=right) for at, left in enumerate(chosen) for right in chosen[at:]]


def specials(chosen: Sequence[Kind]) -> list[Case]:
    """Return the pairs that do not meet across the internet."""
    cases = [Case(left=kind, right=kind, relation=Relation.SAME_LAN) for kind in chosen]
    cases += [Case(left=kind, right=kind, relation=Relation.SAME_CARRIER) for kind in chosen if kind.carrier]
    cases += [
        Case(left=kind, right=kind, relation=Relation.SAME_ADDRESSES)
        for kind in (kinds.PORT_RESTRICTED, kinds.SYMMETRIC)
        if kind in chosen
    ]
    cases += [
        Case(left=kind, right=kind, relation=relation, camera=True)
        for kind in (kinds.PORT_RESTRICTED, kinds.SYMMETRIC, kinds.DUAL_STACK)
        for relation in (Relation.SAME_LAN, Relation.APART)
        if kind in chosen
    ]
    cases += [Case(left=left, right=right, camera=True) for left, right in PERMITTED if {left, right} <= {*chosen}]
    cases += [
        Case(left=kind, right=kind, first_turn_dead=True)
        for kind in (kinds.SYMMETRIC, kinds.UDP_BLOCKED)
        if kind in chosen
    ]
    return cases


class Stage:
    """Sites and browsers for the cases. One site of each kind stays; what else a case needs is set up for it alone."""

    def __init__(self, lab: Lab, chromium: BrowserType, *, ms: float) -> None:
        self._lab = lab
        self._delay = Delay(ms=ms)
        self._fleet = Fleet(chromium, lab)
        self._places: list[Place] = []
        self._stack = contextlib.ExitStack()
        self._cases = 0
        self._numbers = 0
        self._run = secrets.token_hex(3)

    def __enter__(self) -> Self:
        self._stack.callback(lambda: self._take_down(self._places[:]))
        self._stack.enter_context(self._fleet)
        return self

    def __exit__(self, *exc: object) -> None:
        """Close all browsers, take all sites down."""
        self._stack.close()

    def play(
        self, case: Case, servers: Sequence[Served], *, camera: bool = False, snap: Snap = Snap.OFF
    ) -> Iterator[Cell]:
        """Measure a case with each subject. They take turns going first, since the second finds warm caches."""
        self._cases += 1
        camera = camera or case.camera
        with self._hosts(case) as hosts, self._dead_turn(case):
            for served in servers if self._cases % 2 else servers[::-1]:
                yield self._cell(case, served, hosts, camera=camera, snap=snap)

    def _cell(self, case: Case, served: Served, hosts: tuple[Host, Host], *, camera: bool, snap: Snap) -> Cell:
        expected = best(case.left, case.right, case.relation, offered=served.offered)
        self._numbers += 1
        cell = Cell(
            name=case.name,
            left=case.left.name,
            right=case.right.name,
            relation=case.relation.value,
            subject=served.subject,
            ms=self._delay.ms,
            expected=expected.line(),
            path=expected.path.name.lower(),
            verdict=Verdict.FAILED,
            is_special=case != Case(left=case.left, right=case.right),
            rest=case.rest,
        )
        first, second = (
            self._fleet.end(host, served, camera=camera, snap=knows)
            for host, knows in zip(hosts, (snap is not Snap.OFF, snap is Snap.BOTH), strict=True)
        )
        # All of one length, so that no session's name is part of another's: relays are counted by name.
        session = f"{served.subject}-{self._run}-{self._numbers:05}"
        if not measure(cell, self._lab, served, (first, second), expected, session=session, camera=camera):
            self._fleet.discard(first)
            self._fleet.discard(second)
        return cell

    @contextlib.contextmanager
    def _hosts(self, case: Case) -> Iterator[tuple[Host, Host]]:
        if case.relation is Relation.SAME_ADDRESSES or case.camera:
            with self._extra(case, "left") as left, self._extra(case, "right", after=left) as right:
                yield left.hosts[0], (left.hosts[1] if case.relation is Relation.SAME_LAN else right.hosts[0])
            return
        left = self._standing(case.left)
        if case.relation is Relation.SAME_LAN:
            yield left.hosts[0], left.hosts[1]
        elif case.left == case.right:
            with self._extra(case, "twin", after=left) as right:
                yield left.hosts[0], right.hosts[0]
        else:
            yield left.hosts[0], self._standing(case.right).hosts[0]

    def _standing(self, kind: Kind) -> Place:
        return self._lab.network.places.get(kind.name) or self._put_up(
            Site(name=kind.name, kind=kind, hosts=2, delay=self._delay)
        )

    def _put_up(self, site: Site) -> Place:
        place = self._lab.attach(site)
        self._places.append(place)
        return place

    @contextlib.contextmanager
    def _extra(self, case: Case, name: str, *, after: Place | None = None) -> Iterator[Place]:
        place = self._put_up(
            Site(
                name=name,
                kind=case.left if name == "left" else case.right,
                hosts=2,
                delay=self._delay,
                lan=_SAME_ADDRESSES if case.relation is Relation.SAME_ADDRESSES else None,
                same_carrier_as=after.site.name if after and case.relation is Relation.SAME_CARRIER else None,
            )
        )
        try:
            yield place
        finally:
            self._take_down([place])

    @contextlib.contextmanager
    def _dead_turn(self, case: Case) -> Iterator[None]:
        if not case.first_turn_dead:
            yield
            return
        self._lab.turn1.kill()
        try:
            yield
        finally:
            self._lab.turn1.start()
            self._lab.turn1.wait()

    def _take_down(self, places: Sequence[Place]) -> None:
        for place in places:
            for host in place.hosts:
                self._fleet.close(host.node)
            self._lab.detach(place)
            self._places.remove(place)


_SLOW = 1.05  # times the yardstick's: two runs differ by as much
_SLOW_AT_REST, _SLOW_AT_ONCE = 1.25, 1.6  # without delay, where the comparison is of processor time


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Console beside yardstick: the medians of the cells of one class, in ms."""

    path: str
    cells: int
    console: float
    yardstick: float
    wanted: float | None  # at most

    @property
    def ratio(self) -> float:
        """Above 1: the console is slower."""
        return self.console / self.yardstick

    @property
    def is_slow(self) -> bool:
        """Whether the run fails because of it."""
        return self.wanted is not None and self.ratio > self.wanted


def ratios(cells: Sequence[Cell]) -> list[Ratio]:
    """Compare the times to an open channel, by class of path, over the cells that both subjects reached."""
    times: dict[tuple[str, str, float | None], dict[str, float]] = {}
    for cell in cells:
        if cell.channel_ms is not None and cell.verdict is not Verdict.FAILED:
            path = cell.path if cell.rest is None else f"{cell.path}, {resting(cell.rest)}"
            times.setdefault((path, cell.name, _wanted(cell)), {})[cell.subject] = cell.channel_ms
    both = {key: value for key, value in times.items() if len(value) == 2}
    result = []
    for path, wanted in sorted({path: wanted for path, _, wanted in both}.items()):
        of_path = [value for (where, *_), value in both.items() if where == path]
        result.append(
            Ratio(
                path=path,
                wanted=wanted,
                cells=len(of_path),
                console=statistics.median(value["console"] for value in of_path),
                yardstick=statistics.median(value["yardstick"] for value in of_path),
            )
        )
    return result


def _wanted(cell: Cell) -> float | None:
    if cell.ms:
        return _SLOW
    if cell.rest is None:  # the time that used pages take depends on what they were used for
        return None
    return _SLOW_AT_REST if cell.rest else _SLOW_AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Relays:
    """TURN allocations a connection, as the servers count them: medians over the cells of one class and subject."""

    subject: str
    path: str
    cells: int
    made: float
    held: float  # when the cell had settled, some seconds after it connected
    left: int  # cells with a relay still held some seconds after both had hung up


def relays(cells: Sequence[Cell]) -> list[Relays]:
    """Count relays by subject and class of path, over the cells that connected."""
    classes: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.verdict is not Verdict.FAILED:
            classes.setdefault((cell.subject, cell.path), []).append(cell)
    return [
        Relays(
            subject=subject,
            path=path,
            cells=len(of_class),
            made=statistics.median(sum(cell.relays_made.values()) for cell in of_class),
            held=statistics.median(cell.relays_held for cell in of_class),
            left=sum(cell.relays_left > 0 for cell in of_class),
        )
        for (subject, path), of_class in sorted(classes.items())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """From the open channel to the best path at both ends, in ms: medians and longest of one class and subject."""

    subject: str
    path: str
    cells: int
    median: float
    longest: float
    relayed: float  # ms over a relay before it, the longest at either end
    never: int  # cells in which that was not seen within some seconds


def settlings(cells: Sequence[Cell]) -> list[Settling]:
    """Say how soon the best path was found, by subject and class of path, over the cells that connected."""
    classes: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.verdict is not Verdict.FAILED and cell.ends:
            classes.setdefault((cell.subject, cell.path), []).append(cell)
    found = []
    for (subject, path), of_class in sorted(classes.items()):
        times = [cell.best_ms for cell in of_class if cell.best_ms is not None]
        found.append(
            Settling(
                subject=subject,
                path=path,
                cells=len(of_class),
                median=statistics.median(times) if times else 0.0,
                longest=max(times, default=0.0),
                relayed=max(end.relayed for cell in of_class for end in cell.ends or ()) if path != "relay" else 0.0,
                never=len(of_class) - len(times),
            )
        )
    return found
