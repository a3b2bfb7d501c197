"""An entry of the journal: what it holds, and what it says in one sentence.

The sentence follows from the fields alone. So nothing of it is sent or stored, and a record of an earlier version has
it as well. A page may have made the fields up: whatever they are, there is a sentence, short and of plain characters.
What a page says of itself names nobody; what the server saw (`server-…`) follows the name of a person.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Literal, TypeAlias

from pyapp.protocol.wire import Scalar

Mark: TypeAlias = Literal[">", "<", "=", "!"]
"""`>` sent, `<` received, `=` state, `!` trouble."""

LONGEST = 400
"""Characters of a sentence."""

_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
"""Space, control characters, and those that change the direction of a text (UAX 9, section 2)."""


class Entry:
    """An entry: a frozen dataclass, whose fields are those of the record, plain values of JSON.

    A field without a default is always told; one with a default is left out while it has it.
    """

    __slots__ = ()

    event: ClassVar[str]
    """Its name in the record. Several classes may share one: then each but one has a `key`."""
    key: ClassVar[str] = ""
    """The field by which the entries of this class are told from the others of the same event."""
    _mark: ClassVar[Mark] = "="

    @property
    def mark(self) -> Mark:
        """How the page's log marks it."""
        return self._mark

    def data(self) -> dict[str, Scalar]:
        """Return it as the data of the record."""
        cls: Any = type(self)
        values = ((name, getattr(self, name), default) for name, default in _defaults(cls))
        return {name: value for name, value, default in values if value != default}

    def text(self) -> str:
        """Return what it says: without a capital and a full stop, so that it can follow a name.

        Of an entry that lacks what there is to say, as those of earlier versions may, it is the name of the event.
        """
        text = self._says()
        if not text.isprintable() or "  " in text:
            text = _UNSEEN.sub(" ", text)
        text = text.strip(" :,") or self.event.replace("-", " ")
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

    def _says(self) -> str:
        """Return the sentence, as it comes."""
        return ""


@cache
def _defaults(cls: Any) -> tuple[tuple[str, Any], ...]:
    """Return the fields with their defaults; not before they are needed, since it delays the start of the page."""
    return tuple((item.name, item.default) for item in fields(cls))


@dataclass(frozen=True, slots=True)
class Unknown(Entry):
    """An entry of another version, or one that somebody made up: its event, and its data as they are."""

    event: str  # type: ignore[misc]  # of the others it is the class's
    held: Mapping[str, Scalar]

    def data(self) -> dict[str, Scalar]:
        """Return what it holds."""
        return dict(self.held)
