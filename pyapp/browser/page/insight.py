"""The diagnostics while they are open: charts, the way that packets take, candidates and pairs.

The charts are JavaScript, `runtime/charts/` around uPlot. They are fetched when the diagnostics are first opened, and
again at the next opening if they did not come.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from js import document
from pyodide.ffi import JsException

from pyapp.browser.page.dom import Dom
from pyapp.core.events import DiagnosticsShown, Event
from pyapp.view.insight import CHARTS_LOADING, NO_CHARTS, NO_SAMPLES, Hop, Insight, new_marks, new_samples


class InsightPanel:
    """Shows them. A closed panel costs nothing."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._insight = Insight()
        self._board: Any = None
        """The charts, once they are loaded."""
        self._is_loading = False
        self._charted = -1.0
        """Up to when they have been told, in seconds on the runner's clock."""
        self._rows: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._cells: dict[str, list[list[Any]]] = {}
        """Of each table, by row: to look a cell up takes four crossings of the border, to write it one."""
        self._hops: tuple[Hop, ...] = ()
        dom.on("diagnostics", "toggle", lambda _: self._toggled())
        if dom.element("diagnostics").open:  # somebody was quick
            self._toggled()

    def draw(self, insight: Insight) -> None:
        """Show it, unless it is closed."""
        self._insight = insight
        if not insight.is_shown:
            return
        self._show_way(insight)
        self._show_rows("pairs", insight.pairs)
        self._show_rows("candidates", insight.candidates)
        self._chart()

    def _toggled(self) -> None:
        is_open = bool(self._dom.element("diagnostics").open)
        self._emit(DiagnosticsShown(is_open))
        if is_open and self._board is None and not self._is_loading:
            self._is_loading = True
            self._dom.write("charts-none", "textContent", CHARTS_LOADING)
            self._dom.run("the charts", self._load())

    async def _load(self) -> None:
        from console_runtime import import_module  # only there in the page

        try:
            plotting = await import_module("uplot", "uplot.mjs")
            charts = await import_module("charts", "charts.mjs")
            self._board = await charts.open(plotting, self._dom.element("charts"))
        except JsException:
            self._dom.write("charts-none", "textContent", NO_CHARTS)
            raise
        finally:
            self._is_loading = False
        self._chart()

    def _chart(self) -> None:
        insight = self._insight
        if self._board is None or not insight.is_shown:
            return
        samples, marks = new_samples(insight, self._charted), new_marks(insight, self._charted)
        if samples or marks:
            self._board.add(json.dumps(samples), json.dumps(marks))
            self._charted = insight.live.latest_at
        self._dom.write("charts-none", "textContent", NO_SAMPLES)
        self._dom.write("charts-none", "hidden", bool(insight.live.samples))

    def _show_way(self, insight: Insight) -> None:
        self._dom.write("way", "textContent", insight.way)
        self._dom.write("insight-path", "hidden", not insight.hops)
        if insight.hops != self._hops:
            self._hops = insight.hops
            self._dom.element("hops").replaceChildren(*(self._hop(hop) for hop in insight.hops))

    def _hop(self, hop: Hop) -> Any:
        item = document.createElement("li")
        item.dataset.kind = hop.kind
        for name, text, word in (("span", hop.leg, "leg"), ("b", hop.name, ""), ("span", hop.note, "note")):
            if text:
                part = document.createElement(name)
                part.textContent = text
                part.className = word
                item.append(part)
        return item

    def _show_rows(self, name: str, rows: Sequence[tuple[str, ...]]) -> None:
        """Show the rows of a table: a cell is written if it has changed."""
        before, now = self._rows.get(name, ()), tuple(rows)
        if before == now:
            return
        self._rows[name] = now
        body, cells = self._dom.element(name), self._cells.setdefault(name, [])
        while len(cells) > len(now):
            cells.pop()
            body.lastElementChild.remove()
        for number, row in enumerate(now):
            if number >= len(cells):
                cells.append(_append_row(body, row))
            elif before[number] != row:
                for cell, old, new in zip(cells[number], before[number], row, strict=True):
                    if old != new:
                        cell.textContent = new
        self._dom.write(f"{name}-table", "hidden", not now)


def _append_row(body: Any, texts: Sequence[str]) -> list[Any]:
    """Append a row to a table, and return its cells."""
    row, cells = document.createElement("tr"), []
    for text in texts:
        cell = document.createElement("td")
        cell.textContent = text
        row.append(cell)
        cells.append(cell)
    body.append(row)
    return cells
