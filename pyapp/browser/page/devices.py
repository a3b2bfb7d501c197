"""The dialog of devices: which camera, microphone and speaker are used, with a preview that nobody else gets."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from js import AudioContext, Uint8Array, document, navigator
from pyodide.ffi import JsException, jsnull

from pyapp.browser.ffi import jsobj
from pyapp.browser.media import any_instead, constraints
from pyapp.browser.page.dom import Dom
from pyapp.browser.page.remembered import remember_choices
from pyapp.core.devices import Choices, Device, DeviceKind
from pyapp.core.events import DeviceChosen, DevicesListed, Event, MediaKind, SoundChosen
from pyapp.core.failures import DeviceGone, MediaRefusal
from pyapp.view.media import NO_SPEAKER, DeviceChoice, DeviceSettings, Option, media_problem

_KINDS: dict[str, DeviceKind] = {"videoinput": "camera", "audioinput": "microphone", "audiooutput": "speaker"}
_DOUBLES = ("default", "communications")
"""Chromium lists the system's defaults a second time under these ids."""
LEVEL_EVERY = 0.1
"""Seconds between two readings of the level meter."""


class DevicesPanel:
    """Lists what is plugged in, and takes choices."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._settings: DeviceSettings | None = None
        self._options: dict[str, tuple[Option, ...]] = {}
        self._preview = _Preview(dom)
        self._has_speakers = hasattr(dom.element("remote-video"), "setSinkId")
        # Firefox lists no speaker but those that the person chose in its own prompt (W3C Audio Output Devices API).
        self._has_prompt = hasattr(getattr(navigator, "mediaDevices", None), "selectAudioOutput")
        self._is_speaker_due = self._has_prompt
        """Whether the remembered speaker is still to be asked for: after a reload, Firefox lists it no more."""
        dom.write("choose-speaker", "hidden", not self._has_prompt)
        dom.on("choose-speaker", "click", lambda _: dom.run("speaker", self._choose_speaker()))
        for press in ("click", "keydown") if self._has_prompt else ():
            dom.on("document", press, lambda _: self._pressed())
        for kind in _KINDS.values():
            dom.on(f"{kind}-device", "change", self._chooser(kind))
        for switch in ("echo-cancellation", "noise-suppression"):
            dom.on(switch, "change", lambda _: self._sound_chosen())
        dom.on("devices", "click", lambda _: self._open())
        dom.write("devices", "disabled", False)
        dom.on("close-devices", "click", lambda _: dom.element("device-settings").close())
        dom.on("device-settings", "close", lambda _: self._preview.end())
        dom.on("try-devices", "click", lambda _: self._try())
        if hasattr(navigator, "mediaDevices"):
            dom.on(navigator.mediaDevices, "devicechange", lambda _: self._look())

    def draw(self, settings: DeviceSettings) -> None:
        """Show it, and use it."""
        before, self._settings = self._settings, settings
        for kind, choice in self._by_kind(settings):
            self._fill(f"{kind}-device", choice)
        has_choice = self._has_prompt or len(settings.speaker.options) > 1
        self._dom.write("speaker-field", "hidden", not (self._has_speakers and has_choice))
        self._dom.write_problem("speaker-note", settings.speaker_note)
        self._dom.element("echo-cancellation").checked = settings.choices.echo_cancellation
        self._dom.element("noise-suppression").checked = settings.choices.noise_suppression
        if before is None:
            if settings.choices.speaker:
                self._look()  # the other devices are looked for when they are wanted: the page starts sooner
            return
        if before.speaker.chosen != settings.speaker.chosen:
            self._use_speaker(settings.speaker.chosen)
        if before.choices != settings.choices:
            remember_choices(settings.choices)
            self._preview.choose(settings.choices)
        if before.in_use != settings.in_use:
            self._look()  # once something was allowed, the browser says what its devices are
        if settings.is_over and not before.is_over:
            self._dom.element("device-settings").close()

    def show_own(self, video: Any, sound: Any) -> None:
        """Preview what is on: streams of video and of sound, each or None."""
        self._preview.own(video, sound)

    def _by_kind(self, settings: DeviceSettings) -> tuple[tuple[DeviceKind, DeviceChoice], ...]:
        return ("camera", settings.camera), ("microphone", settings.microphone), ("speaker", settings.speaker)

    def _fill(self, identifier: str, choice: DeviceChoice) -> None:
        field = self._dom.element(identifier)
        if self._options.get(identifier) != choice.options:
            self._options[identifier] = choice.options
            field.replaceChildren(*map(_element, choice.options))
        field.value = choice.chosen

    def _chooser(self, kind: DeviceKind) -> Callable[[Any], None]:
        return lambda _: self._emit(DeviceChosen(kind, str(self._dom.element(f"{kind}-device").value)))

    def _sound_chosen(self) -> None:
        echo, noise = (bool(self._dom.element(name).checked) for name in ("echo-cancellation", "noise-suppression"))
        self._emit(SoundChosen(echo, noise))

    def _open(self) -> None:
        self._dom.element("device-settings").showModal()
        self._preview.begin()
        self._look()

    def _try(self) -> None:
        if self._settings is not None:
            self._preview.try_out(self._settings.choices, self._look)

    def _look(self) -> None:
        if hasattr(navigator, "mediaDevices"):
            self._dom.run("devices", self._list())

    async def _list(self) -> None:
        found = await navigator.mediaDevices.enumerateDevices()
        listed = [Device(_KINDS[str(each.kind)], str(each.deviceId), str(each.label)) for each in found]
        self._emit(DevicesListed(tuple(device for device in listed if device.id not in _DOUBLES)))
        self._preview.keep({device.id for device in listed})

    def _use_speaker(self, identifier: str) -> None:
        if self._has_speakers:
            self._dom.run("speaker", self._set_sink(identifier))

    def _pressed(self) -> None:
        """Have the remembered speaker again: it takes a press, but no question (W3C Audio Output Devices API)."""
        settings = self._settings
        if self._is_speaker_due and settings and settings.choices.speaker != settings.speaker.chosen:
            self._is_speaker_due = False
            self._dom.run("speaker", self._have_again(settings.choices.speaker))

    async def _have_again(self, speaker: str) -> None:
        try:
            given = await navigator.mediaDevices.selectAudioOutput(jsobj({"deviceId": speaker}))
        except JsException as error:
            match error.name:
                case "InvalidStateError":  # a key like Shift is no press
                    self._is_speaker_due = True
                case "NotAllowedError":  # the browser did ask, and the person said no
                    self._emit(DeviceChosen("speaker", ""))
                case "NotFoundError" | "AbortError":
                    await self._list()  # by which the dialog says that it is not there
                case _:
                    raise
            return
        await self._take_speaker(str(given.deviceId))

    async def _take_speaker(self, identifier: str) -> None:
        await self._list()  # by now it is one of them
        self._emit(DeviceChosen("speaker", identifier))

    async def _choose_speaker(self) -> None:
        """Let the browser ask which speaker may be used, and use it."""
        self._is_speaker_due = False
        self._dom.write_problem("preview-problem", "")
        try:
            chosen = await navigator.mediaDevices.selectAudioOutput()
        except JsException as error:
            if error.name == "NotFoundError":
                self._dom.write_problem("preview-problem", NO_SPEAKER)
            elif error.name not in ("NotAllowedError", "AbortError"):  # the prompt was closed
                raise
            return
        await self._take_speaker(str(chosen.deviceId))

    async def _set_sink(self, identifier: str) -> None:
        try:
            await self._dom.element("remote-video").setSinkId(identifier)
        except JsException as error:
            if error.name not in ("NotFoundError", "NotAllowedError", "AbortError"):
                raise
            # It was unplugged in the meantime, or may not be used: the default goes on playing.


def _element(option: Option) -> Any:
    element = document.createElement("option")
    element.value, element.textContent = option.id, option.label
    return element


_Tried: TypeAlias = Literal["camera", "microphone"]


class _Preview:
    """What the dialog shows: what is on, and for the time it is open what the person only tries out."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        self._is_open = False
        self._own_video: Any = None
        self._own_sound: Any = None
        self._tried: dict[_Tried, Any] = {}
        """Streams that are only tried out."""
        self._tries = 0
        self._meter: asyncio.Task[None] | None = None
        self._metered: Any = None
        self._shown: Any = None

    def own(self, video: Any, sound: Any) -> None:
        """Take what is on."""
        self._own_video, self._own_sound = video, sound
        on: tuple[tuple[_Tried, Any], ...] = ("camera", video), ("microphone", sound)
        for kind, is_on in on:
            if is_on:
                _stop(self._tried.pop(kind, None))
        self._show()

    def begin(self) -> None:
        """Show what is on."""
        self._is_open = True
        self._dom.write_problem("preview-problem", "")
        self._show()

    def end(self) -> None:
        """Show nothing any more, and let go of what was tried out."""
        self._is_open = False
        self._let_go()
        self._show()

    def choose(self, choices: Choices) -> None:
        """Try the other one if one is tried now."""
        if self._tried:
            self.try_out(choices, lambda: None)

    def keep(self, present: set[str]) -> None:
        """Let go of what is tried out and is no longer `present`, by its device's id, and say so."""
        for kind, stream in [*self._tried.items()]:
            track = stream.getTracks()[0]
            if not present & {str(track.getSettings().deviceId), ""}:  # without permission no device has an id
                self._dom.write_problem("preview-problem", media_problem(DeviceGone(kind, str(track.label), None)))
                _stop(self._tried.pop(kind))
        self._show()

    def try_out(self, choices: Choices, tried: Callable[[], None]) -> None:
        """Ask for what is not on, and call `tried` when there is an answer."""
        self._let_go()
        self._dom.write_problem("preview-problem", "")
        self._dom.run("preview", self._ask(self._tries, choices, tried))

    async def _ask(self, number: int, choices: Choices, tried: Callable[[], None]) -> None:
        wanted: tuple[tuple[_Tried, Any], ...] = ("camera", self._own_video), ("microphone", self._own_sound)
        problems = []
        for kind, own in wanted:
            if own:
                continue
            try:
                if not hasattr(navigator, "mediaDevices"):
                    problems.append(media_problem(MediaRefusal(kind, "InsecureContextError")))
                    continue
                stream = await _stream(kind, choices)
            except JsException as error:
                problems.append(media_problem(MediaRefusal(kind, str(error.name), str(error.message))))
                continue
            if number != self._tries or not self._is_open:
                _stop(stream)  # the dialog was closed while the browser asked
                return
            self._tried[kind] = stream
            self._show()
        if number == self._tries:
            if problems:  # with none, what was said meanwhile stays: the other one was unplugged
                self._dom.write_problem("preview-problem", " ".join(dict.fromkeys(problems)))
            tried()

    def _let_go(self) -> None:
        self._tries += 1
        while self._tried:
            _stop(self._tried.popitem()[1])

    def _show(self) -> None:
        video = (self._own_video or self._tried.get("camera")) if self._is_open else None
        if video is not self._shown:
            self._shown = video
            self._dom.element("preview").srcObject = video or jsnull
            self._dom.write("preview", "hidden", not video)
            facing = getattr(video.getTracks()[0].getSettings(), "facingMode", None) if video else None
            self._dom.write("preview", "data-facing", facing if isinstance(facing, str) else "")
        sound = (self._own_sound or self._tried.get("microphone")) if self._is_open else None
        self._dom.write("try-devices", "disabled", bool(video and sound))
        if sound is self._metered or (not sound and not self._metered):
            return
        self._metered = sound
        if self._meter is not None:
            self._meter.cancel()
            self._meter = None
        if sound:
            self._meter = self._dom.run("microphone-level", self._measure(sound))
        else:
            self._dom.element("microphone-level").value = 0

    async def _measure(self, stream: Any) -> None:
        """Show how loud it is, until cancelled."""
        context = AudioContext.new()
        try:
            analyser = context.createAnalyser()
            analyser.fftSize = 1024
            context.createMediaStreamSource(stream).connect(analyser)
            samples = Uint8Array.new(analyser.fftSize)
            meter = self._dom.element("microphone-level")
            while True:
                analyser.getByteTimeDomainData(samples)
                heights = samples.to_bytes()
                meter.value = max(max(heights) - 128, 128 - min(heights)) / 128
                await asyncio.sleep(LEVEL_EVERY)
        finally:
            context.close()


async def _stream(kind: MediaKind, choices: Choices) -> Any:
    try:
        return await navigator.mediaDevices.getUserMedia(jsobj(constraints(kind, choices)))
    except JsException as error:
        if (others := any_instead(kind, error, choices)) is None:
            raise
        return await navigator.mediaDevices.getUserMedia(jsobj(constraints(kind, others)))


def _stop(stream: Any) -> None:
    if stream is not None:
        for track in stream.getTracks():
            track.stop()
