"""The path: how the two sides are connected, as a drawing, as facts, and for the style sheet and automation."""

from collections.abc import Sequence
from typing import Any

from js import document

from pyapp.browser.page.dom import Dom
from pyapp.view.path import Fact, Path


class PathPanel:
    """Shows the path in use."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        self._attributes: tuple[tuple[str, str], ...] = ()
        self._facts: tuple[Fact, ...] = ()

    def draw(self, path: Path) -> None:
        """Show it."""
        attributes = (
            ("data-path", path.kind),
            ("data-local-candidate", path.local_candidate),
            ("data-remote-candidate", path.remote_candidate),
            ("data-protocol", path.protocol),
            ("data-relay-protocol", path.relay_protocol),
            ("data-ice-generation", str(path.ice_generation)),
        )
        if attributes != self._attributes:
            self._attributes = attributes
            self._show_kind(path)
        self._show_facts(path.facts)

    def _show_kind(self, path: Path) -> None:
        write = self._dom.write
        for name, value in self._attributes:
            write("body", name, value)
        near = path.relay_protocol or path.protocol
        write("leg-direct", "textContent", path.protocol.upper())
        write("leg-near", "textContent", near.upper())
        write("leg-far", "textContent", path.protocol.upper())

    def _show_facts(self, facts: Sequence[Fact]) -> None:
        write = self._dom.write
        before, self._facts = self._facts, tuple(facts)
        if [fact.id for fact in facts] != [fact.id for fact in before]:
            before = ()
            self._dom.element("facts").replaceChildren(*(self._row(fact.id) for fact in facts))
            write("facts", "hidden", not facts)
            write("facts-empty", "hidden", bool(facts))
        for number, fact in enumerate(facts):
            if not before or fact != before[number]:
                write(f"fact-{fact.id}-label", "textContent", fact.label)
                write(f"fact-{fact.id}", "textContent", fact.value)

    def _row(self, identifier: str) -> Any:
        row = document.createElement("div")
        row.append(
            self._dom.create("dt", f"fact-{identifier}-label"),
            self._dom.create("dd", f"fact-{identifier}"),
        )
        return row
