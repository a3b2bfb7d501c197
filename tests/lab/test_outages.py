"""Rows of the recovery table once each: nothing is lost, and no timeout of the browser is waited for.

How fast it is, is for the bench; so are the rows that differ from another one in a direction only. Each is played
without permission or with cameras, a few of them both ways.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.lab import recovery_events, recovery_healthy, servers
from tests.lab.recovery_report import complaints, line
from tests.lab.recovery_seen import Mode
from tests.lab.recovery_server import STANDBY_PORT, ConsoleServer
from tests.lab.recovery_stage import RecoveryStage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.lab.lab import Lab
    from tests.lab.recovery_rows import Row

HEALTHY = 8.0
"""Seconds in which nothing may happen: ten minutes are for the bench."""


STALLS = (0.7, 2.5)
"""Seconds for which a page stands still: shorter and longer than it takes to tell the person."""


HOMECOMING = 8.0
"""Seconds within which whoever is back is on a direct path. The bench wants 5."""


WATCHED = 2.0
"""Seconds for which a session is watched after the event. The bench takes twice as long."""


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
    with RecoveryStage(lab, playwright.chromium, server, watched=WATCHED) as stage:
        yield stage


def _rows(names: Sequence[str]) -> list[Row]:
    calm = recovery_healthy.false_alarms(HEALTHY, stalls=STALLS)
    rows = {row.name: row for row in (*recovery_events.events(away=AWAY), *calm)}
    return [rows[name] if rows[name].within is None else replace(rows[name], within=HOMECOMING) for name in names]


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


@pytest.mark.parametrize("row", _rows(["healthy", "hidden", "lossy", "stall-own"]), ids=lambda row: row.name)
def test_a_session_that_is_well_is_left_alone(row: Row, stage: RecoveryStage, server: ConsoleServer) -> None:
    run = stage.play(row, server.served)
    assert complaints(row, run) == [], line(run)


@pytest.mark.parametrize("row", _rows(["stall-far", "stall-both"]), ids=lambda row: row.name)
def test_so_is_one_with_cameras(row: Row, stage: RecoveryStage, server: ConsoleServer) -> None:
    run = stage.play(row, server.served, mode=Mode.CAMERA)
    assert complaints(row, run) == [], line(run)


def test_the_yardstick_is_measured_in_the_same_way(lab: Lab, config: Path, stage: RecoveryStage) -> None:
    row = next(row for row in recovery_events.events() if row.name == "forget")
    with servers.yardstick(lab, config) as served:
        run = stage.play(row, served)
    assert not run.failure, run.failure
    assert run.is_whole, line(run)
