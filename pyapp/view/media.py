"""What each side shares, and the devices for it."""

from dataclasses import dataclass

from pyapp.core.devices import Choices, Device, DeviceKind, Devices
from pyapp.core.events import MediaKind, TrackKind
from pyapp.core.failures import DeviceGone, DeviceStopped, MediaProblem
from pyapp.core.session import Session


@dataclass(frozen=True, slots=True)
class MediaControl:
    """One of the three media buttons."""

    kind: MediaKind
    label: str
    on: bool
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """What each side shares."""

    controls: tuple[MediaControl, ...] = ()
    problem: str = ""
    offer: str = ""
    """The label of a button beside the problem, or empty; it switches `offered` on."""
    offered: MediaKind = "camera"
    note: str = ""
    """What is paused on our side, or is not sent."""
    local_video: bool = False
    is_mirrored: bool = False
    """Whether one's own video is a camera that looks at the person: people know themselves from mirrors."""
    remote_video: bool = False
    remote_audio: bool = False
    remote_note: str = ""
    """What is paused on the peer's side."""


@dataclass(frozen=True, slots=True)
class Option:
    """One device to choose. An empty `id` is the system's default."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """The devices of one kind, with the chosen one."""

    options: tuple[Option, ...]
    chosen: str


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What can be chosen, before and during a session."""

    camera: DeviceChoice
    microphone: DeviceChoice
    speaker: DeviceChoice
    choices: Choices
    """To be remembered."""
    speaker_note: str = ""
    """Why sound comes from another speaker than the chosen one."""
    in_use: tuple[MediaKind, ...] = ()
    is_over: bool = False
    """Whether the session is over: then our own media is no longer shown."""


_LABELS: dict[MediaKind, str] = {"camera": "Camera", "microphone": "Microphone", "screen": "Share screen"}


def media_inputs(session: Session) -> object:
    """Return what `media` depends on."""
    own = session.media
    of_own = tuple(own.states.values()), frozenset(own.muted), own.faces_away, own.problem, _unsent(session)
    return of_own, session.conversation.shared


def media(session: Session) -> Media:
    """Present what is shared."""
    own, theirs = session.media, session.conversation.shared
    gone = own.problem if isinstance(own.problem, DeviceGone) else None
    return Media(
        controls=tuple(
            MediaControl(kind, _LABELS[kind], on=state == "on", busy=state == "starting")
            for kind, state in own.states.items()
        ),
        problem=media_problem(own.problem) if own.problem else "",
        offer=_offer(gone.next) if gone and gone.next else "",
        offered="microphone" if gone and gone.kind == "microphone" else "camera",
        note=" ".join(
            [*(_PAUSED[kind] for kind in own.states if kind in own.muted), *map(_UNSENT.__getitem__, _unsent(session))]
        ),
        local_video="on" in (own.states["camera"], own.states["screen"]),
        is_mirrored=own.states["screen"] != "on" and not own.faces_away,
        remote_video=theirs.video,
        remote_audio=theirs.audio,
        remote_note=_remote_note(audio_muted=theirs.audio_muted, video_muted=theirs.video_muted),
    )


def _unsent(session: Session) -> list[TrackKind]:
    """Return what is on and not sent."""
    return sorted(session.connection.sending.unsent) if session.connection else []


def device_inputs(session: Session) -> object:
    """Return what `device_settings` depends on."""
    media = session.media
    return media.devices.known, media.devices.choices, tuple(media.states.values()), session.phase


def device_settings(session: Session) -> DeviceSettings:
    """Present what can be chosen."""
    return DeviceSettings(
        camera=_choice(session, "camera"),
        microphone=_choice(session, "microphone"),
        speaker=_choice(session, "speaker"),
        choices=session.media.devices.choices,
        speaker_note=_speaker_note(session.media.devices),
        in_use=tuple(kind for kind, state in session.media.states.items() if state == "on"),
        is_over=session.phase in ("closed", "failed"),
    )


