"""What the recovery bench makes of what it saw: without a lab."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import recovery_events, recovery_file, recovery_healthy
from tests.lab.recovery import plan
from tests.lab.recovery_report import Result, complaints, markdown, origin, percentile, results, table
from tests.lab.recovery_rows import CHANGED, SILENT, Row, Target
from tests.lab.recovery_seen import Mode, Run, Seen, _longest_silence, picture_times

if TYPE_CHECKING:
    from pathlib import Path

_ROW = Row(name="event", title="something happens", act=lambda _: None)
_WELL = replace(_ROW, restarts=False)


def _seen(*, silence: float = 0.5, **changes: Any) -> Seen:
    given: dict[str, Any] = {
        "arrivals": [],
        "sent": 100,
        "lost": 0,
        "doubled": 0,
        "disordered": 0,
        "refused": 0,
        "silent_from": 0.0,
        "stall": 0.0,
        "connections": 1,
        "handshakes": 1,
        "generation": 1,
        "state": "connected",
        "states": [],
        "timeline": [],
        "suspicions": ["silence"],
        "attempts": ["restart"],
        "outages": [],
        "problems": [],
    }
    return Seen(host="rec-home-0", silence=silence, **given | changes)


def _run(*ends: Seen, back: bool = True) -> Run:
    return Run(row="event", subject="console", ms=0.0, number=0, back=back, ends=ends)


@pytest.mark.parametrize(
    ("values", "percent", "value"),
    [
        ([], 50, math.inf),
        ([3.0], 50, 3.0),
        ([3.0], 0, 3.0),
        ([10.0, 1, 9, 2, 8, 3, 7, 4, 6, 5], 50, 5.0),
        ([10.0, 1, 9, 2, 8, 3, 7, 4, 6, 5], 90, 9.0),
        ([10.0, 1, 9, 2, 8, 3, 7, 4, 6, 5], 95, 10.0),
        ([1.0, math.inf], 50, 1.0),
        ([1.0, math.inf], 95, math.inf),
    ],
)
def test_a_percentile_is_a_value_that_was_seen(values: list[float], percent: float, value: float) -> None:
    assert percentile(values, percent) == value


def test_nothing_is_wrong_with_a_session_that_restarted_and_lost_nothing() -> None:
    assert complaints(_ROW, _run(_seen(), _seen())) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"lost": 2}, "lost"),
        ({"doubled": 1}, "doubled"),
        ({"disordered": 1}, "out of order"),
        ({"connections": 2}, "2 connections"),
        ({"handshakes": 2}, "2 DTLS handshakes"),
        ({"standbys": 1}, "1 standbys"),
        ({"state": "recovering"}, "recovering at the end"),
        ({"generation": 0}, "generation 0"),
        ({"problems": ["page error: TypeError"]}, "page error: TypeError"),
        ({"silence": 5.1}, "silent for more than 5 s"),
    ],
)
def test_what_is_wrong_with_an_end_is_said_once(changes: dict[str, Any], complaint: str) -> None:
    end = _seen(**changes)
    assert complaints(_ROW, _run(end, _seen())) == [complaint]
    assert complaints(_ROW, _run(end, end)) == [complaint]


CONNECTED = ("connected-direct", "Connected after 0.3 s, directly.")
CHANGED_ROW = replace(_ROW, cause=CHANGED, path="relay", over="TLS", says=frozenset({"relay-died"}))
CHANGE = "The network of Guest 1 changed; everything was back after 0.4 s"


@pytest.mark.parametrize(
    ("row", "account", "complaint"),
    [
        (_ROW, [], "the account lacks how they connected"),
        (_ROW, [CONNECTED], "the account has no outage"),
        (_WELL, [CONNECTED, ("outage", f"{CHANGE}.")], f"the account has an outage: {CHANGE}."),
        (
            CHANGED_ROW,
            [CONNECTED, ("outage", f"{CHANGE}, through turn1.lab over TLS.")],
            "the account lacks relay-died",
        ),
        (
            replace(CHANGED_ROW, says=frozenset()),
            [CONNECTED, ("outage", f"{CHANGE}, directly.")],
            f"the account says: {CHANGE}, directly.",
        ),
        (
            replace(_ROW, cause=SILENT),
            [CONNECTED, ("outage", f"{CHANGE}, directly.")],
            f"the account says: {CHANGE}, directly.",
        ),
        (
            replace(_ROW, restarts=None, path="direct"),
            [("connected-relay", "")],
            "the account does not say that the path became direct",
        ),
    ],
)
def test_the_account_is_held_against_the_row(row: Row, account: list[tuple[str, str]], complaint: str) -> None:
    run = replace(_run(_seen()), session="demo", account=account)
    assert complaint in complaints(row, run)
    right = [CONNECTED, ("outage", f"{CHANGE}, through turn1.lab over TLS."), ("relay-died", "")]
    assert complaints(CHANGED_ROW, replace(run, account=right, ends=(_seen(path="relay"),))) == []


def test_the_account_may_take_together_what_happened_to_one_session_within_seconds() -> None:
    run = replace(_run(_seen(path="relay")), session="demo", account=[CONNECTED, ("outage", f"{CHANGE}.")])
    row = replace(CHANGED_ROW, says=frozenset())
    assert complaints(row, run) == [f"the account says: {CHANGE}."]
    assert complaints(row, replace(run, is_one_of_many=True)) == []
    assert complaints(row, replace(run, account=[CONNECTED])) == ["the account has no outage"]
    assert complaints(row, replace(run, account=[CONNECTED], is_one_of_many=True)) == []
    assert complaints(replace(row, cause=SILENT), replace(run, is_one_of_many=True)) == [f"the account says: {CHANGE}."]


def test_a_busy_browser_may_notice_a_change_too_late() -> None:
    silent = ("outage", "Guest 2 heard nothing any more; everything was back after 0.4 s, through turn1.lab over TLS.")
    row = replace(CHANGED_ROW, says=frozenset())
    late = replace(_run(_seen(path="relay")), session="demo", account=[CONNECTED, silent])
    assert complaints(row, late) == []
    noticed = _seen(path="relay", timeline=[(0.2, "console: network", "certain=True")])
    assert complaints(row, replace(late, ends=(noticed,))) == [f"the account says: {silent[1]}"]
    left = [CONNECTED, ("outage-left", "The network of Guest 1 changed; Guest 2 left before it was back.")]
    assert complaints(row, replace(late, ends=(noticed,), account=left)) == []


def test_what_the_browser_says_of_a_server_out_of_reach_is_no_complaint() -> None:
    end = _seen(problems=["console error: WebSocket connection to 'wss://server.lab/ws' failed: "])
    assert complaints(_ROW, _run(end)) == []
    assert complaints(replace(_ROW, problems=()), _run(end)) == end.problems


def test_where_nothing_happens_nothing_may_be_suspected_and_one_restart_gives_relays_up() -> None:
    for generation in (0, 1):
        assert complaints(_WELL, _run(_seen(generation=generation, suspicions=[]))) == []
    assert complaints(_WELL, _run(_seen(generation=2))) == ["generation 2", "suspected for silence"]


def test_where_nothing_happens_nothing_may_be_shown() -> None:
    end = _seen(generation=0, suspicions=[], states=[(0.3, "recovering"), (0.4, "connected")])
    assert complaints(_WELL, _run(end)) == ["showed recovering"]
    assert complaints(_ROW, _run(replace(end, generation=1))) == []


def test_a_row_may_leave_it_open_whether_there_is_a_restart() -> None:
    row = replace(_ROW, restarts=None)
    assert complaints(row, _run(_seen(generation=0, suspicions=[]))) == []
    assert complaints(row, _run(_seen())) == []


def test_a_row_may_ask_for_a_path_by_some_time() -> None:
    row = replace(_ROW, path="direct", within=5.0)
    assert complaints(row, _run(_seen(path="direct", path_since=4.9))) == []
    assert complaints(row, _run(_seen(path="direct", path_since=5.1))) == ["direct path only after more than 5 s"]
    assert complaints(row, _run(_seen(path="relay", path_since=0.0))) == ["relay path at the end"]


def test_a_row_that_cannot_be_played_in_a_mode_is_not_missed_there() -> None:
    row = replace(_ROW, modes=frozenset({Mode.CAMERA}))
    runs = [replace(_run(_seen()), row=name, mode=mode) for name, mode in (("event", "camera"), ("other", "none"))]
    assert [(each.mode, len(each.runs)) for each in results([row], runs)] == [(Mode.CAMERA, 1)]


def test_a_row_may_ask_for_the_path_at_the_end() -> None:
    row = replace(_ROW, path="direct")
    assert complaints(row, _run(_seen(path="direct"))) == []
    assert complaints(row, _run(_seen(path="relay"))) == ["relay path at the end"]


def test_a_standby_is_missed_where_there_should_be_one() -> None:
    row = replace(_ROW, standby=True)
    assert complaints(row, _run(_seen(standbys=1))) == []
    assert complaints(row, _run(_seen())) == ["0 standbys"]


def test_a_run_that_was_not_measured_or_never_came_back_says_so() -> None:
    failed = replace(_run(back=False), failure="Timeout 30000ms exceeded.\nCall log:")
    assert complaints(_ROW, failed) == ["not measured: Timeout 30000ms exceeded."]
    assert complaints(_ROW, _run(_seen(silence=45.0), back=False)) == ["never came back"]


def test_a_picture_that_stays_away_is_wrong_whatever_becomes_of_messages() -> None:
    run = replace(_run(_seen(picture=48.6)), mode="camera", dark=[{"framesDecoded": 400}])
    assert complaints(_ROW, run) == ["picture or sound never came back"]


def test_picture_and_sound_have_the_bound_of_messages() -> None:
    def found(**changes: Any) -> list[str]:
        return complaints(_ROW, replace(_run(_seen(**changes)), mode="camera"))

    assert found(picture=4.9, sound=4.9) == []
    assert found(picture=5.1, sound=0.3) == ["no picture for more than 5 s"]
    assert found(picture=0.3) == ["no sound for more than 5 s"]
    unseen = replace(_run(_seen(picture=9.0, sound=9.0)), mode="camera")
    assert complaints(replace(_ROW, shows=False), unseen) == []


def test_every_row_has_a_bound_that_a_browsers_timeout_breaks() -> None:
    rows = recovery_events.events() + recovery_healthy.false_alarms(8)
    assert {row.name for row in rows if row.bound > 5} == {"uplink", "stall-own", "stall-far", "stall-both"}
    # Chromium says `failed`, on which a plain page restarts, after some 15 s.
    assert all(row.bound < 15 for row in rows)
    assert all(row.bound > target.p95 for row in rows for target in row.targets.values())


@pytest.mark.parametrize(
    ("gaps", "misses"),
    [
        ([0.3, 0.5, 0.9], []),
        ([0.3, 0.6, 0.9], ["messages"]),
        ([0.3, 0.5, 1.1], ["messages"]),
    ],
)
def test_a_row_is_fast_if_both_of_its_percentiles_are(gaps: list[float], misses: list[str]) -> None:
    row = replace(_ROW, targets={0.0: Target(p50=0.5, p95=1.0)})
    runs = [_run(_seen(silence=gap)) for gap in gaps]
    assert Result(row=row, ms=0.0, runs=runs, beside=[]).misses == misses
    assert Result(row=row, ms=10.0, runs=runs, beside=[]).misses == []  # nothing is asked of this delay


def test_a_row_that_was_not_played_is_not_good() -> None:
    assert not Result(row=_ROW, ms=0.0, runs=[], beside=[]).good
    assert Result(row=_ROW, ms=0.0, runs=[_run(_seen())], beside=[]).good


def test_a_row_with_a_most_is_fast_if_that_is_not_exceeded() -> None:
    row = replace(_ROW, most=0.3)
    assert Result(row=row, ms=0.0, runs=[_run(_seen(silence=0.3))], beside=[]).misses == []
    assert Result(row=row, ms=0.0, runs=[_run(_seen(silence=0.4))], beside=[]).misses == ["messages"]
    assert Result(row=row, ms=0.0, runs=[_run(_seen(silence=0.1), back=False)], beside=[]).misses == ["messages"]


@pytest.mark.parametrize(
    ("pictures", "misses"),
    [
        ([0.5, 0.65, 1.2], []),
        ([0.5, 0.7, 1.2], ["picture"]),
        ([0.5, 0.65, 1.3], ["picture"]),
        ([0.5, 0.65, None], ["picture"]),
    ],
)
def test_a_picture_may_stand_still_a_little_longer_than_messages(
    pictures: list[float | None], misses: list[str]
) -> None:
    row = replace(_ROW, targets={0.0: Target(p50=0.5, p95=1.0)})
    runs = [replace(_run(_seen(), _seen(picture=picture)), mode="camera") for picture in pictures]
    for run in runs:
        run.ends[0].picture = 0.1
    assert Result(row=row, ms=0.0, mode=Mode.CAMERA, runs=runs, beside=[]).misses == misses
    assert Result(row=row, ms=0.0, mode=Mode.NONE, runs=runs, beside=[]).misses == []


@pytest.mark.parametrize(
    ("generations", "misses"),
    [
        ([1, 1, 2], []),
        ([0, 0, 3], ["generations"]),
        ([1, 2, 2], ["generations"]),
    ],
)
def test_an_event_costs_one_restart_and_now_and_then_two(generations: list[int], misses: list[str]) -> None:
    runs = [_run(_seen(generation=generation), _seen(generation=0)) for generation in generations]
    assert Result(row=_ROW, ms=0.0, runs=runs, beside=[]).misses == misses


def test_runs_are_put_together_by_row_mode_and_delay() -> None:
    runs = [replace(_run(_seen()), mode=mode, ms=ms) for mode in ("none", "camera") for ms in (0.0, 25.0)]
    runs.append(replace(_run(_seen()), subject="yardstick"))
    found = {(each.mode.value, each.ms): (each.runs, each.beside) for each in results([_ROW], runs)}
    assert found == {
        ("none", 0.0): ([runs[0]], [runs[4]]),
        ("none", 25.0): ([runs[1]], []),
        ("camera", 0.0): ([runs[2]], []),
        ("camera", 25.0): ([runs[3]], []),
    }


def test_the_table_tells_the_modes_apart() -> None:
    row = replace(_ROW, targets={0.0: Target(p50=0.5, p95=1.0)})
    ends = (_seen(silence=0.4), _seen(silence=0.4))
    runs = [_run(*ends), replace(_run(*(replace(end, picture=0.7, sound=0.6) for end in ends)), mode="camera")]
    runs[1].relays = 12
    found = results([row], runs)
    lines = [" ".join(line.split()) for line in table(found).splitlines() if line.startswith("something happens")]
    calm = "0.40 / 0.40 (1)"
    assert lines == [
        f"something happens none 0 1 0.40 / 0.40 0.50 / 1.00 1 / 1 0 {calm}",
        (
            "something happens camera 0 1 0.40 / 0.40 0.50 / 1.00 0.70 / 0.70 0.65 / 1.25 0.60 / 0.60 1 / 1 12 "
            f"{calm} MISSED: picture"
        ),
    ]


def test_the_document_s_table_has_both_modes_in_a_line() -> None:
    rows = [replace(_ROW, targets={0.0: Target(p50=0.5, p95=1.0)}), replace(_ROW, name="used", shows=False)]
    runs = [
        replace(_run(_seen(silence=0.4, picture=0.7, sound=0.6)), row=row.name, mode=mode)
        for row in rows
        for mode in ("none", "camera")
    ]
    runs[1].ends[0].silence = 0.45
    assert [line for line in markdown(results(rows, runs)).splitlines() if "something" in line] == [
        (
            "| something happens | 1, 1 | 0.40 / 0.40 | 0.45 / 0.45 | 0.50 / 1.00 | 0.70 / 0.70 | 0.65 / 1.25 "
            "| 0.60 / 0.60 | 1 / 1, 1 / 1 | 0, 0 |  |"
        ),
        "| something happens | 1, 1 | 0.40 / 0.40 | 0.40 / 0.40 |  |  |  |  | 1 / 1, 1 / 1 | 0, 0 |  |",
    ]


def test_a_file_of_runs_is_added_to_and_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    file = tmp_path / "deeper" / "runs.jsonl"
    assert recovery_file.read(file) == []
    first = replace(_run(_seen(timeline=[[0.1, "dtls", "connected"]]), _seen(picture=0.4)), session="demo")
    never = _run(_seen(), back=False)
    recovery_file.add(file, [first])
    recovery_file.add(file, [never, never])
    assert recovery_file.read(file) == [first, never, never]
    file.write_text(file.read_text()[:-7])
    assert recovery_file.read(file) == [first, never]
    recovery_file.add(file, [first])
    assert recovery_file.read(file) == [first, never, first]


def test_a_file_that_is_none_is_not_read_as_one(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text('{"rows": []}\n\n')
    with pytest.raises(ValueError, match=r"runs\.jsonl, line 1: "):
        recovery_file.read(file)


def test_it_is_said_what_the_runs_are_of() -> None:
    runs = [replace(_run(), version=version, load=load) for version, load in (("a1", 2.5), ("a1", 0.5), ("b2", 7.0))]
    assert origin(runs) == "2 at a1, 1 at b2 at a load of 0.5 to 7"
    assert origin([]) == "no run"


def _planned(rows: list[Row], there: list[Run], **changes: Any) -> list[tuple[str, str, str, list[int]]]:
    """Return what is run, if each is measured as it is planned."""
    given = {"runs": 3, "modes": [Mode.NONE], "yardstick_runs": 0, "in_a_row": 2}
    planned = []
    for row, subject, mode, numbers in plan(rows, there, 0.0, Namespace(**given | changes)):
        planned.append((row.name, subject, mode.value, list(numbers)))
        of_row = replace(_run(), row=row.name, subject=subject, mode=mode.value)
        there += [replace(of_row, number=number) for number in numbers]
    return planned


_ADDRESS, _KILLED = (row for row in recovery_events.events() if row.name in ("address", "turn-killed"))


def test_what_can_happen_again_does_so_in_one_session() -> None:
    assert _planned([_ADDRESS, _KILLED], []) == [
        ("address", "console", "none", [0, 1]),
        ("turn-killed", "console", "none", [0]),
        ("address", "console", "none", [2]),
        ("turn-killed", "console", "none", [1]),
        ("turn-killed", "console", "none", [2]),
    ]


def test_runs_that_are_there_are_not_made_again() -> None:
    there = [replace(_run(), row="address", number=number) for number in (0, 1)]
    elsewhere = [replace(run, ms=25.0) for run in there]
    assert _planned([_ADDRESS], [*there, *elsewhere]) == [("address", "console", "none", [2])]
    assert _planned([_ADDRESS], there, runs=2, modes=list(Mode), yardstick_runs=1) == [
        ("address", "console", "camera", [0, 1]),
        ("address", "yardstick", "none", [0]),
    ]


def test_a_session_in_which_nothing_happens_is_long_enough_once() -> None:
    [row] = [row for row in recovery_healthy.false_alarms(600) if row.name == "healthy"]
    assert _planned([row], []) == [("healthy", "console", "none", [0])]
    assert _planned([row], [], runs=0) == []


def test_what_a_person_switched_off_is_no_gap() -> None:
    row = replace(_ROW, shows=False, targets={0.0: Target(p50=0.5, p95=1.0)})
    run = replace(_run(_seen(silence=0.4, picture=9.0)), mode="camera")
    assert Result(row=row, ms=0.0, mode=Mode.CAMERA, runs=[run], beside=[]).misses == []


@pytest.mark.parametrize(
    ("frames", "times"),
    [
        ([], []),
        ([(0.0, 7)], [0.0]),
        ([(0.0, 1), (50.0, 2), (100.0, 3)], [0.0, 50.0, 100.0]),
        # The page stood still, the picture did not.
        ([(0.0, 1), (50.0, 2), (250.0, 6)], [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]),
        # Both did, the picture for 0.85 s.
        ([(0.0, 1), (50.0, 2), (1000.0, 5)], [0.0, 50.0, 900.0, 950.0, 1000.0]),
        # More frames than the pace has room for.
        ([(0.0, 1), (50.0, 2), (100.0, 5)], [0.0, 50.0, 50.0, 50.0, 100.0]),
    ],
)
def test_frames_that_the_page_was_not_told_of_were_shown_nevertheless(
    frames: list[tuple[float, int]], times: list[float]
) -> None:
    assert picture_times(frames) == times


@pytest.mark.parametrize(
    ("arrivals", "counted", "ended", "silence"),
    [
        # From the last message before the event, if that is not said otherwise.
        ([-0.1, 0.7, 0.8], None, None, (0.8, -0.1)),
        # What was silent before the event is not its doing.
        ([-5.0, -0.1, 0.2], None, None, (0.3, -0.1)),
        # The longest need not be the first.
        ([-0.1, 0.1, 2.0, 2.1], None, None, (1.9, 0.1)),
        # Counted from when the uplink is back: what came before that is no end of the silence, nor its begin.
        ([-0.1, 3.0, 20.5, 20.6], 20.0, None, (0.5, 20.0)),
        # Never again: until patience ended.
        ([-0.1], None, 45.0, (45.1, -0.1)),
        ([-0.1, 0.1], None, 45.0, (44.9, 0.1)),
        ([], None, 45.0, (45.0, 0.0)),
        # Nothing to be between.
        ([], None, None, (0.0, 0.0)),
    ],
)
def test_the_longest_silence_is_that_since_the_event(
    arrivals: list[float], counted: float | None, ended: float | None, silence: tuple[float, float]
) -> None:
    assert _longest_silence(arrivals, counted, ended) == pytest.approx(silence)
