"""What cannot be done, as facts; `pyapp/view/verdicts.py` has the words."""

from dataclasses import dataclass
from typing import TypeAlias

from pyapp.core.devices import Device, DeviceKind
from pyapp.core.diagnostics.gathering import Gathering, ServerProblem
from pyapp.core.events import MediaKind
from pyapp.protocol.wire import Scalar


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server refuses us: the code of its `Error`, and the reason."""

    code: str
    reason: str

    def data(self) -> dict[str, Scalar]:
        """Return the fields of a journal entry."""
        return {"code": self.code, "cause": self.reason}


@dataclass(frozen=True, slots=True)
class NoPath:
    """No candidate pair worked. `errors` are the `icecandidateerror` events, one line each."""

    problems: tuple[ServerProblem, ...]
    errors: tuple[str, ...]
    relay_only: bool

    def data(self) -> dict[str, Scalar]:
        """Return the fields of a journal entry."""
        problems = ", ".join(f"{problem.url} {problem.kind}" for problem in self.problems)
        return {"code": "no-path", "relay_only": self.relay_only, "problems": problems, "cause": "\n".join(self.errors)}


Failure: TypeAlias = Refusal | NoPath
"""Why the session cannot go on."""


def no_path(gathering: Gathering, *, relay_only: bool) -> NoPath:
    """Return the failure to find a path, with what gathering found."""
    return NoPath(tuple(gathering.problems()), tuple(gathering.causes()), relay_only)


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


MediaProblem: TypeAlias = MediaRefusal | DeviceGone


@dataclass(frozen=True, slots=True)
class TooLong:
    """A message exceeds the size limit."""

    size: int


@dataclass(frozen=True, slots=True)
class TooMuchWaiting:
    """Too much data is unacknowledged to keep more."""


MessageRefusal: TypeAlias = TooLong | TooMuchWaiting
