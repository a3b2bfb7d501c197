"""Wrong invitations."""

from backend.access.throttle import MOST, WITHIN, Pause, Throttle


def test_each_wrong_one_is_answered_later() -> None:
    throttle = Throttle()
    delays = [throttle.wrong("x", now=10.0 * number).delay for number in range(MOST)]
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert delays == sorted(delays)
    assert delays[-1] == 5.0
    assert throttle.wrong("y", now=0.0) == Pause(delay=0.1)


def test_only_one_answer_to_a_caller_waits_and_the_pause_grows_nevertheless() -> None:
    throttle = Throttle()
    assert throttle.wrong("x", now=0.0) == Pause(delay=0.1)
    pauses = [throttle.wrong("x", now=0.0) for _ in range(MOST)]
    assert all(pause.delay == 0.0 for pause in pauses)
    assert [pause.retry_after for pause in pauses][:3] == [0.2, 0.4, 0.8]
    assert pauses[-1].retry_after == 5.0
    assert throttle.wrong("y", now=0.0) == Pause(delay=0.1)
    assert throttle.wrong("x", now=4.9) == Pause(retry_after=5.0)
    assert throttle.wrong("x", now=9.9) == Pause(delay=5.0)


def test_ten_are_a_mistake_and_more_are_not() -> None:
    throttle = Throttle()
    for number in range(MOST + 1):
        assert not throttle.has_tried_enough("x", now=100.0)
        throttle.wrong("x", now=float(number))
    assert throttle.has_tried_enough("x", now=100.0)
    assert not throttle.has_tried_enough("y", now=100.0)
    assert not throttle.has_tried_enough("x", now=WITHIN + MOST)
    assert throttle.wrong("x", now=2 * WITHIN) == Pause(delay=0.1)


def test_callers_are_forgotten() -> None:
    throttle = Throttle()
    for number in range(5000):
        throttle.wrong(str(number), now=0.0)
    assert len(throttle._callers) == 4096
