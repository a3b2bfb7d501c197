"""The other end: what it is called, over the picture, and who came and went, between the messages."""

from typing import Any

from js import Date, Intl, document
from pyodide.ffi import to_js

from pyapp.browser.ffi import jsobj
from pyapp.browser.page.dom import Dom
from pyapp.core.company import Happening
from pyapp.view.company import Company, words


class CompanyPanel:
    """Shows who is there."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        self._shown = 0
        self._clock = Intl.DateTimeFormat.new(to_js([]), jsobj({"timeStyle": "short"}))

    def draw(self, company: Company) -> None:
        """Show it."""
        self._dom.write("peer-name", "textContent", company.peer_name)
        self._dom.write("peer-name", "hidden", not company.peer_name)
        for happening in company.happenings[self._shown :]:
            self._dom.element("happenings").append(self._line(happening))
        self._shown = company.count

    def _line(self, happening: Happening) -> Any:
        line = document.createElement("li")
        line.textContent = words(happening, self._clock.format(Date.new()))
        line.className = happening.kind
        # Among the messages by arrival, as `page/thread.py` orders them: before the next one, and after the last.
        line.style.order = str(happening.place)
        return line
