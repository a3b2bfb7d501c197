"""What the recovery reports: facts on which other parts act."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core.commands import PartCommand
from pyapp.core.path.ladder import Rung
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry

Evidence: TypeAlias = Literal[
    "silence",
    "not-heard",
    "no-echo",
    "network-changed",
    "disconnected",
    "failed",
    "channel-closed",
    "dtls-failed",
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


Outcome: TypeAlias = Entry | Doubted | Reassured | Suspected | Attempt | Resumed | Recovered
Output: TypeAlias = PartCommand | Outcome


NoAlarm: TypeAlias = Literal["late", "stalled", "peer-stalled", "answered", "heard"]
"""Why no alarm is raised: a heartbeat was late, but not late enough; this page has stalled; the other page has, and its
browser answers; the other side answered after what may have been a change of the network; it is heard, whatever the
browser says."""


def no_alarm(cause: NoAlarm, seconds: float, evidence: str = "") -> Entry:
    """Return the journal entry for a decision not to raise an alarm."""
    return entries.NoAlarm(cause, round(seconds, 3), evidence)
