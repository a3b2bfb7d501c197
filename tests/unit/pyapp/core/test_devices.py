"""Cameras, microphones and speakers."""

from dataclasses import replace

import pytest

from pyapp.core.devices import DEFAULT, Choices, Device, DeviceKind, Devices

WIDE, NEAR = Device("camera", "wide", "Wide"), Device("camera", "near", "Near")
HEADSET, SPEAKER = Device("microphone", "headset", "Headset"), Device("speaker", "speaker", "Speaker")


class TestADevice:
    def test_that_was_chosen_is_the_best_as_long_as_it_is_there(self) -> None:
        devices = Devices(replace(DEFAULT, camera="near"), (WIDE, NEAR, HEADSET, SPEAKER))
        assert devices.best("camera") == NEAR
        devices.known = (WIDE,)
        assert devices.best("camera") == WIDE

    def test_is_looked_for_among_its_kind_alone(self) -> None:
        """A browser may give a microphone and a speaker of one headset the same name."""
        devices = Devices(known=(Device("speaker", "headset"), Device("microphone", "headset", "Headset")))
        found = devices.find("microphone", "headset")
        assert found is not None
        assert found.kind == "microphone"
        assert devices.find("camera", "headset") is None

    def test_is_none_where_there_is_none(self) -> None:
        assert Devices(known=(HEADSET,)).best("camera") is None
        assert Devices(Choices(camera="near")).best("camera") is None

    def test_that_was_not_chosen_is_the_first_of_its_kind(self) -> None:
        assert Devices(known=(HEADSET, NEAR, WIDE)).best("camera") == NEAR


@pytest.mark.parametrize("kind", ["camera", "microphone", "speaker"])
def test_a_choice_is_of_one_kind_and_leaves_the_others_and_the_sound_alone(kind: DeviceKind) -> None:
    before = Choices("a", "b", "c", echo_cancellation=False, noise_suppression=False)
    after = before.choose(kind, "new")
    assert after.of(kind) == "new"
    assert after.choose(kind, before.of(kind)) == before
    assert after.choose(kind, "").of(kind) == "", "the system's default again"
