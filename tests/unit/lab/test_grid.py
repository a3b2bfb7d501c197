"""The grid's cases, its comparison, its text: without a lab."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from tests.lab import kinds, report
from tests.lab.cell import Cell, Story
from tests.lab.expect import Leg, Path, best
from tests.lab.grid import Case, Stage, half, ratios, relays, settlings, specials, square
from tests.lab.judge import Found, Verdict


def _cell(subject: str, name: str, opened: float | None, *, path: str = "direct") -> Cell:
    story = Story(
        host=name,
        path=Found(local="srflx", remote="srflx") if opened else None,
        first_candidate=1.0,
        connected=opened,
        opened=opened,
        settled=opened,
        said={},
        candidates=[],
        timeline=[],
        snap=False,
        stats={},
        problems=[],
    )
    return Cell(
        name=name,
        left="public",
        right="full-cone",
        relation="apart",
        subject=subject,
        ms=25,
        expected=path,
        path=path,
        verdict=Verdict.OK if opened else Verdict.FAILED,
        ends=(story, story),
    )


def test_the_square_has_every_pair_in_both_orders() -> None:
    names = {case.name for case in square(kinds.ALL)}
    assert len(names) == len(kinds.ALL) ** 2
    assert {"public x nat64", "nat64 x public", "nat64 x nat64"} <= names


def test_half_of_the_square_has_every_pair_once() -> None:
    pairs = {frozenset((case.left.name, case.right.name)) for case in half(kinds.ALL)}
    assert pairs == {frozenset((case.left.name, case.right.name)) for case in square(kinds.ALL)}
    assert len(half(kinds.ALL)) == len(pairs)


def test_special_cases_have_names_of_their_own() -> None:
    names = [case.name for case in square(kinds.ALL) + specials(kinds.ALL)]
    assert len(set(names)) == len(names)
    assert "symmetric x symmetric, first TURN server dead" in names
    assert specials((kinds.PUBLIC,)) == [
        Case(left=kinds.PUBLIC, right=kinds.PUBLIC, relation=specials(kinds.ALL)[0].relation)
    ]


def test_cases_with_permission_stand_for_each_class_of_path() -> None:
    def classes(cases: list[Case]) -> set[tuple[Path, int]]:
        found = [best(case.left, case.right, case.relation) for case in cases]
        return {(each.path, each.relays) for each in found}

    cases = square(kinds.ALL) + specials(kinds.ALL)
    assert classes([case for case in cases if case.camera]) == classes(cases)


def test_the_two_pages_take_turns_in_going_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "_hosts", lambda _, case: contextlib.nullcontext(case))
    monkeypatch.setattr(Stage, "_cell", lambda _, case, served, *__, **___: _cell(served, case.name, 90.0))
    none: Any = None
    servers: Any = ["console", "yardstick"]
    stage = Stage(none, none, ms=0)
    cases = half((kinds.PUBLIC, kinds.FULL_CONE))
    assert [[cell.subject for cell in stage.play(case, servers)] for case in cases] == [
        ["console", "yardstick"],
        ["yardstick", "console"],
        ["console", "yardstick"],
    ]


def test_times_are_compared_within_a_class_and_where_both_connected() -> None:
    cells = [
        _cell("console", "a", 110.0),
        _cell("yardstick", "a", 100.0),
        _cell("console", "b", 130.0),
        _cell("yardstick", "b", 100.0),
        _cell("console", "c", None),
        _cell("yardstick", "c", 50.0),
        _cell("console", "d", 300.0, path="relay"),
    ]
    (ratio,) = ratios(cells)
    assert (ratio.path, ratio.cells, ratio.ratio) == ("direct", 2, 1.2)


@pytest.mark.parametrize(
    ("ms", "rest", "wanted"), [(0, None, None), (0, 0.0, 1.6), (0, 3.0, 1.25), (25, 0.0, 1.05), (25, None, 1.05)]
)
def test_without_delay_only_fresh_pages_are_judged(ms: float, rest: float | None, wanted: float | None) -> None:
    cells = [_cell("console", "a", 110.0), _cell("yardstick", "a", 100.0)]
    for cell in cells:
        cell.ms, cell.rest = ms, rest
    (ratio,) = ratios(cells)
    assert ratio.wanted == wanted
    assert ratio.is_slow is (wanted == 1.05)


def test_times_of_pages_at_rest_and_clicked_at_once_are_not_mixed() -> None:
    cells = [_cell(subject, f"a {rest}", 100.0) for rest in (0.0, 3.0) for subject in ("console", "yardstick")]
    for cell in cells:
        cell.ms, cell.rest = 0, float(cell.name.split()[1])
    assert [ratio.path for ratio in ratios(cells)] == ["direct, after 3 s at rest", "direct, clicked at once"]


def test_the_time_to_the_best_path_counts_from_the_open_channel_at_the_later_end() -> None:
    cells = [_cell("console", name, 100.0) for name in "abcd"] + [_cell("console", "failed", None)]
    for cell, settled in zip(cells, (100.0, 400.0, 2600.0, None), strict=False):
        assert cell.ends
        cell.ends = (cell.ends[0], replace(cell.ends[1], settled=settled, relayed=settled or 6000.0))
    (found,) = settlings(cells)
    assert (found.cells, found.median, found.longest, found.never, found.relayed) == (4, 300.0, 2500.0, 1, 6000.0)
    assert "best path 300 ms after the open channel, at most 2500" in report.text(cells, (kinds.PUBLIC,), [])


def test_relays_are_counted_by_class_and_subject_where_it_connected() -> None:
    cells = [_cell("console", name, 100.0) for name in "abc"] + [
        _cell("console", "d", None),
        _cell("yardstick", "a", 9.0),
    ]
    for cell, made, left in zip(cells, (4, 6, 11, 99, 8), (0, 2, 1, 0, 0), strict=True):
        cell.relays_made = {"turn1": made - 1, "turn2": 1}
        cell.relays_held = made
        cell.relays_left = left
    console, yardstick = relays(cells)
    assert (console.subject, console.path, console.cells) == ("console", "direct", 3)
    assert (console.made, console.held, console.left) == (6, 6, 2)
    assert (yardstick.subject, yardstick.made, yardstick.left) == ("yardstick", 8, 0)


def test_a_run_in_which_all_is_as_expected_has_nothing_against_it() -> None:
    cells = [_cell("console", "public x full-cone", 90.0), _cell("yardstick", "public x full-cone", 90.0)]
    assert report.objections(cells, 2) == []
    assert "Everything as expected." in report.text(cells, (kinds.PUBLIC, kinds.FULL_CONE), [])


def test_the_text_says_what_is_not_as_expected() -> None:
    cells = [_cell("console", "public x full-cone", None)]
    against = report.objections(cells, 1)
    assert against == [report.line(cells[0])]
    text = report.text(cells, (kinds.PUBLIC, kinds.FULL_CONE), against)
    assert "Not as expected\nfailed console   25ms public x full-cone: expected direct, got none" in text


def test_a_run_that_was_stopped_does_not_end_well() -> None:
    assert report.objections([_cell("console", "a", 90.0)], 3) == ["Only 1 of 3 cells were played."]


@pytest.mark.parametrize(
    ("took", "against"),
    [
        (105.0, []),
        (106.0, ["25 ms, relay: the console takes 6.0 % longer than the hand-written page."]),
    ],
)
def test_a_console_that_is_slower_in_a_class_of_path_does_not_end_well(took: float, against: list[str]) -> None:
    cells = [
        _cell("console", "a", 50.0),
        _cell("yardstick", "a", 100.0),
        _cell("console", "b", took, path="relay"),
        _cell("yardstick", "b", 100.0, path="relay"),
    ]
    assert report.objections(cells, 4) == against


@pytest.mark.parametrize(("subject", "may_be_worse"), [("console", False), ("yardstick", True)])
def test_a_cell_is_good_if_it_is_as_expected_and_nobody_complained(subject: str, *, may_be_worse: bool) -> None:
    cell = _cell(subject, "a", 90.0)
    assert cell.good
    cell.verdict = Verdict.WORSE
    assert cell.good is may_be_worse
    cell.verdict = Verdict.FAILED
    assert not cell.good
    cell.verdict = Verdict.OK
    cell.problems.append("console error")
    assert not cell.good


def test_only_offered_ways_to_a_relay_are_expected() -> None:
    def leg(*offered: Leg) -> Leg | None:
        return best(kinds.UDP_BLOCKED, kinds.SYMMETRIC, offered=offered).left

    assert leg(Leg.UDP, Leg.TCP, Leg.TLS) is Leg.TCP
    assert leg(Leg.UDP, Leg.TLS) is Leg.TLS
    with pytest.raises(ValueError, match="udp-blocked"):
        leg(Leg.UDP)
