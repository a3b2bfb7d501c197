"""Camera, microphone and screen."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core.devices import Device, DeviceKind

MediaKind: TypeAlias = Literal["camera", "microphone", "screen"]
TrackKind: TypeAlias = Literal["audio", "video"]


@dataclass(frozen=True, slots=True)
class MediaToggled:
    """Camera, microphone or screen was switched on or off."""

    kind: MediaKind


@dataclass(frozen=True, slots=True)
class DeviceChosen:
    """The person has chosen a device; `device` is its `deviceId`, or empty for the system's default."""

    kind: DeviceKind
    device: str


@dataclass(frozen=True, slots=True)
class SoundChosen:
    """The person has chosen how the microphone's sound is processed."""

    echo_cancellation: bool
    noise_suppression: bool


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The camera, microphone or screen is on. `number` is that of the command, here and below.

    `device` is the `deviceId` of the device in use, if it is known. `faces_away` says that it is a camera that looks
    where the person looks (`facingMode` is `environment`).
    """

    number: int
    kind: MediaKind
    device: str = ""
    faces_away: bool = False


@dataclass(frozen=True, slots=True)
class MediaStopped:
    """It was switched off on request."""

    number: int
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class MediaEnded:
    """The track ended by itself: the device was unplugged, or the browser's own control stopped it."""

    number: int
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class MediaMuted:
    """The system has muted or unmuted the track (a closed lid, a phone call): `mute` and `unmute`."""

    number: int
    kind: MediaKind
    muted: bool


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The request was rejected. `error` is the `DOMException`'s name, such as `NotAllowedError`."""

    number: int
    kind: MediaKind
    error: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class DevicesListed:
    """`enumerateDevices()`: what is plugged in now."""

    devices: tuple[Device, ...]


MediaEvent: TypeAlias = (
    MediaToggled
    | DeviceChosen
    | SoundChosen
    | MediaStarted
    | MediaStopped
    | MediaEnded
    | MediaMuted
    | MediaFailed
    | DevicesListed
)
