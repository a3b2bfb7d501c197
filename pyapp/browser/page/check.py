"""The check of the network: its button, and the dialog about it."""

from collections.abc import Callable, Iterable
from typing import Any

from js import document

from pyapp.browser.page.copying import CopyButton
from pyapp.browser.page.dom import Dom
from pyapp.core.events import CheckRequested, CheckStopRequested, Event
from pyapp.view.checking import Advice, CheckPanel, UrlRow
from pyapp.view.words import COPY_REPORT


class NetworkCheckPanel:
    """Asks for a check, and shows how far it is and what came of it."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._panel = CheckPanel()
        self._dialog = dom.element("check-panel")
        self._rows: dict[int, Any] = {}
        """The lines about the servers, which change one by one."""
        CopyButton(dom, "check-copy", COPY_REPORT, lambda: self._panel.report)
        for name in ("check", "check-lobby"):
            dom.on(name, "click", lambda _: self.open())
        dom.on("check-again", "click", lambda _: self._begin())
        dom.on("check-stop", "click", lambda _: self._stop())
        dom.on("check-close", "click", lambda _: self._dialog.close())
        dom.on("check-panel", "close", lambda _: emit(CheckStopRequested()))
        for name in ("check", "check-lobby"):
            dom.write(name, "disabled", False)

    def open(self) -> None:
        """Open the dialog, and begin."""
        self._dialog.showModal()
        self._begin()

    def draw(self, panel: CheckPanel) -> None:
        """Show it."""
        before, self._panel = self._panel, panel
        write, is_running = self._dom.write, panel.state == "running"
        write("check-panel", "data-check", panel.state)
        write("check-outcome", "data-level", panel.level)
        write("check-sentence", "textContent", panel.sentence)
        self._dom.write_problem("check-forecast", panel.forecast)
        self._dom.element("check-progress").value = panel.progress
        write("check-progress", "hidden", not is_running)
        write("check-steps", "hidden", not is_running)
        if panel.steps != before.steps:
            self._fill("check-steps", (_step(*step) for step in panel.steps))
        if panel.advice != before.advice:
            self._fill("check-advice", (_advice(one) for one in panel.advice))
        write("check-advice-box", "hidden", not panel.advice)
        self._draw_rows(before.rows, panel.rows)
        write("check-servers-box", "hidden", not panel.rows)
        if panel.facts != before.facts:
            self._fill("check-facts", (part for fact in panel.facts for part in _fact(*fact)))
        write("check-facts-box", "hidden", not panel.facts)
        self._dom.write_problem("check-note", panel.note)
        self._dom.write_problem("check-id", panel.identifier)
        write("check-stop", "hidden", not is_running)
        write("check-again", "hidden", is_running)
        write("check-copy", "hidden", not panel.report)
        if before.state == "running" and not is_running and self._dialog.open:
            self._dialog.scrollTop = 0
            if document.activeElement.id in ("check-stop", ""):  # the button that had the focus is gone
                self._dom.element("check-sentence").focus()

    def _begin(self) -> None:
        self._emit(CheckRequested(str(self._dom.element("session").value.strip())))

    def _stop(self) -> None:
        self._emit(CheckStopRequested())

    def _fill(self, identifier: str, items: Iterable[Any]) -> None:
        self._dom.element(identifier).replaceChildren(*items)

    def _draw_rows(self, before: tuple[UrlRow, ...], rows: tuple[UrlRow, ...]) -> None:
        if len(before) != len(rows):
            self._rows = {number: document.createElement("li") for number in range(len(rows))}
            self._fill("check-servers", self._rows.values())
            before = ()
        for number, row in enumerate(rows):
            if not before or row != before[number]:
                line = self._rows[number]
                line.dataset.state = row.state
                figures = (figure.replace(" ", "\N{NO-BREAK SPACE}") for figure in row.figures)
                words = " · ".join((row.text, *figures))
                parts = (("b", row.server), ("span", row.way), ("p", words))
                line.replaceChildren(*(_element(*part) for part in parts))


def _element(name: str, text: str) -> Any:
    element = document.createElement(name)
    element.textContent = text
    return element


def _step(text: str, state: str) -> Any:
    item = _element("li", text)
    item.dataset.state = state
    if state == "running":
        item.setAttribute("aria-current", "step")
    return item


def _advice(one: Advice) -> Any:
    item = document.createElement("li")
    item.append(_element("b", one.who), _element("p", one.text))
    return item


def _fact(label: str, value: str) -> tuple[Any, Any]:
    return _element("dt", label), _element("dd", value)
