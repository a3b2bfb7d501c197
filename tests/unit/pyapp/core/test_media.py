"""Camera, microphone and screen, as lists of events: what is on, which device, and what became of it."""

from dataclasses import replace

import pytest

from pyapp.core import commands
from pyapp.core.devices import DEFAULT, Device
from pyapp.core.events import (
    DeviceChosen,
    DevicesListed,
    MediaEnded,
    MediaEvent,
    MediaFailed,
    MediaKind,
    MediaMuted,
    MediaStarted,
    MediaStopped,
    MediaToggled,
    SoundChosen,
)
from pyapp.core.failures import DeviceGone, DeviceStopped, MediaRefusal
from pyapp.core.media import Media, Output
from pyapp.protocol.channel import MediaShared
from pyapp.protocol.entries import Entry

WIDE, NEAR = Device("camera", "wide", "Wide"), Device("camera", "near", "Near")
HEADSET, SPEAKER = Device("microphone", "headset", "Headset"), Device("speaker", "speaker", "Speaker")
ALL = DevicesListed((WIDE, NEAR, HEADSET, SPEAKER))


def did(media: Media, *events: MediaEvent) -> list[Output]:
    """Return the commands that came of the last event."""
    outputs: list[Output] = []
    for event in events:
        outputs = media.receive(event)
    return [output for output in outputs if not isinstance(output, Entry)]


def on(kind: MediaKind = "camera", device: str = "wide") -> Media:
    media = Media()
    did(media, ALL, MediaToggled(kind), MediaStarted(1, kind, device))
    return media


class TestARequest:
    def test_before_everything_ended_is_not_taken_for_what_is_asked_for_now(self) -> None:
        media = Media()
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(1, "camera")]
        assert media.end() == [commands.StopMedia("camera")]
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(2, "camera")]
        for late in (MediaStarted(1, "camera"), MediaFailed(1, "camera", "NotAllowedError")):
            assert media.receive(late) == []
        assert (media.states["camera"], media.problem) == ("starting", None)
        assert media.receive(MediaStarted(2, "camera"))
        for later in (MediaStopped(1, "camera"), MediaEnded(1, "camera"), MediaMuted(1, "camera", muted=True)):
            assert media.receive(later) == []
        assert set(media.states.values()) == {"on", "off"}
        assert media.receive(MediaStopped(2, "camera"))
        assert set(media.states.values()) == {"off"}

    def test_while_the_browser_asks_is_taken_back(self) -> None:
        media = Media()
        assert did(media, MediaToggled("camera"), MediaToggled("camera")) == [commands.StopMedia("camera")]
        assert media.states["camera"] == "off"
        assert media.receive(MediaStarted(1, "camera")) == []
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(2, "camera", DEFAULT)]

    def test_that_was_refused_says_so_until_the_next(self) -> None:
        media = Media()
        did(media, MediaToggled("camera"), MediaFailed(1, "camera", "NotAllowedError"))
        assert (media.states["camera"], media.problem) == ("off", MediaRefusal("camera", "NotAllowedError"))
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(2, "camera")]
        assert media.problem is None

    @pytest.mark.parametrize(
        ("error", "message", "is_error"),
        [
            ("NotAllowedError", "Permission denied", False),
            ("NotAllowedError", "Permission denied by system", True),
            ("NotReadableError", "", True),
        ],
    )
    def test_for_a_screen_that_is_cancelled_is_no_error(self, error: str, message: str, *, is_error: bool) -> None:
        media = Media()
        did(media, MediaToggled("screen"), MediaFailed(1, "screen", error, message))
        assert (media.problem is not None) == is_error
        assert media.states["screen"] == "off"


def test_everything_ends_together() -> None:
    media = on("microphone")
    did(media, MediaToggled("screen"))
    assert media.end() == [commands.StopMedia("microphone"), commands.StopMedia("screen")]
    assert set(media.states.values()) == {"off"}
    assert media.receive(MediaStarted(2, "screen")) == []


