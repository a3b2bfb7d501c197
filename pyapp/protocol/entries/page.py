"""Entries about this page: its devices, its messages, its check of the network, its invitations, its faults."""

from dataclasses import dataclass
from typing import ClassVar

from pyapp.protocol.entries.entry import Entry


@dataclass(frozen=True, slots=True)
class Media(Entry):
    """Camera, microphone or screen is on or off; `kind` is which."""

    event: ClassVar[str] = "media"
    key: ClassVar[str] = "on"

    kind: str
    on: bool

    def _says(self) -> str:
        return f"{self.kind} {'on' if self.on else 'off'}"


@dataclass(frozen=True, slots=True)
class MediaMuted(Entry):
    """The system, or the person by a key of the device, muted it, or no longer does."""

    event: ClassVar[str] = "media"
    key: ClassVar[str] = "muted"

    kind: str
    muted: bool

    def _says(self) -> str:
        return f"{self.kind} {'muted by the system' if self.muted else 'no longer muted'}"


@dataclass(frozen=True, slots=True)
class MediaFailed(Entry):
    """It could not be had; `error` is the name of the `DOMException`, `reason` its message."""

    event: ClassVar[str] = "media"
    key: ClassVar[str] = "error"
    _mark = "!"

    kind: str
    error: str
    reason: str

    def _says(self) -> str:
        return f"{self.kind}: {self.error}: {self.reason}"


@dataclass(frozen=True, slots=True)
class NotSent(Entry):
    """Nothing of this page's `audio` or `video` was sent for `seconds`, though the path works."""

    event: ClassVar[str] = "not-sent"
    _mark = "!"

    kind: str
    seconds: float

    def _says(self) -> str:
        return f"nothing was sent of this page's {self.kind} for {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageProblem(Entry):
    """The other side sent what is no message, or no `what`; or a message of our `own` was not taken."""

    event: ClassVar[str] = "message"
    key: ClassVar[str] = "problem"
    _mark = "!"

    own: bool = False
    what: str = ""
    problem: str

    def _says(self) -> str:
        if self.own:
            return f"a message was not taken: {self.problem}"
        return f"the other side sent what is no {self.what or 'message'}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Check(Entry):
    """The check of the network has `begun`, or was `stopped`."""

    event: ClassVar[str] = "check"
    key: ClassVar[str] = "state"

    state: str

    def _says(self) -> str:
        return {"begun": "checking the network", "stopped": "the check was stopped"}.get(self.state, "")


@dataclass(frozen=True, slots=True)
class Checked(Entry):
    """The check is over: the rule of its verdict, and its problems, `RULE@HOST` with spaces between them."""

    event: ClassVar[str] = "check"
    key: ClassVar[str] = "verdict"

    verdict: str
    problems: str
    took_ms: int

    def _says(self) -> str:
        return f"the check says {self.verdict}" if self.verdict else ""


@dataclass(frozen=True, slots=True)
class Invited(Entry):
    """An invitation to `session` was issued; `id` is what it is revoked by."""

    event: ClassVar[str] = "invited"

    session: str
    id: str

    def _says(self) -> str:
        return f"an invitation was issued to {self.session}"


@dataclass(frozen=True, slots=True)
class Revoked(Entry):
    """An invitation was taken back."""

    event: ClassVar[str] = "revoked"

    id: str

    def _says(self) -> str:
        return f"invitation {self.id} was taken back"


@dataclass(frozen=True, slots=True)
class InvitingFailed(Entry):
    """The server refused a `request` about invitations."""

    event: ClassVar[str] = "inviting"
    _mark = "!"

    request: str
    reason: str
    code: str

    def _says(self) -> str:
        return f"{self.request}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Fault(Entry):
    """An error of ours, in `where`."""

    event: ClassVar[str] = "fault"
    _mark = "!"

    where: str
    error: str

    def _says(self) -> str:
        return f"{self.where}: {self.error}"
