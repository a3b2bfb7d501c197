"""Who the peer is: whether it is still the same person, and who came and left when."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["met", "joined", "other", "back", "left", "lost"]
"""We joined them; they joined; somebody else took their place; they came back; they left; they were lost."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Somebody came or left. `name` is their display name, or empty.

    `place` is that of the next message in the conversation.
    """

    kind: Kind
    name: str
    place: int


@dataclass(slots=True)
class Company:
    """The peer of one session. A person is identified by the browser tab, which survives a reload."""

    happenings: list[Happening] = field(default_factory=list)
    """It only grows."""
    name: str = ""
    """The display name of the present or last peer; empty if they gave none."""
    is_there: bool = False
    _tab: str = field(init=False, default="")

    def arrived(self, tab: str, name: str, *, was_first: bool, place: int) -> None:
        """Record that the peer is `tab`. `was_first` means that we were there before."""
        kind: Kind | None = None
        if not self._tab:
            kind = "joined" if was_first else "met"
        elif tab != self._tab:
            kind = "other"
        elif not self.is_there:
            kind = "back"
        self._tab, self.name, self.is_there = tab, name, True
        if kind:
            self.happenings.append(Happening(kind, name, place))

    def gone(self, place: int, *, is_lost: bool) -> None:
        """Record that the peer is gone. `is_lost` means that it left without a goodbye."""
        if self.is_there:
            self.is_there = False
            self.happenings.append(Happening("lost" if is_lost else "left", self.name, place))

    def ended(self) -> None:
        """Forget the peer: the next session is another one."""
        self.is_there = False
        self._tab = ""
