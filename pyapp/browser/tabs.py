"""The other tabs of this browser, over a `BroadcastChannel`, and the session that a reload of this one comes back to.

What the tabs say to each other: `who` is in a session?; this one is `in` it, and since when; it is `out`; it `wants`
the place in one; it `gives` it, with the key, and the invitation that it came in by; it `borrows` the invitation alone,
for a check; it `lends` it. runtime/page/boot.mjs opens the channel and asks first, so that the answer is there before
anything can connect by itself.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from js import Date, document, performance, window
from pyodide.ffi import JsException

from pyapp.browser.borrowing import Borrowing
from pyapp.browser.ffi import Listeners, OnError, jsobj, plain
from pyapp.browser.page.address import invitation, keep_tab_key, take_invitation
from pyapp.core import commands
from pyapp.core.commands import TabCommand
from pyapp.core.events import Event, PlaceGiven, PlaceWanted, TabEntered, TabLeft
from pyapp.protocol.access import is_invitation

Borrow: TypeAlias = Callable[[str, Callable[[str], None]], None]
"""The type of `Tabs.borrow`."""

_ACTIVE = "ice-console-active"


class Tabs:
    """Performs `TabCommand`s, and says what the other tabs do."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError) -> None:
        self._emit = emit
        self._on_error = on_error
        self._session = ""
        """The session that this tab is in."""
        self._since: tuple[float, str] = (0.0, "")
        """When this tab entered it (Unix time, ms); the random digits decide between two that did so together."""
        self._wanted = ""
        self._elsewhere: set[str] = set()
        """The sessions that other tabs are in."""
        self._borrowing = Borrowing(lambda after, call: asyncio.get_running_loop().call_later(after, call))
        self._channel: Any = getattr(window, "tabs", None)
        """None in a browser from before 2022: the server's answer has to do there."""

    def listen(self) -> None:
        """Emit what the other tabs say, and have said while Python was loading."""
        if self._channel is None:
            return
        Listeners(self._on_error).add(self._channel, "message", lambda event: self._heard(plain(event.data)))
        for said in self._channel.heard:
            self._heard(plain(said))

    def perform(self, command: TabCommand) -> None:
        """Tell the other tabs, and remember what a reload needs."""
        match command:
            case commands.TabIsIn(session):
                self._session, self._since = session, (float(Date.now()), os.urandom(8).hex())
                self._wanted = ""  # a place that a frozen tab gives later is worth nothing: this one has its own
                _remember(session)
                self._tell("in", session)
            case commands.TabIsOut(comes_back):
                left, self._session = self._session, ""
                if not comes_back:
                    _remember("")
                self._tell("out", left)
            case commands.TakePlace(session):
                self._wanted = session
                self._tell("wants", session)
            case commands.GivePlace(session, key):
                self._tell("gives", session, key=key, invitation=invitation())

    def borrow(self, session: str, then: Callable[[str], None]) -> None:
        """Call `then` with the invitation by which another tab is in `session`, or with an empty text."""
        if session not in self._elsewhere:
            then("")
            return
        self._borrowing.wait(session, then)
        self._tell("borrows", session)

    def _tell(self, kind: str, session: str, **given: str) -> None:
        if self._channel is not None:
            since, digits = self._since
            message = {"kind": kind, "session": session, "since": since, "digits": digits, **given}
            self._channel.postMessage(jsobj(message))

    def _heard(self, said: dict[str, Any]) -> None:
        """Handle what another tab says. Its page may be of another version: what is not understood is passed over."""
        session = str(said.get("session", ""))
        match said.get("kind"):
            case "who" if self._session:
                self._tell("in", self._session)
            case "in" if session == self._session and self._since < _since(said):
                self._tell("in", session)  # that tab leaves it to this one
            case "in":
                self._elsewhere.add(session)
                self._emit(TabEntered(session))
            case "out":
                self._elsewhere.discard(session)
                self._emit(TabLeft(session))
            case "wants":
                self._emit(PlaceWanted(session))
            case "borrows" if session and session == self._session and invitation():
                self._tell("lends", session, invitation=invitation())
            case "lends" if is_invitation(given := str(said.get("invitation") or "")):
                self._borrowing.lent(session, given)
            case "gives" if session and session == self._wanted and re.fullmatch("[0-9a-f]{32}", str(said.get("key"))):
                self._wanted = ""
                if (given := str(said.get("invitation") or "")) and not invitation():
                    take_invitation(given)
                keep_tab_key(str(said["key"]))
                self._emit(PlaceGiven(session, str(said["key"])))


def session_to_come_back_to() -> str:
    """Return the session that this tab was in when it was reloaded, discarded or left, if it comes back now."""
    entries = performance.getEntriesByType("navigation")
    is_back = bool(entries.length) and str(entries[0].type) in ("reload", "back_forward")
    if not is_back and not getattr(document, "wasDiscarded", False):
        return ""
    with contextlib.suppress(JsException):  # the person lets this site store nothing
        return str(plain(window.sessionStorage.getItem(_ACTIVE)) or "")
    return ""


def _since(said: dict[str, Any]) -> tuple[float, str]:
    return float(said.get("since") or 0.0), str(said.get("digits", ""))


def _remember(session: str) -> None:
    with contextlib.suppress(JsException):  # the person lets this site store nothing: then a reload is a new start
        if session:
            window.sessionStorage.setItem(_ACTIVE, session)
        else:
            window.sessionStorage.removeItem(_ACTIVE)