def _choice(session: Session, kind: DeviceKind) -> DeviceChoice:
    devices = session.media.devices
    options = [Option("", "System default")]
    for number, device in enumerate(devices.of(kind), start=1):
        # Before capture was permitted once, browsers list the devices without labels.
        if device.id:
            options.append(Option(device.id, device.label or f"{kind.capitalize()} {number}"))
    chosen = devices.choices.of(kind)
    return DeviceChoice(tuple(options), chosen if devices.find(kind, chosen) else "")


def _speaker_note(devices: Devices) -> str:
    chosen = devices.choices.speaker
    return SPEAKER_AWAY if chosen and devices.known and not devices.find("speaker", chosen) else ""


# The words.

_PAUSED = {
    "camera": "Your camera is paused by this device, as when its lid is closed. It comes back by itself.",
    "microphone": "Your microphone is paused by this device, as during a phone call. It comes back by itself.",
    "screen": "What you share is paused, as when its window is minimized. It comes back by itself.",
}

_UNSENT: dict[TrackKind, str] = {
    "audio": "The other side does not hear you: this browser can send nothing of this microphone."
    " Choose another one under Devices.",
    "video": "The other side does not see you: this browser can send nothing of this camera."
    " Choose another one under Devices.",
}


def _remote_note(*, audio_muted: bool, video_muted: bool) -> str:
    match audio_muted, video_muted:
        case True, True:
            return "Video and sound are paused by the other side's device."
        case True, False:
            return "Sound is paused by the other side's device."
        case False, True:
            return "Video is paused by the other side's device."
    return ""


def media_problem(problem: MediaProblem) -> str:
    """Say why there is no camera, microphone or screen, and what to do."""
    if isinstance(problem, DeviceGone | DeviceStopped):
        device = f"The {problem.kind} “{problem.label}”" if problem.label else f"The {problem.kind}"
        if isinstance(problem, DeviceStopped):
            return f"{device} stopped by itself. Switch it on again, or choose another one under Devices."
        return f"{device} was unplugged." + ("" if problem.next else f" Plug a {problem.kind} in, and try again.")
    kind = problem.kind
    if problem.is_by_system:
        return f"{_OF_SYSTEM[kind]} Allow it in the settings of this device, under privacy, and try again."
    if problem.is_dismissed:
        return (
            f"The question whether this page may use the {kind} was closed. Press the button again, and choose Allow."
        )
    if kind == "screen" and problem.error in _OF_CAPTURE:
        return _OF_CAPTURE[problem.error]
    match problem.error:
        case "NotAllowedError":
            return f"This page may not use the {kind}. Allow it beside the address, and try again."
        case "NotFoundError" | "OverconstrainedError":
            return f"No {kind} was found on this device. Plug one in, and try again."
        case "NotReadableError" | "AbortError":
            return f"The {kind} is in use by another program. Close that program, and try again."
        case "InsecureContextError" | "SecurityError":
            return f"Browsers allow the {kind} only on pages over https. Open this page with https:// in its address."
    return f"The {kind} could not be switched on ({problem.error}). Try again, or choose another one under Devices."


NO_FULL_SCREEN = "The browser does not allow full screen now. Click into the page, and press the button again."

NO_WINDOW = "The browser does not open a small window now. Click into the page, and press the button again."

SPEAKER_AWAY = "The speaker that you chose is not available now, so you hear everything through the default one."

NO_SPEAKER = "No speaker was found on this device. Plug one in, and try again."

_OF_SYSTEM = {
    "camera": "This device does not let the browser use the camera.",
    "microphone": "This device does not let the browser use the microphone.",
    "screen": "This device does not let the browser record the screen.",
}

_OF_CAPTURE = {
    "NotFoundError": "There is no screen or window here that this browser could share. Open one, and try again.",
    "NotReadableError": "This device did not hand the screen over. Choose another screen or window, and try again.",
    "InvalidStateError": "Browsers share a screen only at a click, from the tab in front. Press the button again.",
}
"""Of a screen, which is neither plugged in nor in use by another program; by the name of the `DOMException`."""


def _offer(device: Device) -> str:
    return f"Use “{device.label}”" if device.label else f"Use another {device.kind}"
