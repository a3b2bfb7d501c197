"""The line of quality: how good the connection is, and why it is no better."""

from pyapp.browser.page.dom import Dom
from pyapp.view.quality import Quality


class QualityPanel:
    """Shows it under the status."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        dom.on("quality-more", "click", lambda _: self._open())

    def draw(self, quality: Quality) -> None:
        """Show it."""
        write = self._dom.write
        write("body", "data-quality", quality.level)
        write("quality", "textContent", quality.line)
        write("quality", "data-rule", quality.rule)
        write("quality-reason", "textContent", " ".join(filter(None, (quality.reason, quality.advice))))
        write("quality-announcement", "textContent", quality.announcement)

    def _open(self) -> None:
        """Open the diagnostics, and bring them into view."""
        diagnostics = self._dom.element("diagnostics")
        diagnostics.open = True
        diagnostics.scrollIntoView()
        diagnostics.firstElementChild.focus()
