"""What the recovery says: the facts on which others act."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core.commands import PartCommand
from pyapp.core.diagnostics.journal import Note, note
from pyapp.core.path.ladder import Rung

Evidence: TypeAlias = Literal[
    "silence",
    "not-heard",
    "no-echo",
    "network-changed",
    "disconnected",
    "failed",
    "channel-closed",
]


@dataclass(frozen=True, slots=True)
class Doubted:
    """A beat is late, and not late enough for a suspicion: find out whether the server could be reached."""


@dataclass(frozen=True, slots=True)
class Reassured:
    """The beat that was late has come: the doubt is over."""


@dataclass(frozen=True, slots=True)
class Suspected:
    """The path no longer works, or may not: hold messages, and reach the server anew."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Attempt:
    """Try `rung`."""

    rung: Rung
    number: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """What we say is heard again: send what was held."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """It is proven that the path works again, `seconds` after the last sign of life before."""

    seconds: float


Outcome: TypeAlias = Note | Doubted | Reassured | Suspected | Attempt | Resumed | Recovered
Output: TypeAlias = PartCommand | Outcome


def no_alarm(what: str, seconds: float) -> Note:
    """Return an entry for a decision against an alarm."""
    return note("=", "no-alarm", what, seconds=round(seconds, 3))
