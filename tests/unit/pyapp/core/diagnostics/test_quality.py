"""The rules of quality, over lists of samples."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from pyapp.core.diagnostics.live import Live
from pyapp.core.diagnostics.quality import CALM, RULES, Quality
from pyapp.protocol.entries.sample import Sample

FINE = Sample(2.0, round_trip_ms=12.0, jitter_ms=2.0, loss_in=0.0, loss_out=0.0)
SHOWN = replace(FINE, frames_in=30.0, height_in=720)
SENT = replace(FINE, frames_out=15.0, available=900_000)


@dataclass
class Beats:
    is_suspect: bool = False
    is_doubtful: bool = False


@dataclass
class Peer:
    """A connection, as the rules see it."""

    recovery: Beats = field(default_factory=Beats)
    established: bool = True
    lost: bool = False


@dataclass
class Watched:
    """A connection that is measured every two seconds."""

    connection: Peer = field(default_factory=Peer)
    live: Live = field(default_factory=Live)
    quality: Quality = field(default_factory=Quality)
    now: float = 0.0

    def measure(self, *samples: Sample) -> str:
        for one in samples:
            self.now += one.seconds
            self.live.sampled(one, self.now, self.now)
            self.follow()
        return self.quality.level

    def follow(self, after: float = 0.0) -> str:
        self.now += after
        self.quality.follow(self.connection, self.live, self.now)
        return self.quality.level

    def rules(self) -> list[str]:
        return [finding.rule for finding in self.quality.findings]


def test_there_is_none_without_a_connection_and_it_is_good_with_one() -> None:
    watched = Watched(Peer(established=False))
    assert watched.follow() == ""
    watched.connection.established = True
    assert watched.follow(0.1) == "good"
    assert watched.measure(*[FINE] * 10) == "good"
    watched.quality.follow(None, watched.live, watched.now)
    assert watched.quality.level == ""


@pytest.mark.parametrize(
    ("rule", "fair", "unstable"),
    [
        ("loss-in", replace(SHOWN, loss_in=0.05), replace(SHOWN, loss_in=0.2)),
        ("loss-out", replace(SHOWN, loss_out=0.05), replace(SHOWN, loss_out=0.2)),
        ("round-trip", replace(SHOWN, round_trip_ms=400.0), replace(SHOWN, round_trip_ms=1200.0)),
        ("jitter", replace(SHOWN, jitter_ms=60.0), replace(SHOWN, jitter_ms=200.0)),
        ("freezes", replace(SHOWN, frozen_ms=160), replace(SHOWN, frozen_ms=700)),
        ("narrow", replace(SENT, available=200_000), replace(SENT, available=60_000)),
    ],
)
def test_each_rule_has_two_limits(rule: str, fair: Sample, unstable: Sample) -> None:
    watched = Watched()
    watched.measure(*[SHOWN] * 5)
    assert watched.measure(*[fair] * 5) == "fair"
    assert watched.rules() == [rule]
    assert watched.measure(*[unstable] * 5) == "unstable"
    assert watched.rules() == [rule]
    assert watched.measure(*[SHOWN] * 12) == "good"


def test_every_rule_has_its_limits_in_order() -> None:
    assert all(0 < rule.fair < rule.unstable for rule in RULES)


def test_one_bad_moment_among_good_ones_is_passed_over() -> None:
    watched = Watched()
    watched.measure(*[FINE] * 5)
    assert watched.measure(replace(FINE, loss_in=0.1), *[FINE] * 5) == "good"


def test_a_level_does_not_flicker_at_a_limit() -> None:
    watched = Watched()
    levels = [watched.measure(replace(FINE, loss_in=0.031 if number % 2 else 0.026)) for number in range(60)]
    changes = sum(one != other for one, other in pairwise(levels))
    assert changes <= 1
    assert watched.measure(*[replace(FINE, loss_in=0.01)] * 10) == "good"


def test_a_finding_is_kept_for_a_moment_after_it_held() -> None:
    watched = Watched()
    watched.follow()
    watched.connection.recovery.is_suspect = True
    assert watched.follow(0.1) == "unstable"
    watched.connection.recovery.is_suspect = False
    assert watched.follow(0.1) == "unstable"
    assert watched.follow(CALM - 1.0) == "unstable"
    assert watched.follow(2.0) == "good", "without a sample in between: beats are events enough"


def test_unstable_comes_before_lost_and_after_it() -> None:
    watched = Watched()
    watched.measure(*[FINE] * 3)
    levels = []
    for suspect, lost in ((True, False), (True, True), (True, False), (False, False)):
        watched.connection.recovery.is_suspect, watched.connection.lost = suspect, lost
        levels.append((watched.follow(0.5), watched.rules()[0]))
    assert levels == [("unstable", "silent"), ("lost", "lost"), ("unstable", "silent"), ("unstable", "silent")]
    assert "recovered" in watched.rules()
    assert watched.follow(CALM + 1) == "good"


def test_beats_that_are_late_again_and_again_are_a_reason_and_one_is_not() -> None:
    watched = Watched()
    watched.follow()
    levels = []
    for _ in range(4):
        watched.connection.recovery.is_doubtful = True
        levels.append(watched.follow(0.2))
        watched.connection.recovery.is_doubtful = False
        watched.follow(1.0)
    assert levels == ["good", "fair", "fair", "unstable"]
    assert watched.rules() == ["late-beats"]
    assert [watched.follow(2.0) for _ in range(10)][-1] == "good"


def test_a_camera_that_was_off_is_no_freeze() -> None:
    watched = Watched()
    assert watched.measure(*[SHOWN] * 5, replace(SHOWN, freezes=1, frozen_ms=60_000), *[SHOWN] * 5) == "good"


def test_what_was_measured_before_says_nothing_of_the_next_connection() -> None:
    watched = Watched()
    watched.measure(*[replace(FINE, loss_in=0.5)] * 5)
    watched.quality.follow(None, watched.live, watched.now)
    assert watched.follow(1.0) == "good"


def test_the_worst_is_named_first_and_a_cause_before_what_follows_from_it() -> None:
    watched = Watched()
    watched.measure(*[replace(SHOWN, loss_in=0.2, jitter_ms=60.0, frozen_ms=700)] * 5)
    assert watched.rules() == ["loss-in", "freezes", "jitter"]


def test_a_quiet_connection_is_judged_by_its_last_sample() -> None:
    watched = Watched()
    assert watched.measure(replace(FINE, seconds=30.0, loss_in=0.2), replace(FINE, seconds=30.0)) == "good"
    assert watched.measure(replace(FINE, seconds=30.0, loss_in=0.2)) == "unstable"
