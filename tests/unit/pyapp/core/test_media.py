"""Camera, microphone and screen: what comes for an older request changes nothing."""

from pyapp.core import commands
from pyapp.core.failures import MediaRefusal
from pyapp.core.media import Media


def test_what_was_asked_for_before_everything_ended_is_not_taken_for_what_is_asked_for_now() -> None:
    media = Media()
    assert media.toggle("camera") == [commands.StartMedia(1, "camera")]
    assert media.end() == [commands.StopMedia("camera")]
    assert media.toggle("camera") == [commands.StartMedia(2, "camera")]
    assert media.started(1, "camera") == []
    assert media.failed(1, "camera", "NotAllowedError") == []
    assert (media.states["camera"], media.problem) == ("starting", None)
    assert media.started(2, "camera")
    assert media.stopped(1, "camera") == []
    assert set(media.states.values()) == {"on", "off"}
    assert media.stopped(2, "camera")
    assert set(media.states.values()) == {"off"}


def test_a_refusal_is_kept_until_the_next_request() -> None:
    media = Media()
    media.toggle("camera")
    media.failed(1, "camera", "NotAllowedError")
    assert (media.states["camera"], media.problem) == ("off", MediaRefusal("camera", "NotAllowedError"))
    assert media.toggle("camera") == [commands.StartMedia(2, "camera")]
    assert media.problem is None


def test_everything_ends_together() -> None:
    media = Media()
    media.toggle("microphone")
    media.started(1, "microphone")
    media.toggle("screen")
    assert media.end() == [commands.StopMedia("microphone"), commands.StopMedia("screen")]
    assert set(media.states.values()) == {"off"}
    assert media.started(2, "screen") == []
