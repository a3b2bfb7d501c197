"""What came of a cell beside what could come: the words, without any network."""

from __future__ import annotations

import pytest

from tests.lab.expect import Best, Leg, Path
from tests.lab.judge import Found, Verdict, found, judge

_HOST = Found(local="host", remote="host")
_DIRECT = Found(local="srflx", remote="prflx")
_NEAR = Found(local="relay", remote="prflx", leg=Leg.UDP)
_FAR = Found(local="prflx", remote="relay")
_BOTH = Found(local="relay", remote="relay", leg=Leg.TLS)

_EXPECT_HOST = Best(path=Path.HOST)
_EXPECT_DIRECT = Best(path=Path.DIRECT)
_EXPECT_ONE = Best(path=Path.RELAY, left=Leg.UDP, right=Leg.UDP, either=True)
_EXPECT_TLS = Best(path=Path.RELAY, left=Leg.TLS)
_EXPECT_TWO = Best(path=Path.RELAY, left=Leg.TLS, right=Leg.TLS)


@pytest.mark.parametrize(
    ("expected", "left", "right", "verdict"),
    [
        (_EXPECT_HOST, _HOST, _HOST, Verdict.OK),
        (_EXPECT_HOST, _HOST, _DIRECT, Verdict.WORSE),
        (_EXPECT_DIRECT, _HOST, _HOST, Verdict.OK),
        (_EXPECT_DIRECT, _DIRECT, _DIRECT, Verdict.OK),
        (_EXPECT_DIRECT, _DIRECT, _NEAR, Verdict.WORSE),
        (_EXPECT_ONE, _NEAR, _FAR, Verdict.OK),
        (_EXPECT_ONE, _BOTH, _BOTH, Verdict.WORSE),
        (_EXPECT_ONE, _DIRECT, _DIRECT, Verdict.OK),
        (_EXPECT_TLS, Found(local="relay", remote="srflx", leg=Leg.TLS), _FAR, Verdict.OK),
        (_EXPECT_TLS, Found(local="relay", remote="srflx", leg=Leg.TCP), _FAR, Verdict.OK),
        (_EXPECT_ONE, Found(local="relay", remote="srflx", leg=Leg.TCP), _FAR, Verdict.WORSE),
        (_EXPECT_TWO, _BOTH, _BOTH, Verdict.OK),
        (_EXPECT_HOST, _HOST, None, Verdict.FAILED),
        (_EXPECT_TWO, None, None, Verdict.FAILED),
    ],
)
def test_the_worse_end_decides(expected: Best, left: Found | None, right: Found | None, verdict: Verdict) -> None:
    assert judge(expected, left, right) is verdict


def test_a_relay_protocol_is_read_only_where_the_relay_is_ones_own() -> None:
    stats = {
        "local": "relay",
        "remote": "srflx",
        "protocol": "udp",
        "relayProtocol": "tls",
        "remoteAddress": "203.0.113.9",
    }
    assert found(stats) == Found(local="relay", remote="srflx", leg=Leg.TLS)
    assert found(stats | {"local": "prflx"}) == Found(local="prflx", remote="srflx")
    assert found(None) is None


@pytest.mark.parametrize(
    ("local", "near", "path"),
    [
        ("host", ["192.0.2.7", "203.0.113.9"], Path.HOST),
        ("host", ["192.0.2.7"], Path.DIRECT),
        ("host", [], Path.DIRECT),
        ("relay", ["203.0.113.9"], Path.RELAY),
    ],
)
def test_a_path_on_the_lan_is_one_by_its_addresses(local: str, near: list[str], path: Path) -> None:
    stats = {"local": local, "remote": "srflx", "protocol": "udp", "relayProtocol": "", "remoteAddress": "203.0.113.9"}
    result = found(stats, near)
    assert result
    assert result.path is path


def test_where_one_end_may_not_read_the_address_the_other_knows_whether_it_is_near() -> None:
    hidden = Found(local="srflx", remote="prflx", is_hidden=True)
    near, far = Found(local="prflx", remote="srflx", is_near=True), Found(local="prflx", remote="srflx")
    assert judge(_EXPECT_HOST, hidden, near) is judge(_EXPECT_HOST, near, hidden) is Verdict.OK
    assert judge(_EXPECT_HOST, hidden, far) is judge(_EXPECT_HOST, hidden, hidden) is Verdict.WORSE
    assert judge(_EXPECT_HOST, Found(local="relay", remote="prflx", is_hidden=True), near) is Verdict.WORSE
