"""Who the peer is, and who came and left, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyapp.core.company import Happening, Kind
from pyapp.core.session import Session

LEFT, SEND_AGAIN = "Not delivered: they left", "Send to the new guest"
"""The note at a message for somebody who left, and its button."""


@dataclass(frozen=True, slots=True)
class Company:
    """The other end."""

    happenings: Sequence[Happening] = ()
    """The growing list itself; `count` shows when it has grown."""
    count: int = 0
    peer_name: str = ""
    """The name shown with the video, or empty."""


def inputs(session: Session) -> object:
    """Return what the view of the company depends on."""
    company = session.company
    return len(company.happenings), company.name, company.is_there


def company(session: Session) -> Company:
    """Present it."""
    there = session.company
    return Company(there.happenings, len(there.happenings), there.name if there.is_there else "")


def words(happening: Happening, time: str) -> str:
    """Return the line for somebody who came or left at `time`, the time of day as the person writes it."""
    who = happening.name or "The other side"
    lines: dict[Kind, str] = {
        "met": f"You joined {happening.name} at {time}" if happening.name else f"You joined at {time}",
        "joined": f"{who} joined at {time}",
        "other": f"Somebody else joined at {time}" + (f": {happening.name}" if happening.name else ""),
        "back": f"{who} came back at {time}",
        "left": f"{who} left at {time}",
        "lost": f"{who} is away since {time}, without a goodbye",
    }
    return lines[happening.kind]
