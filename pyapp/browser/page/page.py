"""The page: puts a `View` on the screen, and forwards what the person does as events. It decides nothing.

Each part of the view has a panel, which draws it when it is another one. Those that make up the first screen are there
before the page is ready; the others (`others.py`) follow, so that it takes clicks sooner. The markup is in
`index.html`; what is shown in which state is in there too (`data-in`), and in the style sheet.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from js import Date, document, navigator, performance, window

from pyapp.browser.ffi import OnError
from pyapp.browser.page.address import read_address
from pyapp.browser.page.controls import ControlsPanel
from pyapp.browser.page.dom import Dom, Panel
from pyapp.browser.page.lobby import LobbyPanel
from pyapp.browser.page.status import StatusPanel
from pyapp.browser.tabs import session_to_come_back_to
from pyapp.core.events import Event, PageClosing, PageShown
from pyapp.view.console import View
from pyapp.view.words import diagnostics_title

if TYPE_CHECKING:
    from pyapp.browser.page.others import Others

WITHOUT_THE_OTHERS = ("loading", "ready", "connecting")
"""States in which the first screen may be all that is shown. In all others `data-path` and its kin must be set together
with `data-state`, so their panels are attached first."""

FOCUS_AFTER = 0.1
"""Seconds after a change in which the browser lays the page out by itself: to ask sooner where a control went takes
tens of milliseconds, in the middle of connecting."""


class Page:
    """The document in front of the person.

    `emit` is called for each thing that the person does. `on_error` is told of every exception of a handler.
    """

    def __init__(self, emit: Callable[[Event], None], on_error: OnError) -> None:
        self._dom = Dom(on_error)
        self._emit = emit
        self._view: View | None = None
        self._lobby = LobbyPanel(self._dom, emit)
        self._panels: tuple[tuple[str, Panel], ...] = (
            ("status", StatusPanel(self._dom)),
            ("lobby", self._lobby),
            ("controls", ControlsPanel(self._dom, emit)),
        )
        self._attached: Others | None = None
        self._drawn: dict[int, object] = {}
        """What each panel shows."""
        self._dom.on(window, "pagehide", lambda _: emit(PageClosing()))
        self._dom.on(window, "pageshow", lambda event: emit(PageShown()) if event.persisted else None)

    def show_local(self, video: Any, sound: Any) -> None:
        """Show what this side shares: streams of video and of sound, each or None."""
        others = self._others()
        others.media.show_local_stream(video)
        others.devices.show_own(video, sound)

    def show_remote(self, stream: Any) -> None:
        """Show what the other side sends: a stream, or None."""
        self._others().media.show_remote_stream(stream)

    def mark_ready(self) -> None:
        """Say that the page takes clicks, and hand on the request that came first: a kept click, or `autoconnect`."""
        performance.mark("console-ready")
        window.dispatchEvent(window.Event.new("console-ready"))  # until here runtime/page/boot.mjs keeps the click
        root = document.documentElement
        clicked = root.hasAttribute("data-pending-connect")
        root.removeAttribute("data-pending-connect")
        self._lobby.take_clicks(at_once=clicked or read_address().autoconnect, back_in=session_to_come_back_to())
        if read_address().check:
            self._others().check.open()

    def complete(self) -> None:
        """Attach the panels beyond the first screen."""
        self._others()

    def render(self, view: View) -> None:
        """Put `view` on the screen."""
        before, self._view = self._view, view
        focused = document.activeElement if before and _buttons(before) != _buttons(view) else None
        self._draw(view)
        if view.status.state not in WITHOUT_THE_OTHERS:
            self._others()
        if focused and focused.id:
            self._dom.run("the focus", self._keep_focus(focused))

    def _draw(self, view: View) -> None:
        for number, (name, panel) in enumerate(self._panels):
            part = getattr(view, name)
            if part is not self._drawn.get(number):
                panel.draw(part)
                self._drawn[number] = part

    def _others(self) -> "Others":
        """Return the other panels; attach them if they are not."""
        if self._attached is None:
            from pyapp.browser.page.others import Others

            self._attached = Others(self._dom, self._emit, self._diagnostics)
            self._panels += self._attached.panels
            if self._view is not None:
                self._draw(self._view)
        return self._attached

    async def _keep_focus(self, focused: Any) -> None:
        """Give the keyboard a place to go on from, when the control that had it went away."""
        await asyncio.sleep(FOCUS_AFTER)
        view = self._view
        has_moved_on = document.activeElement not in (focused, document.body)
        gone = getattr(focused, "disabled", False) or focused.getClientRects().length == 0
        if view is None or has_moved_on or not gone:
            return
        if focused.id == "send":
            place = "message"
        elif view.status.state == "waiting":
            place = "copy-link"
        else:
            place = "connect" if view.controls.can_connect else "status-text"
        self._dom.element(place).focus()

    def _diagnostics(self) -> str:
        """Return what the page shows about the connection as text, to be passed on. The invitation is not in it."""
        from pyapp.browser.page.log import clock

        view = self._view
        if view is None:
            return ""
        state = (view.status.headline, view.status.detail, view.status.cause, view.quality.line, view.quality.reason)
        facts = (f"{fact.label}: {fact.value}" for fact in view.path.facts)
        log = (f"{clock(line.at)} {line.mark} {line.text} {line.detail}".rstrip() for line in view.log.lines)
        title = diagnostics_title(view.lobby.session, Date.new().toISOString())
        return "\n".join((title, navigator.userAgent, "", *filter(None, state), "", *facts, "", *log, ""))


def _buttons(view: View) -> tuple[object, ...]:
    return view.status.state, view.controls, view.thread.can_send
