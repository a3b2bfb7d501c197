"""Cameras, microphones and speakers."""

from dataclasses import replace

from pyapp.core.devices import DEFAULT, Device, Devices

WIDE, NEAR = Device("camera", "wide", "Wide"), Device("camera", "near", "Near")
HEADSET, SPEAKER = Device("microphone", "headset", "Headset"), Device("speaker", "speaker", "Speaker")


class TestADevice:
    def test_that_was_chosen_is_the_best_as_long_as_it_is_there(self) -> None:
        devices = Devices(replace(DEFAULT, camera="near"), (WIDE, NEAR, HEADSET, SPEAKER))
        assert devices.best("camera") == NEAR
        devices.known = (WIDE,)
        assert devices.best("camera") == WIDE
