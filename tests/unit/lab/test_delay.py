"""A line's packets: when they come out, and whether."""

from __future__ import annotations

import random

import pytest

from tests.lab.delay import Delay, Line


def line(delay: Delay) -> Line:
    return Line(delay, rng=random.Random(1))


def test_a_packet_comes_out_when_its_time_has_come_and_not_before() -> None:
    one = line(Delay(ms=25))
    one.put(b"a", now=10.0)
    assert one.due() == 10.025
    assert one.take(10.024) == []
    assert one.take(10.025) == [b"a"]
    assert one.due() is None


def test_jitter_delays_but_does_not_reorder() -> None:
    one = line(Delay(ms=5, jitter_ms=30))
    sent = [bytes([number]) for number in range(200)]
    for number, packet in enumerate(sent):
        one.put(packet, now=number / 1000)
    came, dues = [], []
    while (due := one.due()) is not None:
        dues.append(due)
        came += one.take(due)
    assert came == sent
    assert dues == sorted(dues)


def test_loss_takes_about_its_share() -> None:
    lossy = line(Delay(loss=0.05))
    through = 0
    for _ in range(2000):
        lossy.put(b"x", now=0.0)
        through += len(lossy.take(0.0))
    assert 1860 <= through <= 1940


def test_a_line_that_loses_all_is_cut() -> None:
    one = line(Delay(loss=1))
    one.put(b"x", now=0.0)
    assert one.due() is None


def test_a_queue_is_finite() -> None:
    one = line(Delay(ms=1000))
    for _ in range(5000):
        one.put(b"x", now=0.0)
    assert len(one.take(1.0)) == 1000


@pytest.mark.parametrize("wrong", [{"ms": -1.0}, {"jitter_ms": -1.0}, {"loss": 1.1}])
def test_what_no_line_does_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no such line"):
        Delay(**wrong)
