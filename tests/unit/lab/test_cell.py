"""What is said of one cell, without two browsers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.cell import Story, _lies, relayed
from tests.lab.expect import Leg
from tests.lab.judge import Found

_STORY = Story(
    host="home-0",
    path=Found(local="relay", remote="srflx", leg=Leg.TLS),
    first_candidate=1.0,
    connected=80.0,
    opened=90.0,
    settled=90.0,
    said={
        "state": "connected",
        "path": "relay",
        "localCandidate": "relay",
        "remoteCandidate": "srflx",
        "protocol": "udp",
        "relayProtocol": "tls",
    },
    candidates=[],
    timeline=[],
    snap=False,
    stats={},
    problems=[],
)


def test_a_page_that_says_what_the_browser_says_does_not_lie() -> None:
    assert _lies(_STORY) == []


@pytest.mark.parametrize(
    ("name", "value"), [("path", "direct"), ("localCandidate", "host"), ("relayProtocol", "")], ids=str
)
def test_a_page_that_says_something_else_of_its_path_lies(name: str, value: str) -> None:
    (lie,) = _lies(replace(_STORY, said=_STORY.said | {name: value}))
    assert f"the page said {name}={value!r}" in lie


@pytest.mark.parametrize("state", ["recovering", "connecting"])
def test_a_page_that_is_not_connected_while_its_channel_is_open_lies(state: str) -> None:
    story = replace(_STORY, said=_STORY.said | {"state": state})
    assert _lies(story) == [f"home-0: its channel was open, and the page said {state!r}"]
    assert _lies(replace(story, path=None)) == _lies(story)
    assert _lies(replace(story, opened=None)) == []


@pytest.mark.parametrize(
    ("pairs", "ms"),
    [
        ([], 0.0),
        ([(90.0, "srflx 203.0.113.1 to srflx 203.0.113.2")], 0.0),
        # Before the channel opened it does not count, nor after the best path was there.
        ([(90.0, "relay 198.51.100.10 to srflx 203.0.113.2"), (700.0, "srflx a to srflx b")], 600.0),
        ([(90.0, "srflx a to relay 198.51.100.10"), (1500.0, "srflx a to srflx b")], 900.0),
        ([(90.0, "relay  to prflx "), (300.0, "srflx a to prflx b"), (400.0, "relay  to prflx ")], 800.0),
    ],
)
def test_time_over_a_relay_is_that_between_the_open_channel_and_the_best_path(
    pairs: list[tuple[float, str]], ms: float
) -> None:
    events = [(at, "pair", text) for at, text in pairs] + [(500.0, "candidate", "relay udp 198.51.100.10:5")]
    assert relayed(events, 100.0, 1000.0) == ms
