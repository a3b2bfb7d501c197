"""The buttons of the connection."""

from collections.abc import Callable

from pyapp.browser.page.dom import Dom
from pyapp.core.events import Event, HangUpRequested, RestartRequested
from pyapp.view.console import Controls


class ControlsPanel:
    """Offers what can be done now. What Connect does is up to the lobby."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        dom.on("hangup", "click", lambda _: emit(HangUpRequested()))
        dom.on("restart-ice", "click", lambda _: emit(RestartRequested()))

    def draw(self, controls: Controls) -> None:
        """Show them."""
        write = self._dom.write
        write("connect", "disabled", not controls.can_connect)
        write("connect-label", "textContent", controls.connect_label)
        write("hangup", "disabled", not controls.can_hang_up)
        write("restart-ice", "disabled", not controls.can_restart)
