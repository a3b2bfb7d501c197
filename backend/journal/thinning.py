"""What of a session's record goes first when there is too much: the quiet middle, sample by sample. Pure.

A session that runs for days mostly says that nothing happened. How it began, its outages, how it ended: that is what
somebody wants to know afterwards. So the order is:

0. samples of quiet times in the middle, first those where they are densest;
1. other entries of quiet times in the middle, the oldest first;
2. samples of the last times, first those where they are densest;
3. samples beside an outage, likewise;
4. the entries of outages, and those of the last times, the oldest first.

The beginning, which is at most a quarter, stays for as long as the session is kept at all.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from math import inf

from pyapp.protocol.entries import TROUBLE, WELL

AROUND = 15.0
"""Seconds before and after an outage that belong to it."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry: `at` is in seconds of our clock, `told` of its page's, `size` in bytes.

    `key` identifies it: by a participant, and a number that is that participant's.
    """

    key: tuple[int, int]
    at: float
    told: float
    event: str
    size: int
    is_sample: bool = False


def to_drop(rows: Sequence[Row], *, limit: int) -> list[Row]:
    """Return what to drop of `rows`, oldest first, so that the others take at most `limit` bytes."""
    excess = sum(row.size for row in rows) - limit
    dropped: list[Row] = []
    if excess <= 0:
        return dropped
    for row in _in_order(rows, limit):
        dropped.append(row)
        excess -= row.size
        if excess <= 0:
            break
    return dropped


def _in_order(rows: Sequence[Row], limit: int) -> Iterable[Row]:
    """Return the rows that may be dropped, in the order in which they go."""
    head = _fitting(rows, limit // 4)
    rest = rows[head:]
    middle, last = rest[: (end := len(rest) - _fitting(rest[::-1], limit // 4))], rest[end:]
    troubled = _outages(rows)
    quiet = [row for row in middle if not troubled.holds(row.at)]
    beside = [row for row in rest if troubled.holds(row.at)]
    lately = [row for row in last if not troubled.holds(row.at)]
    yield from _densest_first(row for row in quiet if row.is_sample)
    yield from (row for row in quiet if not row.is_sample)
    yield from _densest_first(row for row in lately if row.is_sample)
    yield from _densest_first(row for row in beside if row.is_sample)
    yield from sorted((row for row in (*beside, *lately) if not row.is_sample), key=lambda row: row.at)


def _fitting(rows: Iterable[Row], size: int) -> int:
    """Return how many of the first rows take at most `size` bytes."""
    taken = count = 0
    for row in rows:
        taken += row.size
        if taken > size:
            break
        count += 1
    return count


@dataclass(slots=True)
class _Outages:
    """When something was wrong: times from and to, in the order in which they begin."""

    begins: list[float]
    ends: list[float]

    def holds(self, at: float) -> bool:
        """Whether `at` is in one of them, or beside it."""
        before = bisect_right(self.begins, at + AROUND)
        return bool(before) and at <= self.ends[before - 1] + AROUND


def _outages(rows: Iterable[Row]) -> _Outages:
    found = _Outages([], [])
    begun: float | None = None
    for row in rows:
        if row.event in TROUBLE and begun is None:
            begun = row.at
        elif row.event in WELL:
            found.begins.append(row.at if begun is None else begun)
            found.ends.append(row.at)
            begun = None
    if begun is not None:  # how long it took is not known: it must not protect the rest of a day
        found.begins.append(begun)
        found.ends.append(begun)
    return found


def _densest_first(rows: Iterable[Row]) -> Iterable[Row]:
    """Return all of `rows`, always that one next without which the gap in what its page told is the shortest.

    A session is thinned again and again. Each time, this goes on where there is most, in every page alike. The clock is
    the page's, because what an outage kept back arrives in one moment. It may be set back: that is a gap as well.
    """
    left = list(rows)
    before: list[int | None] = []
    after: list[int | None] = [None] * len(left)
    latest: dict[int, int] = {}
    for place, row in enumerate(left):
        before.append(last := latest.get(row.key[0]))
        latest[row.key[0]] = place
        if last is not None:
            after[last] = place

    def gap(place: int) -> float:
        one, other = before[place], after[place]
        return inf if one is None or other is None else abs(left[other].told - left[one].told)

    waiting = [(gap(place), place) for place in range(len(left))]
    heapify(waiting)
    while waiting:
        known, place = waiting[0]
        if known < (now := gap(place)):  # its neighbour has gone
            heapreplace(waiting, (now, place))
            continue
        heappop(waiting)
        one, other = before[place], after[place]
        if one is not None:
            after[one] = other
        if other is not None:
            before[other] = one
        yield left[place]
