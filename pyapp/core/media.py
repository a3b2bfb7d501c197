"""Camera, microphone and screen of this side: what the person switched on, and what the browser gave for it.

    off --the person--> starting --the browser gives it--> on --the person, or the browser's own control--> off

A request is numbered: the browser's prompt may stay open for minutes, and what comes for an older request is nobody's.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.diagnostics.journal import Note, note
from pyapp.core.events import MediaKind
from pyapp.core.failures import MediaRefusal
from pyapp.protocol.channel import MediaShared

MediaState: TypeAlias = Literal["off", "starting", "on"]
Output: TypeAlias = Command | Note


@dataclass(slots=True)
class Media:
    """What this side shares."""

    states: dict[MediaKind, MediaState] = field(
        default_factory=lambda: {"camera": "off", "microphone": "off", "screen": "off"}
    )
    problem: MediaRefusal | None = None
    """Why the last request gave nothing, until the next one."""
    _number: int = 0
    _requests: dict[MediaKind, int] = field(default_factory=dict)
    """The requests of what is starting or on, by kind."""

    @property
    def shared(self) -> MediaShared:
        """What the other side is told."""
        video = "on" in (self.states["camera"], self.states["screen"])
        return MediaShared(audio=self.states["microphone"] == "on", video=video)

    def toggle(self, kind: MediaKind) -> list[Output]:
        """Switch it on or off; while the browser asks the person, do nothing."""
        self.problem = None
        match self.states[kind]:
            case "off":
                self._number += 1
                self._requests[kind] = self._number
                self.states[kind] = "starting"
                return [commands.StartMedia(self._number, kind)]
            case "on":
                return [commands.StopMedia(kind)]
        return []

    def end(self) -> list[Output]:
        """Switch everything off, also what the browser has not given yet."""
        outputs: list[Output] = [commands.StopMedia(kind) for kind, state in self.states.items() if state != "off"]
        self._requests.clear()
        self.states.update(dict.fromkeys(self.states, "off"))
        return outputs

    def started(self, number: int, kind: MediaKind) -> list[Output]:
        """Take it that the browser gave it."""
        if number != self._requests.get(kind):
            return []
        self.states[kind] = "on"
        return [note("=", "media", f"{kind} on", kind=kind, on=True)]

    def stopped(self, number: int, kind: MediaKind) -> list[Output]:
        """Take it that it is off."""
        return [note("=", "media", f"{kind} off", kind=kind, on=False)] if self._is_over(number, kind) else []

    def failed(self, number: int, kind: MediaKind, error: str) -> list[Output]:
        """Take it that the browser did not give it."""
        if not self._is_over(number, kind):
            return []
        self.problem = MediaRefusal(kind, error)
        return [note("!", "media", f"{kind}: {error}", kind=kind, error=error)]

    def _is_over(self, number: int, kind: MediaKind) -> bool:
        """Return whether `number` is that of what is starting or on, and is no more."""
        if number != self._requests.get(kind):
            return False
        del self._requests[kind]
        self.states[kind] = "off"
        return True
