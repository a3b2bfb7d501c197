"""The document, as the panels use it: found by id, written only where a value changed, listened to."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from js import document

from pyapp.browser.ffi import Listeners, OnError


class Panel(Protocol):
    """Draws one part of the view."""

    def draw(self, part: Any, /) -> None:
        """Show it in place of the one before."""


class Dom:
    """Elements by their `id`; `body` and `document` go by these names. `on_error` is told of every exception."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self._elements: dict[str, Any] = {"body": document.body, "document": document}
        self._written: dict[tuple[str, str], str | bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners = Listeners(on_error)

    def element(self, identifier: str) -> Any:
        """Return the element."""
        if identifier not in self._elements:
            self._elements[identifier] = document.getElementById(identifier)
        return self._elements[identifier]

    def create(self, name: str, identifier: str) -> Any:
        """Return a new element with this id, in place of one that had it before."""
        element = document.createElement(name)
        element.id = identifier
        self._elements[identifier] = element
        self._written.pop((identifier, "textContent"), None)
        return element

    def write(self, identifier: str, name: str, value: str | bool) -> None:
        """Set a property, or a `data-` or `aria-` attribute, of an element, unless it was set to this before."""
        key = (identifier, name)
        if self._written.get(key) == value:
            return
        self._written[key] = value
        if name.startswith(("data-", "aria-")):
            self.element(identifier).setAttribute(name, value)
        else:
            setattr(self.element(identifier), name, value)

    def write_problem(self, identifier: str, text: str) -> None:
        """Show the words of a problem, or hide their place if there are none."""
        self.write(identifier, "textContent", text)
        self.write(identifier, "hidden", not text)

    def on(self, target: Any, event: str, callback: Callable[[Any], object]) -> None:
        """Call `callback` with each `event` of an element, by its id, or of another target."""
        self._listeners.add(self.element(target) if isinstance(target, str) else target, event, callback)

    def run(self, where: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task whose exceptions are told as those of `where`."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, a task must not keep it to itself
                self._on_error(where, error)

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
