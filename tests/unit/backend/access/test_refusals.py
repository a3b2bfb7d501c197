"""A stranger who is refused again and again has a few lines in the audit log, and each refusal is counted."""

from backend.access.refusals import MOST_CALLERS, OTHERS, SPELLED_OUT, WITHIN, Refusals, Rest


def test_the_first_have_lines_and_the_rest_is_counted() -> None:
    refusals = Refusals()
    lines = [refusals.has_line("a", now=float(second)) for second in range(1000)]
    assert lines == [True] * SPELLED_OUT + [False] * (1000 - SPELLED_OUT)
    assert list(refusals.rest(now=WITHIN - 1)) == []
    assert list(refusals.rest(now=WITHIN)) == [Rest("a", 1000 - SPELLED_OUT)]
    assert refusals.has_line("a", now=WITHIN), "it is a new one"
    assert list(refusals.rest(now=float("inf"))) == []


def test_callers_are_apart_and_summed_up_each_in_its_time() -> None:
    refusals = Refusals()
    for at, caller in ((0.0, "a"), (10.0, "b")):
        for _ in range(SPELLED_OUT + 2):
            refusals.has_line(caller, now=at)
    assert list(refusals.rest(now=WITHIN)) == [Rest("a", 2)]
    assert list(refusals.rest(now=WITHIN + 10)) == [Rest("b", 2)]


def test_many_callers_have_not_more_lines_and_nobody_is_lost() -> None:
    refusals = Refusals()
    several = [f"2001:db8:0:{number:x}::/64" for number in range(4 * MOST_CALLERS)]
    lines = sum(refusals.has_line(caller, now=0.0) for caller in several for _ in range(SPELLED_OUT + 1))
    assert lines == (MOST_CALLERS + 1) * SPELLED_OUT
    rest = list(refusals.rest(now=WITHIN))
    assert len(rest) == MOST_CALLERS + 1
    assert lines + sum(one.more for one in rest) == len(several) * (SPELLED_OUT + 1)
    assert rest[-1].caller == OTHERS
