"""Cameras, microphones and speakers: which exist, which the person chose, and how sound is processed."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

DeviceKind: TypeAlias = Literal["camera", "microphone", "speaker"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the browser lists it: `id` is of this origin alone; `label` is empty before capture was allowed."""

    kind: DeviceKind
    id: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """The person's choices: devices by their `id`, empty for the system's default. They are stored in this browser."""

    camera: str = ""
    microphone: str = ""
    speaker: str = ""
    echo_cancellation: bool = True
    noise_suppression: bool = True
    """Switch it off to hear a machine, which the browser would suppress as noise."""

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
    """The devices that are plugged in, and the choices among them."""

    choices: Choices = DEFAULT
    known: tuple[Device, ...] = ()

    def of(self, kind: DeviceKind) -> tuple[Device, ...]:
        """Return the devices of a kind."""
        return tuple(device for device in self.known if device.kind == kind)

    def find(self, kind: DeviceKind, identifier: str) -> Device | None:
        """Return a device that is plugged in."""
        return next((device for device in self.of(kind) if device.id == identifier), None)

    def may_have(self, kind: DeviceKind, identifier: str) -> bool:
        """Return whether a device may be plugged in: without permission to capture, none has an `id`."""
        return any(device.id in (identifier, "") for device in self.of(kind))

    def best(self, kind: DeviceKind) -> Device | None:
        """Return the chosen device, or the first if that is not plugged in; None if there is none, or none is known."""
        return self.find(kind, self.choices.of(kind)) or next(iter(self.of(kind)), None)
