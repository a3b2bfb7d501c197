"""The presenter: what the page shows, as plain strings and levels. `browser/page.py` puts a `View` on the screen."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.diagnostics import LogLine

__all__ = ["Fact", "LogLine", "MediaControl", "MessageLine", "View"]

PageState: TypeAlias = Literal[
    "loading", "ready", "waiting", "connecting", "connected", "recovering", "failed", "closed"
]
Level: TypeAlias = Literal["neutral", "busy", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the path panel: `Round trip`, `24 ms`. `id` is stable, for tests and automation."""

    id: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class MediaControl:
    """One of the three media buttons."""

    kind: Literal["camera", "microphone", "screen"]
    label: str
    on: bool
    busy: bool = False


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message in the conversation. `status` is empty for the far end's; `number` is unique within `mine`."""

    number: int
    mine: bool
    text: str
    status: Literal["", "sending", "delivered", "lost"] = ""


@dataclass(frozen=True, slots=True)
class View:
    """All that the page shows. The first seven fields are the page-state contract of the README."""

    state: PageState
    path: Literal["none", "direct", "relay"] = "none"
    local_candidate: str = ""
    remote_candidate: str = ""
    protocol: str = ""
    relay_protocol: str = ""
    ice_generation: int = 0

    session: str = ""
    session_problem: str = ""
    """Why the session name in the field cannot be used, or empty."""
    link: str = ""
    """The address to give to the other side, or empty while there is none."""

    level: Level = "neutral"
    headline: str = ""
    """What is going on, in two to five words: `Connected directly`."""
    detail: str = ""
    """One plain sentence that explains it, or says what to do."""
    cause: str = ""
    """The technical cause, shown on request: error names, codes, URLs."""

    can_connect: bool = False
    can_hang_up: bool = False
    can_restart: bool = False
    can_send: bool = False
    facts: tuple[Fact, ...] = ()
    media: tuple[MediaControl, ...] = ()
    media_problem: str = ""
    local_video: bool = False
    remote_video: bool = False
    remote_audio: bool = False
    messages: tuple[MessageLine, ...] = ()
    log: tuple[LogLine, ...] = ()
    """Newest first."""
