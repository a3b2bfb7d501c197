"""Samples, from two answers of `getStats()`."""

from typing import Any

import pytest

from pyapp.core.diagnostics.path_report import path_report
from pyapp.core.diagnostics.sampling import Counters, counters, sample
from pyapp.core.path.heartbeat import Pulse
from pyapp.protocol.channel import Beat
from tests.unit.pyapp.core.diagnostics.test_path_report import chromium

Stats = dict[str, dict[str, Any]]


def counted(now: float, pulse: Pulse | None = None, **entries: dict[str, Any]) -> Counters:
    """Return what Chromium has counted `now`; `entries` are added, or change those of the same id."""
    stats: Stats = chromium()
    for key, entry in entries.items():
        stats[key] = stats.get(key, {}) | entry
    report = path_report(stats)
    assert report is not None
    return counters(stats, report, pulse or Pulse(), now)


def video(**more: Any) -> dict[str, Any]:
    return {"type": "inbound-rtp", "kind": "video", "packetsReceived": 100, "framesDecoded": 60} | more


class TestASample:
    def test_has_rates_of_the_time_between(self) -> None:
        one = sample(counted(10.0), counted(12.0, T01={"bytesSent": 27_000, "bytesReceived": 3000}))
        assert (one.seconds, one.bits_out, one.bits_in) == (2.0, 100_000, 0)

    def test_has_what_the_selected_pair_says(self) -> None:
        one = sample(counted(10.0), counted(12.0, CPaaaa_bbbb={"availableOutgoingBitrate": 300_000.4}))
        assert one.round_trip_ms == pytest.approx(24.0)
        assert (one.available, one.pair, one.ufrag) == (300_000, "CPaaaa_bbbb", "abcd")
        assert (one.pair_sent, one.bytes_sent) == (1000, 2000), "the transport had other pairs before"

    def test_has_the_server_only_of_a_relay_of_ours(self) -> None:
        url = "turn:turn.example.org:3478?transport=udp"
        relayed = {"candidateType": "relay", "relayProtocol": "udp", "url": url}
        assert sample(counted(0.0), counted(1.0, Iaaaa=relayed)).server == url
        assert sample(counted(0.0), counted(1.0, Iaaaa={"candidateType": "srflx", "url": url})).server == ""

    def test_counts_the_frames_and_the_freezes_of_the_picture(self) -> None:
        before = counted(0.0, V=video())
        more = video(packetsReceived=200, framesDecoded=120, frameWidth=1280, frameHeight=720)
        one = sample(before, counted(2.0, V=more | {"freezeCount": 2, "totalFreezesDuration": 0.75}))
        assert (one.frames_in, one.width_in, one.height_in) == (30.0, 1280, 720)
        assert (one.freezes, one.frozen_ms) == (2, 750)
        said = "direct, 24 ms, 0.0% lost, 0 kbit/s in, 0 kbit/s out, video 1280x720 at 30 fps"
        assert one.text() == said

    def test_knows_no_picture_that_has_ended(self) -> None:
        still = video(frameWidth=1280, frameHeight=720, jitter=0.5)
        one = sample(counted(0.0, V=still), counted(2.0, V=still))
        assert (one.frames_in, one.width_in, one.jitter_ms) == (None, 0, 0.0)

    def test_counts_what_is_sent_and_what_the_other_side_misses_of_it(self) -> None:
        def sent(packets: int, frames: int) -> dict[str, Any]:
            size = {"frameWidth": 640, "frameHeight": 360}
            return {"type": "outbound-rtp", "kind": "video", "packetsSent": packets, "framesEncoded": frames} | size

        told = {"type": "remote-inbound-rtp", "localId": "O", "fractionLost": 0.125}
        one = sample(counted(0.0, O=sent(10, 5)), counted(2.0, O=sent(110, 45), R=told))
        assert (one.frames_out, one.width_out, one.height_out, one.loss_out) == (20.0, 640, 360, 0.125)
        assert sample(counted(0.0, O=sent(10, 5)), counted(2.0, O=sent(10, 5), R=told)).loss_out is None

    def test_takes_media_and_beats_together_for_the_loss(self) -> None:
        pulse = Pulse()
        beat(pulse, 1)
        before = counted(0.0, pulse, V=video(packetsLost=5))
        beat(pulse, 3)
        one = sample(before, counted(2.0, pulse, V=video(packetsReceived=192, packetsLost=11, jitter=0.004)))
        assert one.loss_in == pytest.approx(7 / 100)
        assert one.jitter_ms == 4.0

    def test_has_the_loss_of_beats_alone_and_a_late_one_is_not_lost(self) -> None:
        pulse = Pulse()
        beat(pulse, 1)
        before = counted(0.0, pulse)
        for number in (2, 4, 5):
            beat(pulse, number)
        assert sample(before, counted(2.0, pulse)).loss_in == 0.25
        beat(pulse, 3)
        assert sample(before, counted(2.0, pulse)).loss_in == 0.0

    def test_knows_no_loss_if_nothing_was_to_arrive(self) -> None:
        assert sample(counted(0.0), counted(2.0)).loss_in is None

    def test_is_never_negative_if_a_browser_counts_down(self) -> None:
        lost = sample(counted(0.0, V=video(packetsLost=9)), counted(2.0, V=video(packetsReceived=200, packetsLost=2)))
        assert lost.loss_in == 0.0


def beat(pulse: Pulse, number: int) -> None:
    pulse.heard(Beat(number, 0, 0, 100, 0), number * 0.1)
