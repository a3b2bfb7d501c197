"""Rows of the recovery table once each: nothing is lost, and all comes back to where it should.

How fast it is, is for the bench, on a machine that does nothing else; so are the rows that differ from another one in a
direction only. Each is played without permission or with cameras, a few of them both ways.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.lab import recovery_events, recovery_healthy, servers
from tests.lab.delay import Delay
from tests.lab.recovery_report import complaints, line
from tests.lab.recovery_rows import GIVEN_UP, NOT_REACHED, Row
from tests.lab.recovery_seen import Mode
from tests.lab.recovery_server import STANDBY_PORT, ConsoleServer
from tests.lab.recovery_stage import RecoveryStage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.lab.lab import Lab
    from tests.lab.recovery_scene import Scene

HEALTHY = 8.0
"""Seconds in which nothing may happen: ten minutes are for the bench."""


STALLS = (0.7, 2.5)
"""Seconds for which a page stands still: shorter and longer than it takes to tell the person."""


BOUND = 12.0
"""Seconds of silence, or without picture or sound, on a machine so busy that it has taken more than 5. Chromium says
`failed` after 15: who waited for that, would not pass."""


ARRIVAL = 80.0
"""Seconds for both to be on the path that the row wants. The bench gives whoever is back 5 for a direct one; on a busy
machine the first look may come to nothing, and the next one is 60 s later."""


AWAY = 8.0
"""Seconds for which an uplink is gone: longer than the browser takes to say `disconnected`."""


@pytest.fixture(scope="module")
def server(lab: Lab, config: Path) -> Iterator[ConsoleServer]:
    with ConsoleServer(lab, config) as standing:
        yield standing


@pytest.fixture(scope="module")
def standby(lab: Lab) -> Iterator[ConsoleServer]:
    with servers.configuration(lab, standby=True) as file, ConsoleServer(lab, file, port=STANDBY_PORT) as standing:
        yield standing


@pytest.fixture(scope="module")
def stage(lab: Lab, server: ConsoleServer, playwright: Playwright) -> Iterator[RecoveryStage]:
    with RecoveryStage(lab, playwright.chromium, server) as stage:
        yield stage


def _rows(names: Sequence[str]) -> list[Row]:
    calm = recovery_healthy.false_alarms(HEALTHY, stalls=STALLS)
    rows = {row.name: row for row in (*recovery_events.events(away=AWAY), *calm)}
    return [
        replace(rows[name], bound=max(rows[name].bound, BOUND), within=ARRIVAL if rows[name].path else None)
        for name in names
    ]


@pytest.mark.patient
@pytest.mark.parametrize(
    "row",
    _rows(
        [
            *("address", "address-silent", "handover", "direct-again", "renumber", "forget", "forget-relayed"),
            *("to-symmetric", "to-udp-blocked", "to-tls-only"),
            *("back-from-symmetric", "back-from-udp-blocked"),
            *("dock", "route", "vpn-up"),
            *("both", "both-relay", "both-silent"),
            *("turn-killed", "turn-swallowed", "turn-killed-standby", "turn-swallowed-standby", "server", "uplink"),
        ]
    ),
    ids=lambda row: row.name,
)
def test_the_session_survives(row: Row, stage: RecoveryStage, server: ConsoleServer, standby: ConsoleServer) -> None:
    run = stage.play(row, (standby if row.standby else server).served)
    assert complaints(row, run) == [], line(run)


@pytest.mark.parametrize(
    "row",
    _rows(
        [
            *("handover", "to-symmetric", "to-tls-only", "back-from-tls-only"),
            *("route", "ipv6-goes", "turn-killed", "both"),
        ]
    ),
    ids=lambda row: row.name,
)
def test_picture_and_sound_survive_with_the_session(row: Row, stage: RecoveryStage, server: ConsoleServer) -> None:
    run = stage.play(row, server.served, mode=Mode.CAMERA)
    assert complaints(row, run) == [], line(run)


@pytest.mark.patient  # beside others, too: the bench has a row of busy processes
@pytest.mark.parametrize("row", _rows(["healthy", "hidden", "lossy", "stall-own"]), ids=lambda row: row.name)
def test_a_session_that_is_well_is_left_alone(row: Row, stage: RecoveryStage, server: ConsoleServer) -> None:
    run = stage.play(row, server.served)
    assert complaints(row, run) == [], line(run)


@pytest.mark.parametrize("row", _rows(["stall-far", "stall-both"]), ids=lambda row: row.name)
def test_so_is_one_with_cameras(row: Row, stage: RecoveryStage, server: ConsoleServer) -> None:
    run = stage.play(row, server.served, mode=Mode.CAMERA)
    assert complaints(row, run) == [], line(run)


LOSS = 0.25
"""Of packets: more than anybody can work with, and not enough for the path to be given up."""
LEVELS = """(() => {
  const { dataset } = document.body;
  globalThis.levels = [dataset.quality];
  new MutationObserver(() => {
    if (levels.at(-1) !== dataset.quality) levels.push(dataset.quality);
  }).observe(document.body, { attributeFilter: ["data-quality"] });
})()"""
"""Every quality that a page shows, in order."""
SHOWN = 40_000
"""Milliseconds for a quality to be shown: samples, and the calm after what was bad, take seconds."""


def _worsen_until_it_is_lost(scene: Scene) -> float:
    """Lose packets, then all of them, and then none; the page says of each how good it is."""
    place, page = scene.places[0], scene.ends[0].page
    network, body = scene.lab.network, page.locator("body")
    at_first = re.compile("^(good|fair)$")  # on a busy machine beats are uneven at their best
    scene.undo.append(lambda: network.shape(place, scene.delay))
    expect(body).to_have_attribute("data-quality", at_first, timeout=SHOWN)
    page.evaluate(LEVELS)
    network.shape(place, Delay(ms=scene.delay.ms, loss=LOSS))
    expect(body).to_have_attribute("data-quality", "unstable", timeout=SHOWN)
    network.shape(place, Delay(loss=1.0))
    expect(body).to_have_attribute("data-quality", "lost", timeout=SHOWN)
    network.shape(place, scene.delay)
    mended = time.time()
    expect(body).to_have_attribute("data-quality", at_first, timeout=SHOWN)
    levels = page.evaluate("levels")
    assert levels.index("unstable") < levels.index("lost"), levels
    return mended


@pytest.mark.patient
def test_the_quality_is_unstable_before_it_is_lost_and_good_again(stage: RecoveryStage, server: ConsoleServer) -> None:
    worse = Row(
        name="worse",
        title="packets are lost, then all of them",
        act=_worsen_until_it_is_lost,
        bound=SHOWN / 1000,
        restarts=None,
        problems=(*NOT_REACHED, *GIVEN_UP),
        cause=".*",
    )
    run = stage.play(worse, server.served)
    assert complaints(worse, run) == [], line(run)


@pytest.mark.patient
def test_the_yardstick_is_measured_in_the_same_way(lab: Lab, config: Path, stage: RecoveryStage) -> None:
    row = next(row for row in recovery_events.events() if row.name == "forget")
    with servers.yardstick(lab, config) as served:
        run = stage.play(row, served)
    assert not run.failure, run.failure
    assert run.is_whole, line(run)
