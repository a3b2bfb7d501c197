"""The offer to load a newer page."""

from js import location

from pyapp.browser.page.dom import Dom
from pyapp.view.update import Update


class UpdatePanel:
    """Shows it below the status."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        dom.on("update-reload", "click", lambda _: location.reload())

    def draw(self, update: Update) -> None:
        """Show it."""
        write = self._dom.write
        write("update", "hidden", not update.sentence)
        write("update-text", "textContent", update.sentence)
        write("update-reload", "hidden", not update.can_reload)
