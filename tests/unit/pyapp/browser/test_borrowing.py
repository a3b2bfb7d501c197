"""Borrowing the invitation of another tab."""

from collections.abc import Callable

from pyapp.browser.borrowing import LENT_WITHIN, Borrowing


class Timer:
    """One that rings when it is told to, unless it was cancelled."""

    def __init__(self, after: float, call: Callable[[], None]) -> None:
        assert after == LENT_WITHIN
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self._call = None

    def ring(self) -> None:
        if self._call:
            self._call()


class Tab:
    """A tab that borrows; `given` is what it has been given."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self.given: list[str] = []
        self.borrowing = Borrowing(self._call_later)

    def _call_later(self, after: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(after, call))
        return self.timers[-1]

    def borrow(self, session: str = "demo") -> None:
        self.borrowing.wait(session, self.given.append)


def test_a_tab_that_does_not_answer_lends_nothing() -> None:
    tab = Tab()
    tab.borrow()
    tab.borrowing.lent("other", "of another session")
    tab.timers[0].ring()
    assert tab.given == [""]
    tab.borrowing.lent("demo", "too late")
    assert tab.given == [""]


def test_an_answered_question_does_not_end_the_wait_for_the_next_answer() -> None:
    tab = Tab()
    tab.borrow()
    tab.borrowing.lent("demo", "first")
    tab.borrow()
    tab.timers[0].ring()
    assert tab.given == ["first"]
    tab.borrowing.lent("demo", "second")
    assert tab.given == ["first", "second"]


def test_all_who_wait_are_lent_it() -> None:
    tab = Tab()
    tab.borrow()
    tab.borrow()
    tab.borrowing.lent("demo", "one")
    for timer in tab.timers:
        timer.ring()
    assert tab.given == ["one", "one"]