class TestTheScreen:
    def test_takes_the_place_of_the_camera_and_gives_it_back(self) -> None:
        media = on("camera")
        assert did(media, MediaToggled("screen")) == [commands.StartMedia(2, "screen")]
        assert did(media, MediaStarted(2, "screen")) == [commands.StopMedia("camera")]
        did(media, MediaStopped(1, "camera"))
        assert media.states == {"camera": "off", "microphone": "off", "screen": "on"}
        assert did(media, MediaToggled("screen"), MediaStopped(2, "screen")) == [commands.StartMedia(3, "camera")]
        assert media.shared.video, "the other side need not know of the moment between the two"
        did(media, MediaStarted(3, "camera"))
        assert media.states == {"camera": "on", "microphone": "off", "screen": "off"}

    def test_that_the_browser_ended_gives_it_back_too(self) -> None:
        media = on("camera")
        did(media, MediaToggled("screen"), MediaStarted(2, "screen"), MediaStopped(1, "camera"))
        assert did(media, MediaEnded(2, "screen")) == [commands.StartMedia(3, "camera")]
        assert media.problem is None

    def test_that_was_cancelled_leaves_the_camera_alone(self) -> None:
        media = on("camera")
        assert did(media, MediaToggled("screen"), MediaFailed(2, "screen", "NotAllowedError", "")) == []
        assert (media.states["camera"], media.problem) == ("on", None)

    def test_gives_back_no_camera_that_was_off(self) -> None:
        media = on("screen")
        assert did(media, MediaToggled("screen"), MediaStopped(1, "screen")) == []

    def test_makes_way_for_a_camera_that_is_switched_on(self) -> None:
        media = on("camera")
        did(media, MediaToggled("screen"), MediaStarted(2, "screen"), MediaStopped(1, "camera"), MediaToggled("camera"))
        assert did(media, MediaStarted(3, "camera")) == [commands.StopMedia("screen")]
        assert did(media, MediaStopped(2, "screen")) == []
        assert media.states["camera"] == "on"

    def test_gives_nothing_back_once_the_session_is_over(self) -> None:
        media = on("camera")
        did(media, MediaToggled("screen"), MediaStarted(2, "screen"), MediaStopped(1, "camera"))
        media.end()
        assert media.receive(MediaStopped(2, "screen")) == []


