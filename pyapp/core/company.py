"""Who is at the other end: whether it is still the same person, and who came and went when."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["met", "joined", "other", "back", "left", "lost"]
"""We came to them; they came; somebody else came in their place; they came back; they left; they are away."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Somebody came or went. `name` is what they want to be called, or empty.

    `place` is that in the conversation of the message that comes after it.
    """

    kind: Kind
    name: str
    place: int


@dataclass(slots=True)
class Company:
    """The other end of one session. A person is known by the browser tab, which stays the same while it is reloaded."""

    happenings: list[Happening] = field(default_factory=list)
    """It only grows."""
    name: str = ""
    """What whoever is there, or was there last, wants to be called; empty if they did not say."""
    is_there: bool = False
    _tab: str = field(init=False, default="")

    def arrived(self, tab: str, name: str, *, was_first: bool, place: int) -> None:
        """Take it that `tab` is at the other end. `was_first` means that we were there before."""
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
        """Take it that nobody is there any more. `is_lost` means that nobody said goodbye."""
        if self.is_there:
            self.is_there = False
            self.happenings.append(Happening("lost" if is_lost else "left", self.name, place))

    def ended(self) -> None:
        """Forget who was there: the next session is another one."""
        self.is_there = False
        self._tab = ""
