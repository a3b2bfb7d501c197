"""The log: what happened, a line each, for whoever opens it."""

import asyncio
from collections.abc import Callable
from typing import Any

from js import Date

from pyapp.browser.page.copying import CopyButton
from pyapp.browser.page.dom import Dom
from pyapp.core.diagnostics.journal import LogLine
from pyapp.view.console import Log
from pyapp.view.log import matcher
from pyapp.view.words import COPY_DIAGNOSTICS, MARKS

MAX_LINES = 500
DRAWN_AFTER = 1.0
"""Seconds after which the log is drawn that nobody has opened: connecting is many lines, and must not wait for them."""


class LogPanel:
    """Shows the newest lines first. `diagnostics` returns what its button copies."""

    def __init__(self, dom: Dom, diagnostics: Callable[[], str]) -> None:
        self._dom = dom
        self._log = Log()
        self._newest = 0
        """The number of the newest line that is shown."""
        self._drawing: asyncio.Task[None] | None = None
        dom.on("diagnostics", "toggle", lambda _: self._draw_soon())
        for name in ("log-filter", "log-trouble"):
            dom.on(name, "input", lambda _: self._filter())
        CopyButton(dom, "copy-diagnostics", COPY_DIAGNOSTICS, diagnostics)

    def draw(self, log: Log) -> None:
        """Show it: soon, if nobody looks."""
        self._log = log
        self._draw_soon()

    def _draw_soon(self) -> None:
        if self._dom.element("diagnostics").open:
            self._show()
        elif self._drawing is None:
            self._drawing = self._dom.run("log", self._show_later())

    async def _show_later(self) -> None:
        await asyncio.sleep(DRAWN_AFTER)
        self._drawing = None
        self._show()

    def _show(self) -> None:
        lines = self._log.lines
        rows = self._dom.element("log")
        if not lines or lines[0].number < self._newest:
            rows.replaceChildren()
            self._newest = 0
        wanted = self._wanted()
        new = []
        for line in lines[:MAX_LINES]:
            if line.number <= self._newest:
                break
            new.append(self._row(line, is_shown=wanted(line)))
        if not new:
            return
        self._newest = lines[0].number
        rows.prepend(*new)
        while rows.childElementCount > MAX_LINES:
            rows.lastElementChild.remove()
        self._dom.write("log-count", "textContent", str(rows.childElementCount))

    def _wanted(self) -> Callable[[LogLine], bool]:
        """Return what tells whether a line is to be shown."""
        text = str(self._dom.element("log-filter").value)
        return matcher(text, trouble_only=bool(self._dom.element("log-trouble").checked))

    def _filter(self) -> None:
        """Show the rows that are wanted now."""
        wanted, rows = self._wanted(), self._dom.element("log").children
        drawn = (line for line in self._log.lines[:MAX_LINES] if line.number <= self._newest)
        for row, line in zip(rows, drawn, strict=False):
            row.hidden = not wanted(line)

    def _row(self, line: LogLine, *, is_shown: bool) -> Any:
        template = self._dom.element("log-line-with-detail" if line.detail else "log-line")
        row = template.content.firstElementChild.cloneNode(True)
        mark, time, text = row.children
        if line.detail:
            text, detail = text.children
            detail.textContent = line.detail
        row.setAttribute("data-mark", line.mark)
        row.hidden = not is_shown
        row.className = "" if line.number % 2 else "even"
        mark.textContent = line.mark
        mark.title = MARKS[line.mark]
        time.textContent = clock(line.at)
        text.textContent = line.text
        return row


def clock(milliseconds: float) -> str:
    """Return the local time of day, to the millisecond."""
    time = Date.new(milliseconds)
    return f"{time.toTimeString()[:8]}.{int(milliseconds % 1000):03}"
