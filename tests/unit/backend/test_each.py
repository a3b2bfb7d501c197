"""One after the other."""

import pytest

from backend.each import each


def test_what_goes_wrong_with_one_takes_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    done, failed = list[float](), list[float]()

    def divide(number: float) -> None:
        done.append(1 / number)

    each([1, 0, 4], divide, failed.append)
    assert (done, failed) == ([1, 0.25], [0])
    assert "divide failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_is_done_instead_may_fail_as_well(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def fail(number: int) -> None:
        done.append(number)
        raise RuntimeError

    each([1, 2], fail, fail)
    assert done == [1, 1, 2, 2]
    assert len(caplog.records) == 4
