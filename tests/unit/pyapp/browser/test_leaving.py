"""When a connection is closed that nobody needs any more. That its relays come back is a test of the lab."""

from collections.abc import Callable
from typing import Any

import pytest

from pyapp.browser.leaving import LEAVE_FOR, leave


class Browser:
    """A connection with its listeners and its event loop, as far as they matter here."""

    def __init__(self, gathering: str) -> None:
        self.iceGatheringState = gathering
        self.stopped = self.closed = self.detached = 0
        self.changed: Callable[[Any], object] | None = None
        self.rings: Callable[[], None] | None = None

    def getTransceivers(self) -> list["Browser"]:  # noqa: N802 - its name
        return [self]

    def stop(self) -> None:
        self.stopped += 1

    def add(self, target: Any, event: str, callback: Callable[[Any], object]) -> None:
        assert (target, event) == (self, "icegatheringstatechange")
        self.changed = callback

    def close(self) -> None:
        self.closed += 1

    def call_later(self, after: float, call: Callable[[], None]) -> "Browser":
        assert after == LEAVE_FOR
        self.rings = call
        return self

    def cancel(self) -> None:
        self.rings = None


class LastListeners:
    """Those of a `Browser`, of which `close()` is another one than the connection's."""

    def __init__(self, browser: Browser) -> None:
        self.add = browser.add
        self._browser = browser

    def close(self) -> None:
        self._browser.detached += 1
        self._browser.changed = None


def left(gathering: str) -> Browser:
    browser = Browser(gathering)
    leave(browser, LastListeners(browser), browser.call_later)  # type: ignore[arg-type] # those of JavaScript's
    return browser


@pytest.mark.parametrize("gathering", ["new", "complete"])
def test_one_that_gathers_nothing_is_closed_at_once(gathering: str) -> None:
    browser = left(gathering)
    assert browser.closed == 1
    assert [each for each in (browser.rings, browser.changed) if each is not None] == []


@pytest.mark.parametrize("ends", ["gathered", "too late"])
def test_one_that_gathers_is_closed_once_when_it_has_or_after_a_while(ends: str) -> None:
    browser = left("gathering")
    assert (browser.stopped, browser.closed) == (1, 0), "nothing is sent from now on"
    assert browser.changed
    assert browser.rings
    if ends == "gathered":
        browser.changed(None)
    else:
        browser.rings()
    assert browser.closed == browser.detached == 1
    assert [each for each in (browser.rings, browser.changed) if each is not None] == []
