"""Our camera, microphone and screen: what the person switched on, and what the browser provided.

    off --the person--> starting --the browser gives it--> on --the person, or the browser's own control--> off
    starting --the person takes it back--> off
                            ^---- another device, or another way to treat the sound ----'
    on --it is unplugged--> off, and what comes next is offered
    on --it fails, or the browser takes it back--> off

Requests are numbered: the browser's prompt may stay open for minutes, and the answer to an older request is ignored. A
track that the system mutes (a closed lid, a phone call) stays on, since the system unmutes it again.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core import commands, events
from pyapp.core.commands import Command
from pyapp.core.devices import Choices, Device, DeviceKind, Devices
from pyapp.core.events import MediaEvent, MediaKind, TrackKind
from pyapp.core.failures import DeviceGone, DeviceStopped, MediaProblem, MediaRefusal
from pyapp.protocol import entries
from pyapp.protocol.channel import MediaShared
from pyapp.protocol.entries import Entry

MediaState: TypeAlias = Literal["off", "starting", "on"]
Output: TypeAlias = Command | Entry

RELAY_FRAMES = 20
"""Frames per second over a relay with a rate limit: fewer, but sharper."""


@dataclass(slots=True)
class _Ended:
    """A device whose track ended by itself: unplugged, if it is no longer listed, which may take a moment."""

    kind: DeviceKind
    device: Device


@dataclass(slots=True)
class Media:
    """What this side shares."""

    states: dict[MediaKind, MediaState] = field(
        default_factory=lambda: {"camera": "off", "microphone": "off", "screen": "off"}
    )
    devices: Devices = field(default_factory=Devices)
    problem: MediaProblem | None = None
    """Why the last request failed, or its track ended; kept until the next request."""
    muted: set[MediaKind] = field(default_factory=set)
    """What the system has muted."""
    faces_away: bool = False
    """Whether the camera, the last time it was on, looks where the person looks."""
    _number: int = field(init=False, default=0)
    _requests: dict[MediaKind, int] = field(init=False, default_factory=dict)
    """The numbers of the requests that are starting or on, by kind."""
    _used: dict[MediaKind, str] = field(init=False, default_factory=dict)
    """The devices in use."""
    _changing: set[MediaKind] = field(init=False, default_factory=set)
    """What was on and is starting again: the peer need not know."""
    _camera_waits: bool = field(init=False, default=False)
    """Whether the camera was on when the screen replaced it."""
    _ended: _Ended | None = field(init=False, default=None)
    _limit: int | None = field(init=False, default=None)
    """The limit of video that the browser was last given, in kbit/s."""

    @property
    def shared(self) -> MediaShared:
        """What the peer is told."""
        on = {kind for kind, state in self.states.items() if state == "on"} | self._changing
        return MediaShared(
            audio="microphone" in on,
            video="camera" in on or "screen" in on,
            audio_muted="microphone" in self.muted,
            video_muted=bool(self.muted & {"camera", "screen"}),
        )

    @property
    def sent(self) -> dict[TrackKind, int]:
        """The tracks that are to be sent all the time, by the numbers of their requests.

        What is muted may stand still, and so may a screen on which nothing moves.
        """
        kinds: tuple[tuple[TrackKind, MediaKind], ...] = (("audio", "microphone"), ("video", "camera"))
        on = ((track, kind) for track, kind in kinds if self.states[kind] == "on" and kind not in self.muted)
        return {track: self._requests[kind] for track, kind in on}

    def receive(self, event: MediaEvent) -> list[Output]:
        """Handle a request of the person's, or an event of the browser's."""
        match event:
            case events.MediaToggled(kind):
                return self._toggle(kind)
            case events.DeviceChosen(kind, device):
                return self._choose(self.devices.choices.choose(kind, device), kind)
            case events.SoundChosen(echo_cancellation, noise_suppression):
                before = self.devices.choices
                choices = Choices(
                    before.camera, before.microphone, before.speaker, echo_cancellation, noise_suppression
                )
                return self._choose(choices, "microphone")
            case events.DevicesListed(devices):
                self.devices.known = devices
                self._look_for_ended(is_listed_anew=True)
                return []
            case events.MediaStarted():
                return self._started(event)
            case events.MediaStopped(number, kind):
                return self._stopped(number, kind)
            case events.MediaEnded(number, kind):
                return self._ended_by_itself(number, kind)
            case events.MediaFailed(number, kind, error, message):
                return self._failed(number, kind, error, message)
            case events.MediaMuted(number, kind, muted):
                return self._muted(number, kind, muted=muted)

    def end(self) -> list[Output]:
        """Switch everything off, including pending requests."""
        outputs: list[Output] = [commands.StopMedia(kind) for kind, state in self.states.items() if state != "off"]
        self._requests.clear()
        self._used.clear()
        self._changing.clear()
        self.muted.clear()
        self._camera_waits = False
        self._ended = None
        self.states.update(dict.fromkeys(self.states, "off"))
        return outputs

    def follow(self, limit: int | None) -> list[Output]:
        """Limit sent video to `limit` kbit/s from now on; None leaves it to the browser."""
        if limit == self._limit:
            return []
        self._limit = limit
        return [commands.LimitVideo(limit and limit * 1000, RELAY_FRAMES if limit else None)]

    # The person.

    def _toggle(self, kind: MediaKind) -> list[Output]:
        gone, self.problem = self.problem, None
        self._ended = None
        if kind == "camera":
            self._camera_waits = False
        match self.states[kind]:
            case "off" if isinstance(gone, DeviceGone) and gone.kind == kind and gone.next:
                # Use the offered replacement. The choice stays, for when the device is plugged in again.
                return self._start(kind, self.devices.choices.choose(gone.kind, gone.next.id))
            case "off":
                return self._start(kind)
            case "starting":
                # The browser may never answer: the person need not wait for it.
                self._is_over(self._requests[kind], kind)
                return [commands.StopMedia(kind)]
            case "on":
                return [commands.StopMedia(kind)]

    def _start(self, kind: MediaKind, choices: Choices | None = None) -> list[Output]:
        self._number += 1
        self._requests[kind] = self._number
        self.states[kind] = "starting"
        return [commands.StartMedia(self._number, kind, choices or self.devices.choices)]

    def _choose(self, choices: Choices, kind: DeviceKind) -> list[Output]:
        if choices == self.devices.choices:
            return []
        self.devices.choices = choices
        if kind == "speaker" or self.states[kind] == "off":
            return []
        self.problem = None
        if self.states[kind] == "on":
            self._changing.add(kind)
        return self._start(kind)  # in the place of a request that asks for what was chosen before

    # The browser.

    def _started(self, event: events.MediaStarted) -> list[Output]:
        kind = event.kind
        if event.number != self._requests.get(kind):
            return []
        self.states[kind] = "on"
        self._used[kind] = event.device
        if kind == "camera":
            self.faces_away = event.faces_away
        self._changing.discard(kind)
        outputs: list[Output] = [entries.Media(kind, on=True)]
        # Both use the one video section: one replaces the other.
        if kind == "screen" and "camera" in self._requests:
            self._camera_waits = self.states["camera"] == "on"
            outputs.append(commands.StopMedia("camera"))
        elif kind == "camera" and "screen" in self._requests:
            outputs.append(commands.StopMedia("screen"))
        return outputs

    def _stopped(self, number: int, kind: MediaKind) -> list[Output]:
        if not self._is_over(number, kind):
            return []
        outputs: list[Output] = [entries.Media(kind, on=False)]
        return outputs + self._camera_again() if kind == "screen" else outputs

    def _ended_by_itself(self, number: int, kind: MediaKind) -> list[Output]:
        device = self._used.get(kind, "")
        outputs = self._stopped(number, kind)
        if outputs and kind != "screen":
            self._ended = _Ended(kind, self.devices.find(kind, device) or Device(kind, device))
            self._look_for_ended(is_listed_anew=False)
        return outputs

    def _failed(self, number: int, kind: MediaKind, error: str, message: str) -> list[Output]:
        if not self._is_over(number, kind):
            return []
        refusal = MediaRefusal(kind, error, message)
        if not refusal.is_cancelled:
            self.problem = refusal
        return [entries.MediaFailed(kind, error, message)]

    def _muted(self, number: int, kind: MediaKind, *, muted: bool) -> list[Output]:
        if number != self._requests.get(kind):
            return []
        (self.muted.add if muted else self.muted.discard)(kind)
        return [entries.MediaMuted(kind, muted=muted)]

    def _look_for_ended(self, *, is_listed_anew: bool) -> None:
        """Say what became of the device that ended."""
        ended = self._ended
        if ended is None or not self.devices.known:
            return
        if not self.devices.may_have(ended.kind, ended.device.id):
            self._ended = None
            self.problem = DeviceGone(ended.kind, ended.device.label, self.devices.best(ended.kind))
        elif is_listed_anew:
            self.problem = DeviceStopped(ended.kind, ended.device.label)

    def _camera_again(self) -> list[Output]:
        if not self._camera_waits:
            return []
        self._camera_waits = False
        self._changing.add("camera")
        return self._start("camera")

    def _is_over(self, number: int, kind: MediaKind) -> bool:
        """Return whether `number` is the current request of `kind`, and if so, end it."""
        if number != self._requests.get(kind):
            return False
        del self._requests[kind]
        self._used.pop(kind, None)
        self._changing.discard(kind)
        self.muted.discard(kind)
        self.states[kind] = "off"
        return True
