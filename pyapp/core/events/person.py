"""What the person does at the page, apart from media, invitations and checks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectExpected:
    """The page is ready, and the person will probably press Connect for this session."""

    session: str


@dataclass(frozen=True, slots=True)
class SessionEdited:
    """The session name in the field has changed, and may be incomplete."""

    session: str


@dataclass(frozen=True, slots=True)
class ConnectRequested:
    """Connect was pressed.

    `by_itself` if nobody did so just now: the page's URL said `autoconnect`, or the tab comes back to the session.
    """

    session: str
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """Hang up was pressed."""


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """Restart ICE was pressed."""


@dataclass(frozen=True, slots=True)
class MessageSubmitted:
    """The person sent a message."""

    text: str


@dataclass(frozen=True, slots=True)
class MessageSentAgain:
    """A message for somebody who left is to go to the present peer. `place` is its place in the conversation."""

    place: int


@dataclass(frozen=True, slots=True)
class NameGiven:
    """The person has chosen a display name, used from the next session on; it may be empty."""

    name: str


@dataclass(frozen=True, slots=True)
class DiagnosticsShown:
    """The person has opened the diagnostics, or closed them: while they are open, the path is measured more often."""

    is_shown: bool


@dataclass(frozen=True, slots=True)
class PersonActive:
    """A key or a pointer was pressed."""
