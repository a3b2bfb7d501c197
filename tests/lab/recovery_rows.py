"""What a row of the recovery table is: something that happens to a session, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lab.recovery_scene import FAR, HOME
from tests.lab.recovery_seen import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.lab.recovery_scene import Scene

NOT_REACHED = (
    r"WebSocket connection to '[^']*' failed",
    r"Failed to load resource: net::ERR_",
)
"""What Chromium says on its console when the server is out of reach, whatever a page does."""


GIVEN_UP = (r"WebSocket is closed before the connection is established",)
"""The same of a socket that was opened in doubt, lost a packet or a moment of the machine's, and was given up."""


CHANGED = r"The network of Guest 1 changed"
EITHER_CHANGED = r"The network(s of Guest [12] and| of) Guest [12] changed"
SILENT = r"(Guest [12] (heard nothing|was not heard) any more|The path (broke|failed) at the side of Guest [12])"
"""What an account may say of the cause of an outage: patterns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Seconds that the gap may last: the median, and the 95th percentile."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event, and what is expected of it.

    `act` makes it happen. It returns the Unix time, in seconds, from which the silence counts, or None: from the last
    message before the event. It may leave in `scene.undo` what puts the lab in order again.
    """

    name: str
    title: str
    act: Callable[[Scene], float | None]
    ready: Callable[[Scene], None] | None = None  # what the lab has to be like before the pages are loaded
    places: tuple[str, str] = (HOME, FAR)
    targets: Mapping[float, Target] = field(default_factory=dict)  # by the delay, one way at each site, in ms
    most: float | None = None  # seconds of silence, for what is no statistics
    bound: float = 5.0  # seconds of silence, generously: a longer one was ended by a timeout of the browser's
    standby: bool = False  # whether it is played to pages that keep a second path ready, and begins when they have one
    path: str = ""  # data-path at both ends afterwards, if it must be this one
    within: float | None = None  # seconds after the event by which it is, if that is asked for
    cause: str = f"({EITHER_CHANGED}|{SILENT})"  # of the outage, as the account says it: a pattern
    over: str = ""  # how a relay is reached afterwards, in the account's words, if it must be this
    says: frozenset[str] = frozenset()  # rules of the account that must have a sentence besides
    restarts: bool | None = True  # whether an ICE restart is needed; False: no outage may be thought of
    modes: frozenset[Mode] = frozenset(Mode)  # in which it can be played
    shows: bool = True  # whether cameras and microphones stay on, so that what is not seen or heard is a gap
    problems: tuple[str, ...] = NOT_REACHED  # what the browser may say on its console
    seconds: float = 0.0  # how long the event itself lasts
    repeats: bool = True  # whether all is as before once it is put back, so that it can happen to the session again
    of_yardstick: bool = True  # whether the hand-written page can be measured by it
