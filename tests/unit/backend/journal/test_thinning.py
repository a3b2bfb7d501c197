"""A session that is too large: what stays, and what goes."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backend.journal.thinning import AROUND, Row, to_drop
from pyapp.protocol.entries import SAMPLES


def row(number: int, event: str = "stats", *, at: float | None = None, size: int = 100, page: int = 1) -> Row:
    at = number if at is None else at
    return Row((page, number), at, at, event, size, is_sample=event in SAMPLES)


def kept(rows: list[Row], limit: int) -> list[Row]:
    dropped = {one.key for one in to_drop(rows, limit=limit)}
    return [one for one in rows if one.key not in dropped]


def a_day() -> list[Row]:
    """Return a sample for every 10 s, and outages of 3 s at noon and in the evening."""
    events = {5000: "suspect", 5001: "recovered", 7000: "suspect", 7001: "recovered"}
    return [row(number, events.get(number, "stats"), at=number * 10.0) for number in range(8640)]


def test_the_quiet_middle_goes_first() -> None:
    rows = a_day()
    left = kept(rows, 300_000)
    assert sum(one.size for one in left) <= 300_000
    assert left[:750] == rows[:750], "the beginning"
    assert left[-750:] == rows[-750:], "the end"
    for at in (50_000, 70_000):
        beside = [one for one in rows if at - AROUND <= one.at <= at + 10 + AROUND]
        assert [one for one in left if one in beside] == beside
    middle = [one.at for one in left if 10_000 < one.at < 45_000]
    gaps = [after - before for before, after in pairwise(middle)]
    assert max(gaps) <= 2 * min(gaps), "it gets sparse, and has no hole"


def test_the_beginning_and_the_outages_outlive_the_last_times() -> None:
    rows = a_day()
    left = kept(rows, 20_000)
    assert left[:50] == rows[:50]
    assert {one.event for one in left} >= {"suspect", "recovered"}
    assert len([one for one in left if one.event != "stats"]) == 4


def test_an_outage_of_which_no_end_was_told_does_not_protect_the_rest_of_the_day() -> None:
    rows = [row(number, "suspect" if number == 100 else "stats", at=number * 10.0) for number in range(8640)]
    assert sum(one.size for one in kept(rows, 100_000)) <= 100_000


def test_both_pages_are_thinned_evenly_however_often() -> None:
    rows: list[Row] = []
    for hour in range(24):
        for number in range(hour * 360, hour * 360 + 360):
            rows += [row(number, at=number * 10.0 + page, page=page) for page in (1, 2)]
        rows = kept(rows, 100_000)
    for page in (1, 2):
        times = [one.at for one in rows if one.key[0] == page]
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) <= 640, "a half of the limit is for quiet times: a sample in 303 s, if it were quite even"


def test_what_an_outage_kept_back_is_not_denser_than_what_came_at_once() -> None:
    rows = [replace(one, at=45_000.0) if 30_000 < one.at < 45_000 else one for one in a_day()]
    times = [one.told for one in kept(rows, 300_000)]
    assert max(after - before for before, after in pairwise(times)) <= 80


def test_a_clock_that_is_set_back_takes_nothing_with_it() -> None:
    rows = [replace(one, told=one.told - 30_000) if one.at > 40_000 else one for one in a_day()]
    times = [one.at for one in kept(rows, 300_000)]
    assert max(after - before for before, after in pairwise(times)) <= 80


def test_nothing_goes_that_need_not() -> None:
    rows = a_day()
    assert to_drop(rows, limit=sum(one.size for one in rows)) == []


@given(
    st.lists(st.tuples(st.sampled_from(["stats", "state", "suspect", "recovered"]), st.integers(1, 300))),
    st.integers(1, 4000),
)
def test_whatever_was_told_it_fits_and_each_row_goes_once(told: list[tuple[str, int]], limit: int) -> None:
    rows = [row(number, event, size=size) for number, (event, size) in enumerate(told)]
    dropped = to_drop(rows, limit=limit)
    assert len({one.key for one in dropped}) == len(dropped)
    assert sum(one.size for one in rows) - sum(one.size for one in dropped) <= limit
