"""Who is at the other end, and who came and went, in words. `{time}` in a line stands for the time of day."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyapp.core.company import Happening, Kind
from pyapp.core.session import Session

LEFT, SEND_AGAIN = "Not delivered: they left", "Send to the new guest"
"""What stands at a message that was for somebody who left, and what can be done with it."""

TIME = "{time}"


@dataclass(frozen=True, slots=True)
class Company:
    """The other end."""

    happenings: Sequence[Happening] = ()
    """The list itself, which grows; `count` says that it did."""
    count: int = 0
    peer_name: str = ""
    """To be shown with the picture, or empty."""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    company = session.company
    return len(company.happenings), company.name, company.is_there


def company(session: Session) -> Company:
    """Present it."""
    there = session.company
    return Company(there.happenings, len(there.happenings), there.name if there.is_there else "")


def words(happening: Happening) -> str:
    """Return the line for somebody who came or went."""
    who = happening.name or "The other side"
    lines: dict[Kind, str] = {
        "met": f"You joined {happening.name} at {TIME}" if happening.name else f"You joined at {TIME}",
        "joined": f"{who} joined at {TIME}",
        "other": f"Somebody else joined at {TIME}" + (f": {happening.name}" if happening.name else ""),
        "back": f"{who} came back at {TIME}",
        "left": f"{who} left at {TIME}",
        "lost": f"{who} is away since {TIME}, without a goodbye",
    }
    return lines[happening.kind]
