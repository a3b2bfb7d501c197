"""How often a trouble that goes on is told."""

from backend.seldom import LONGEST, Seldom


def test_it_is_told_at_once_and_then_after_pauses_that_double() -> None:
    seldom = Seldom()
    told = [at for at in range(200) if seldom.is_due(float(at))]
    assert told == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_after_a_long_quiet_it_is_a_new_one() -> None:
    seldom = Seldom()
    for at in range(100):
        seldom.is_due(float(at))
    assert seldom.is_due(1000.0)
    assert seldom.pause < LONGEST
