"""What cannot be done, as facts; `pyapp/view/verdicts.py` has the words."""

import json
from dataclasses import dataclass
from typing import TypeAlias

from pyapp.core.devices import Device, DeviceKind
from pyapp.core.diagnostics.gathering import Gathering, ServerProblem
from pyapp.core.events import MediaKind, Obstacle
from pyapp.protocol import entries


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server refuses us: the code of its `Error`, and the reason."""

    code: str
    reason: str

    @property
    def is_about_invitation(self) -> bool:
        """Whether another invitation may help."""
        return self.code.startswith("invitation-")

    def entry(self) -> entries.Failed:
        """Return it as an entry of the journal."""
        return entries.Failed(code=self.code, cause=self.reason)


@dataclass(frozen=True, slots=True)
class NoPath:
    """No candidate pair worked. `errors` are the `icecandidateerror` events, one line each.

    `without_relays` means that one side had to go on without, because the server did not name any to it.
    """

    problems: tuple[ServerProblem, ...]
    errors: tuple[str, ...]
    relay_only: bool
    without_relays: bool = False
    budget_used_up: bool = False
    """Whether the server gives no relays, because their budget is used up."""

    def entry(self) -> entries.Failed:
        """Return it as an entry of the journal."""
        problems = ", ".join(f"{problem.url} {problem.kind}" for problem in self.problems)
        cause = "\n".join(self.errors)
        return entries.Failed(code="no-path", relay_only=self.relay_only, problems=problems, cause=cause)


Failure: TypeAlias = Refusal | NoPath
"""Why the session cannot go on."""


def no_path(gathering: Gathering, *, relay_only: bool) -> NoPath:
    """Return the failure to find a path, with what gathering found."""
    return NoPath(tuple(gathering.problems()), tuple(gathering.causes()), relay_only)


MOST_RULE = 1024
"""Characters of a rule of the server's."""

FORBIDDEN = 403

LOG_IN = (401, FORBIDDEN, 407, 511)
"""Statuses of whoever wants a log-in: RFC 9110, sections 15.5.2, 15.5.4 and 15.5.8; RFC 6585, section 6."""


def obstacle_of(status: int, content_type: str, body: str = "") -> Obstacle:
    """Return what an answer to `GET /healthz`, whose own one is JSON, says of why no WebSocket opens."""
    cause = f"GET /healthz: HTTP status {status}, {content_type or 'no type'}"
    if status == FORBIDDEN and (rule := _foreign_origin(body)):
        return Obstacle("foreign-origin", rule)
    is_ok = 200 <= status < 300
    if status in LOG_IN or (is_ok and "json" not in content_type):
        return Obstacle("log-in", cause)
    return Obstacle("blocked" if is_ok else "down", cause)


def _foreign_origin(body: str) -> str:
    """Return the rule by which the server refuses the page's origin, empty if it is no such `Error`."""
    try:
        error = json.loads(body)
    except ValueError:
        return ""
    is_one = isinstance(error, dict) and error.get("code") == "foreign-origin"
    return str(error.get("message"))[:MOST_RULE] if is_one else ""


@dataclass(frozen=True, slots=True)
class MediaRefusal:
    """`getUserMedia()` or `getDisplayMedia()` was rejected: name and message of its `DOMException`."""

    kind: MediaKind
    error: str
    message: str = ""

    @property
    def is_by_system(self) -> bool:
        """Whether the operating system denies the browser the device. Chromium says so, only in the message."""
        return self.error == "NotAllowedError" and "system" in self.message.lower()

    @property
    def is_dismissed(self) -> bool:
        """Whether the person dismissed the browser's prompt. Chromium says so."""
        return self.error == "NotAllowedError" and "dismissed" in self.message.lower()

    @property
    def is_cancelled(self) -> bool:
        """Whether the person cancelled the screen picker, which is not an error."""
        return self.kind == "screen" and self.error in ("NotAllowedError", "AbortError") and not self.is_by_system


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """The device in use was unplugged; `next` is a possible replacement."""

    kind: DeviceKind
    label: str
    next: Device | None


@dataclass(frozen=True, slots=True)
class DeviceStopped:
    """The device in use stopped by itself, and is still plugged in: it failed, or the browser took it back."""

    kind: DeviceKind
    label: str


MediaProblem: TypeAlias = MediaRefusal | DeviceGone | DeviceStopped


@dataclass(frozen=True, slots=True)
class TooLong:
    """A message exceeds the size limit."""

    size: int


@dataclass(frozen=True, slots=True)
class TooMuchWaiting:
    """Too much data is unacknowledged to keep more."""


MessageRefusal: TypeAlias = TooLong | TooMuchWaiting
