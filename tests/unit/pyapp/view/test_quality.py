"""The line of quality, in words."""

from typing import get_args

import pytest

from pyapp.core import commands, events
from pyapp.core.diagnostics.quality import Finding, RuleId
from pyapp.protocol.peer import Description
from pyapp.protocol.signaling import PeerJoined, PeerLeft
from pyapp.view.console import present
from pyapp.view.quality import percent, words
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import CONNECTED, SAMPLED, TURN, B, C, Core, connected, lost, offer_set


def measured(core: Core, *, packets: int = 100, missing: int = 0, **local: object) -> None:
    """Have video measured for two seconds."""
    for number in (0, 1):
        stats = stats_of(("l1", "r1"), **local)
        stats["l1-r1"]["currentRoundTripTime"] = 0.0124
        stats["R"]["address"] = "2001:db8::7"
        stats["V"] = {"type": "inbound-rtp", "kind": "video", "packetsReceived": 1 + packets * number}
        stats["V"] |= {"framesDecoded": 60 * number, "frameWidth": 1280, "frameHeight": 720}
        stats["V"]["packetsLost"] = missing * number
        core.now += 2.0
        core.do(events.StatsSampled(stats))


def line(core: Core) -> str:
    return present(core.session).quality.line


def test_it_says_the_level_the_path_and_what_is_measured() -> None:
    core = connected()
    measured(core)
    assert line(core) == "Good · direct · LAN · IPv6 · 12 ms · 0 % loss · 720p 30 fps"
    measured(core, candidateType="srflx")
    assert "· direct · internet · IPv6 ·" in line(core)
    measured(core, candidateType="relay", relayProtocol="tls", url=TURN)
    assert "· relay over TLS · IPv6 ·" in line(core)


def test_what_another_connection_measured_is_not_said_of_this_one() -> None:
    core = connected()
    measured(core)
    core.now += 1.0
    core.do(PeerLeft(B), offer_set("l1"), PeerJoined(C))
    core.numbers = 0
    (answer,) = core.peer_says(Description("answer", sdp("r1"), 1), C)
    assert isinstance(answer, commands.SetRemoteDescription)
    core.do(events.RemoteDescriptionSet(answer.attempt, answer.description), CONNECTED)
    core.now += 1.0
    core.do(events.ChannelOpened("messages"), events.ChannelOpened("heartbeat"), SAMPLED)
    assert line(core).startswith("Good · direct")
    assert "720p" not in line(core)
    measured(core)
    assert "· 0 % loss · 720p 30 fps" in line(core)


def test_it_says_what_is_wrong_and_what_helps_and_announces_a_change_once() -> None:
    core = connected()
    measured(core, packets=60, missing=40)
    shown = present(core.session).quality
    assert (shown.level, shown.rule) == ("unstable", "loss-in")
    assert shown.line.startswith("Unstable · direct")
    assert shown.reason == "20\u202f% of what is sent to you gets lost."
    assert "Wi-Fi" in shown.advice
    assert shown.announcement == "Connection quality: unstable."
    core.now += 1.0
    assert present(core.session).quality.announcement == shown.announcement


def test_there_is_none_before_there_is_a_connection_and_it_is_lost_while_recovering() -> None:
    assert (line(Core()), present(Core().session).quality.level) == ("", "")
    view = present(lost().session)
    assert (view.status.state, view.quality.level, view.quality.line) == ("recovering", "lost", "Lost")
    assert view.quality.announcement == "", "the status says so"


@pytest.mark.parametrize("rule", get_args(RuleId))
def test_each_rule_has_a_reason_and_an_advice(rule: RuleId) -> None:
    reason, advice = words(Finding(rule, "fair", 0.25))
    assert reason.endswith(".")
    assert advice.endswith(".")
    assert "{" not in reason


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0, "0 %"), (0.0004, "0 %"), (0.004, "0.4 %"), (0.12, "12 %"), (1, "100 %")]
)
def test_percentages_have_one_digit_below_one(fraction: float, text: str) -> None:
    assert percent(fraction) == text
