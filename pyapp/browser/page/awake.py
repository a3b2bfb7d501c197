"""The screen stays awake while the two sides are connected and the page is visible (W3C Screen Wake Lock)."""

from typing import Any

from js import document, navigator
from pyodide.ffi import JsException

from pyapp.browser.page.dom import Dom
from pyapp.view.status import Status


class Awake:
    """Holds the screen's wake lock, which browsers let go of when the page is hidden."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        self._is_wanted = False
        self._is_asking = False
        self._lock: Any = None
        if hasattr(navigator, "wakeLock"):  # only a secure context has it
            dom.on("document", "visibilitychange", lambda _: self._update())

    def draw(self, status: Status) -> None:
        """Hold it, or no more."""
        is_wanted = status.state in ("connected", "recovering")
        if is_wanted != self._is_wanted:
            self._is_wanted = is_wanted
            self._update()

    def _update(self) -> None:
        if not hasattr(navigator, "wakeLock") or self._is_asking:
            return
        is_held = self._lock is not None and not self._lock.released
        if self._is_wanted and not is_held and not document.hidden:
            self._is_asking = True
            self._dom.run("wake lock", self._ask())
        elif is_held and not self._is_wanted:
            self._dom.run("wake lock", self._let_go())

    async def _ask(self) -> None:
        try:
            self._lock = await navigator.wakeLock.request("screen")
        except JsException as error:
            if error.name != "NotAllowedError":  # the battery is low, or the page was hidden in the meantime
                raise
        finally:
            self._is_asking = False
        if not self._is_wanted:
            self._update()

    async def _let_go(self) -> None:
        await self._lock.release()
