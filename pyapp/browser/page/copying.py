"""Buttons that copy a text, which the browser may refuse."""

import asyncio
from collections.abc import Callable

from js import document, navigator
from pyodide.ffi import JsException

from pyapp.browser.page.dom import Dom
from pyapp.view.words import COPIED, COPYING_REFUSED

COPIED_FOR = 2.0
"""Seconds for which a copy button says how it went."""


class CopyButton:
    """Copies what `text` returns at each click. `label` is what it says otherwise.

    What is empty is copied by `text_came()`, once it is there.
    """

    def __init__(self, dom: Dom, identifier: str, label: str, text: Callable[[], str]) -> None:
        self._dom = dom
        self._is_awaited = False
        self._id = identifier
        self._label = label
        self._text = text
        self._copying: asyncio.Task[None] | None = None
        dom.on(identifier, "click", lambda _: self._copy())

    def text_came(self) -> None:
        """Do what was asked for while there was nothing to copy."""
        if self._is_awaited:
            self._copy()

    def _copy(self) -> None:
        self._is_awaited = not self._text()
        if self._is_awaited:
            return
        if self._copying:
            self._copying.cancel()
        self._copying = self._dom.run(self._id, self._copy_and_say(self._text()))

    async def _copy_and_say(self, text: str) -> None:
        write = self._dom.write
        copied = await _copy_to_clipboard(text)
        outcome = COPIED if copied else COPYING_REFUSED
        write("announcement", "textContent", outcome)
        write(self._id, "data-copied", "true" if copied else "false")
        write(f"{self._id}-label", "textContent", outcome)
        await asyncio.sleep(COPIED_FOR)
        write("announcement", "textContent", "")
        write(self._id, "data-copied", "")
        write(f"{self._id}-label", "textContent", self._label)


async def _copy_to_clipboard(text: str) -> bool:
    """Copy `text`, and return whether it worked. Without TLS there is no `navigator.clipboard`, only the old way."""
    if clipboard := getattr(navigator, "clipboard", None):
        try:
            await clipboard.writeText(text)
        except JsException as error:
            if error.name != "NotAllowedError":
                raise
        else:
            return True
    focused = document.activeElement
    field = document.createElement("textarea")
    field.className = "unseen"
    field.value = text
    document.body.append(field)
    field.select()
    copied = bool(document.execCommand("copy"))
    field.remove()
    focused.focus()
    return copied
