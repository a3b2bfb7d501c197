"""What happens to the page itself: its window, its network, its clock, and the other tabs of this browser."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core.timers import Timer
from pyapp.protocol.wire import Scalar


@dataclass(frozen=True, slots=True)
class PageClosing:
    """The page is being left (`pagehide`)."""


@dataclass(frozen=True, slots=True)
class PageShown:
    """The page was restored from the back-forward cache (`pageshow` with `persisted`)."""


@dataclass(frozen=True, slots=True)
class VisibilityChanged:
    """`visibilitychange`: the timers of a hidden page fire about once a second."""

    hidden: bool


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """`offline`, `online`, or `change` of `navigator.connection`.

    `certain` is False for a `change` with new estimates of speed, which occurs on a healthy network, too.
    """

    kind: Literal["offline", "online", "change"]
    certain: bool


@dataclass(frozen=True, slots=True)
class CapturePermitted:
    """Whether the page may use the camera or the microphone: then the browser shows it every network interface, too."""

    permitted: bool


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by `commands.StartTimer` is due."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Slept:
    """The machine slept: the runner's clock and all timers stood still for `seconds` of wall-clock time.

    A wall clock that is set forward looks the same.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """An unhandled exception. It is shown and journaled, never swallowed."""

    where: str
    error: str
    data: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvitationGiven:
    """A link with an invitation was opened in this tab while the page was open."""

    invitation: str = field(repr=False)


# The other tabs of this browser.


@dataclass(frozen=True, slots=True)
class TabEntered:
    """Another tab is in `session`; if this one is in it, too, the other one has been so for longer."""

    session: str


@dataclass(frozen=True, slots=True)
class TabLeft:
    """The other tab has left `session`."""

    session: str


@dataclass(frozen=True, slots=True)
class PlaceWanted:
    """The person wants to use `session` in another tab instead of this one."""

    session: str


@dataclass(frozen=True, slots=True)
class PlaceGiven:
    """Another tab has left its place in `session` to this one, with the place's key."""

    session: str
    key: str = field(repr=False)


TabEvent: TypeAlias = TabEntered | TabLeft | PlaceWanted | PlaceGiven
