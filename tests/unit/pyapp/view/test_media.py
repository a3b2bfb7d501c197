"""The words for what became of camera, microphone and screen, and what can be chosen."""

import re
from dataclasses import replace

import pytest

from pyapp.core import events
from pyapp.core.commands import StopMedia
from pyapp.core.devices import DEFAULT, Device
from pyapp.core.events import (
    DeviceChosen,
    DevicesListed,
    MediaEnded,
    MediaKind,
    MediaMuted,
    MediaStarted,
    MediaStopped,
    MediaToggled,
)
from pyapp.core.failures import DeviceGone, DeviceStopped, MediaRefusal
from pyapp.protocol.channel import Frame, MediaShared, encode_frame
from pyapp.protocol.signaling import Error
from pyapp.view.console import present
from pyapp.view.media import SPEAKER_AWAY, DeviceChoice, Option, media_problem
from tests.unit.pyapp.sessions import connected

WIDE, NEAR = Device("camera", "wide", "Wide"), Device("camera", "near", "Near")


@pytest.mark.parametrize("kind", ["camera", "microphone"])
@pytest.mark.parametrize(
    ("error", "message", "words"),
    [
        ("NotAllowedError", "Permission denied", "Allow it beside the address"),
        ("NotAllowedError", "Permission dismissed", "choose Allow"),
        ("NotAllowedError", "Permission denied by system", "settings of this device"),
        ("NotFoundError", "", "Plug one in"),
        ("OverconstrainedError", "", "Plug one in"),
        ("NotReadableError", "", "Close that program"),
        ("AbortError", "Starting videoinput failed", "Close that program"),
        ("InsecureContextError", "", "https://"),
        ("UnknownError", "", "(UnknownError)"),
    ],
)
def test_each_refusal_says_what_to_do(kind: MediaKind, error: str, message: str, words: str) -> None:
    assert words in media_problem(MediaRefusal(kind, error, message))


@pytest.mark.parametrize("error", ["NotFoundError", "NotReadableError", "InvalidStateError"])
def test_a_screen_is_no_device_to_plug_in_or_to_free(error: str) -> None:
    words = media_problem(MediaRefusal("screen", error))
    assert "try again" in words or "Press the button again" in words
    assert not re.search("[Pp]lug|program|camera", words)


def test_what_is_unplugged_is_named_and_the_next_is_offered() -> None:
    core = connected()
    core.do(DevicesListed((WIDE, NEAR)), MediaToggled("camera"), MediaStarted(1, "camera", "wide"))
    core.do(MediaEnded(1, "camera"), DevicesListed((NEAR,)))
    view = present(core.session).media
    assert (view.problem, view.offer, view.offered) == ("The camera “Wide” was unplugged.", "Use “Near”", "camera")
    core.do(MediaToggled("camera"))
    view = present(core.session).media
    assert (view.problem, view.offer) == ("", "")


def test_without_another_one_it_says_to_plug_one_in() -> None:
    stopped = "The camera “Wide” stopped by itself. Switch it on again, or choose another one under Devices."
    assert media_problem(DeviceStopped("camera", "Wide")) == stopped
    words = media_problem(DeviceGone("microphone", "", None))
    assert words == "The microphone was unplugged. Plug a microphone in, and try again."


def test_a_camera_that_faces_away_is_no_mirror() -> None:
    core = connected()
    for number, faces_away in ((1, True), (2, False)):
        core.do(MediaToggled("camera"), MediaStarted(number, "camera", faces_away=faces_away))
        assert present(core.session).media.is_mirrored != faces_away
        core.do(MediaStopped(number, "camera"))


def test_what_the_system_mutes_is_said_at_both_ends() -> None:
    core = connected()
    core.do(MediaToggled("camera"), MediaStarted(1, "camera"), MediaMuted(1, "camera", muted=True))
    assert "Your camera is paused" in present(core.session).media.note
    muted = Frame(1, MediaShared(audio=True, video=True, audio_muted=True, video_muted=True), 0)
    core.do(events.ChannelReceived("messages", encode_frame(muted)))
    assert "Video and sound are paused" in present(core.session).media.remote_note
    core.do(MediaMuted(1, "camera", muted=False))
    assert present(core.session).media.note == ""


@pytest.mark.parametrize(
    ("audio", "video", "words"),
    [(True, False, "Sound is paused"), (False, True, "Video is paused"), (False, False, "")],
)
def test_the_other_side_says_which_is_paused(words: str, *, audio: bool, video: bool) -> None:
    core = connected()
    shared = MediaShared(audio=True, video=True, audio_muted=audio, video_muted=video)
    core.do(events.ChannelReceived("messages", encode_frame(Frame(1, shared, 0))))
    assert present(core.session).media.remote_note.startswith(words)
    assert bool(words) == bool(present(core.session).media.remote_note)


def test_a_choice_has_the_system_default_and_names_for_what_has_none() -> None:
    core = connected()
    core.do(DevicesListed((WIDE, Device("camera", "other"), Device("microphone", ""))), DeviceChosen("camera", "wide"))
    devices = present(core.session).devices
    options = (Option("", "System default"), Option("wide", "Wide"), Option("other", "Camera 2"))
    assert devices.camera == DeviceChoice(options, "wide")
    assert devices.microphone == DeviceChoice((Option("", "System default"),), "")
    assert devices.choices == replace(DEFAULT, camera="wide")
    core.do(DevicesListed(()))
    assert present(core.session).devices.camera.chosen == ""
    assert present(core.session).devices.choices.camera == "wide", "it is remembered for when it is plugged in again"


def test_a_chosen_speaker_that_is_not_there_is_said() -> None:
    core = connected()
    core.do(DeviceChosen("speaker", "headphones"))
    assert present(core.session).devices.speaker_note == "", "nothing is known yet"
    core.do(DevicesListed((WIDE,)))
    assert present(core.session).devices.speaker_note == SPEAKER_AWAY
    core.do(DevicesListed((WIDE, Device("speaker", "headphones"))))
    assert present(core.session).devices.speaker_note == ""
    core.do(DevicesListed((WIDE,)), DeviceChosen("speaker", ""))
    assert present(core.session).devices.speaker_note == "", "the default is what was chosen"


@pytest.mark.parametrize("ends", ["hangup", "failure", "leaving"])
def test_everything_of_this_side_ends_with_the_session_however_it_ends(ends: str) -> None:
    core = connected()
    core.do(MediaToggled("camera"), MediaStarted(1, "camera"))
    assert present(core.session).media.is_mirrored
    match ends:
        case "hangup":
            commands = core.do(events.HangUpRequested())
        case "leaving":
            commands = core.do(events.PageClosing())
        case _:
            commands = core.do(Error("invitation-revoked", "It was taken back."))
    assert StopMedia("camera") in commands
    view = present(core.session)
    assert not view.media.local_video
    assert view.devices.is_over
