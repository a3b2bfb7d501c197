"""The status: what is going on, above everything else."""

from pyapp.browser.page.dom import Dom
from pyapp.view.status import Status


class StatusPanel:
    """Shows the state, in words and to the style sheet."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom

    def draw(self, status: Status) -> None:
        """Show it."""
        write = self._dom.write
        write("body", "data-state", status.state)
        write("status", "data-level", status.level)
        write("headline", "textContent", status.headline)
        write("detail", "textContent", status.detail)
        write("cause", "textContent", status.cause)
        write("cause-box", "hidden", not status.cause)
        write("document", "title", status.title)
        write("stage-title", "textContent", status.stage_title)
        write("stage-detail", "textContent", status.stage_detail)
