"""Cameras, microphones and speakers: which there are, which the person chose, and how sound is taken up."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

DeviceKind: TypeAlias = Literal["camera", "microphone", "speaker"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the browser names it: `id` is of this origin alone; `label` is empty before anything was allowed."""

    kind: DeviceKind
    id: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person chose: devices by their `id`, empty for the system's default. Remembered on this device."""

    camera: str = ""
    microphone: str = ""
    speaker: str = ""
    echo_cancellation: bool = True
    noise_suppression: bool = True
    """Off for whoever listens to a machine, which is noise to a browser."""

    def of(self, kind: DeviceKind) -> str:
        """Return the chosen device of a kind."""
        return {"camera": self.camera, "microphone": self.microphone, "speaker": self.speaker}[kind]

    def choose(self, kind: DeviceKind, identifier: str) -> "Choices":
        """Return these with another device."""
        match kind:
            case "camera":
                return replace(self, camera=identifier)
            case "microphone":
                return replace(self, microphone=identifier)
            case "speaker":
                return replace(self, speaker=identifier)


DEFAULT = Choices()


@dataclass(slots=True)
class Devices:
    """What is plugged in, and what is to be used of it."""

    choices: Choices = DEFAULT
    known: tuple[Device, ...] = ()

    def of(self, kind: DeviceKind) -> tuple[Device, ...]:
        """Return the devices of a kind."""
        return tuple(device for device in self.known if device.kind == kind)

    def find(self, kind: DeviceKind, identifier: str) -> Device | None:
        """Return a device that is plugged in."""
        return next((device for device in self.of(kind) if device.id == identifier), None)

    def best(self, kind: DeviceKind) -> Device | None:
        """Return the chosen one, or the first if that is not there; None if there is none, or all are unknown."""
        return self.find(kind, self.choices.of(kind)) or next(iter(self.of(kind)), None)
