"""What relays cost, and what their budget means."""

from pyapp.browser.page.dom import Dom
from pyapp.view.cost import Cost


class CostPanel:
    """Shows it under the line of quality."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom

    def draw(self, cost: Cost) -> None:
        """Show it."""
        self._dom.write("budget", "data-step", cost.step)
        self._dom.write("budget", "textContent", cost.notice)
        self._dom.write("cost", "textContent", cost.figures)
