"""What the recovery reports: facts on which other parts act."""

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
    """A beat is late, but not late enough to act on: check whether the server can be reached."""


@dataclass(frozen=True, slots=True)
class Reassured:
    """The late beat has arrived: the doubt is over."""


@dataclass(frozen=True, slots=True)
class Suspected:
    """The path has stopped working, or may have: hold messages, and open a new socket."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Attempt:
    """Try `rung`."""

    rung: Rung
    number: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The peer hears us again: send what was held."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The path is proven to work again, `seconds` after the last sign of life before the outage."""

    seconds: float


Outcome: TypeAlias = Note | Doubted | Reassured | Suspected | Attempt | Resumed | Recovered
Output: TypeAlias = PartCommand | Outcome


def no_alarm(what: str, seconds: float) -> Note:
    """Return the journal entry for a decision not to raise an alarm."""
    return note("=", "no-alarm", what, seconds=round(seconds, 3))