class TestADevice:
    def test_that_is_chosen_is_used_from_the_next_time_on(self) -> None:
        media = Media()
        assert did(media, ALL, DeviceChosen("camera", "near")) == []
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(1, "camera", replace(DEFAULT, camera="near"))]

    def test_that_is_chosen_while_another_is_on_takes_its_place_unseen(self) -> None:
        media = on("camera")
        assert did(media, DeviceChosen("camera", "near")) == [
            commands.StartMedia(2, "camera", replace(DEFAULT, camera="near"))
        ]
        assert (media.states["camera"], media.shared.video) == ("starting", True)
        did(media, MediaStarted(2, "camera", "near"))
        assert (media.states["camera"], media.shared.video) == ("on", True)

    def test_that_is_chosen_while_one_is_asked_for_is_asked_for_instead(self) -> None:
        media = on("microphone", "headset")
        did(media, SoundChosen(echo_cancellation=False, noise_suppression=True))
        raw = replace(DEFAULT, echo_cancellation=False, noise_suppression=False)
        assert did(media, SoundChosen(echo_cancellation=False, noise_suppression=False)) == [
            commands.StartMedia(3, "microphone", raw)
        ]
        assert did(media, MediaStarted(2, "microphone", "headset")) == []
        assert (media.states["microphone"], media.shared.audio) == ("starting", True)
        did(media, MediaStarted(3, "microphone", "headset"))
        assert (media.states["microphone"], media.shared.audio) == ("on", True)
        asking = Media()
        did(asking, ALL, MediaToggled("camera"))
        assert did(asking, DeviceChosen("camera", "near")) == [
            commands.StartMedia(2, "camera", replace(DEFAULT, camera="near"))
        ]
        assert not asking.shared.video

    def test_that_cannot_be_had_leaves_none_on(self) -> None:
        media = on("camera")
        did(media, DeviceChosen("camera", "near"), MediaFailed(2, "camera", "NotReadableError"))
        assert (media.states["camera"], media.shared.video) == ("off", False)

    def test_that_is_chosen_again_changes_nothing(self) -> None:
        assert did(on("camera"), DeviceChosen("camera", "")) == []

    def test_for_sound_is_treated_as_the_person_wants(self) -> None:
        raw = replace(DEFAULT, echo_cancellation=False, noise_suppression=False)
        media = on("microphone", "headset")
        assert did(media, SoundChosen(echo_cancellation=False, noise_suppression=False)) == [
            commands.StartMedia(2, "microphone", raw)
        ]
        assert media.shared.audio

    def test_that_speaks_starts_nothing(self) -> None:
        media = on("microphone", "headset")
        assert did(media, DeviceChosen("speaker", "speaker")) == []
        assert media.devices.choices.speaker == "speaker"

    @pytest.mark.parametrize("is_listed_first", [True, False])
    def test_that_is_unplugged_is_said_and_the_next_is_offered(self, *, is_listed_first: bool) -> None:
        media = on("camera")
        happens: list[MediaEvent] = [MediaEnded(1, "camera"), DevicesListed((NEAR, HEADSET))]
        did(media, *(reversed(happens) if is_listed_first else happens))
        assert media.problem == DeviceGone("camera", "" if is_listed_first else "Wide", NEAR)
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(2, "camera", replace(DEFAULT, camera="near"))]
        assert media.problem is None
        assert media.devices.choices == DEFAULT, "for when it is plugged in again"

    def test_that_ended_and_is_still_there_stopped_or_is_listed_for_a_moment(self) -> None:
        media = on("camera")
        did(media, MediaEnded(1, "camera"))
        assert (media.states["camera"], media.problem) == ("off", None), "the list is older than that"
        did(media, ALL)
        stopped = media.problem
        did(media, DevicesListed((NEAR, HEADSET)))
        assert (stopped, media.problem) == (DeviceStopped("camera", "Wide"), DeviceGone("camera", "Wide", NEAR))

    def test_that_the_browser_takes_back_with_its_permission_was_not_unplugged(self) -> None:
        media = on("camera")
        did(media, MediaEnded(1, "camera"), DevicesListed((Device("camera", ""), Device("microphone", ""))))
        assert media.problem == DeviceStopped("camera", "Wide")
        assert did(media, MediaToggled("camera")) == [commands.StartMedia(2, "camera")]
        assert media.problem is None

    def test_that_is_the_last_leaves_nothing_to_offer(self) -> None:
        media = on("microphone", "headset")
        did(media, MediaEnded(1, "microphone"), DevicesListed((WIDE,)))
        assert media.problem == DeviceGone("microphone", "Headset", None)


class TestTheSystem:
    def test_that_mutes_a_track_is_told_to_the_other_side_until_it_lets_go(self) -> None:
        media = on("camera")
        did(media, MediaMuted(1, "camera", muted=True))
        assert media.shared == MediaShared(audio=False, video=True, video_muted=True)
        did(media, MediaMuted(1, "camera", muted=False))
        assert media.shared == MediaShared(audio=False, video=True)

    def test_that_muted_what_is_off_by_now_mutes_nothing(self) -> None:
        media = on("microphone", "headset")
        did(media, MediaMuted(1, "microphone", muted=True), MediaStopped(1, "microphone"))
        assert media.shared == MediaShared(audio=False, video=False)


class TestTheRate:
    def test_follows_the_path(self) -> None:
        media = Media()
        assert media.follow(None) == []
        assert media.follow(1500) == [commands.LimitVideo(1_500_000, 20)]
        assert media.follow(1500) == []
        assert media.follow(None) == [commands.LimitVideo(None, None)]
