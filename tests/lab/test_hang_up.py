"""Who hangs up while relays are on their way holds none; the TURN servers and the networks are real."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab import kinds, servers
from tests.lab.browser import Fleet, hang_up
from tests.lab.delay import Delay
from tests.lab.sites import Site

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.lab.browser import End
    from tests.lab.conftest import Attach
    from tests.lab.lab import Lab

_FAR = Delay(ms=400)
"""Over this line the answer to an Allocate takes longer than a click."""


@pytest.mark.patient
def test_relays_that_are_on_their_way_are_given_back(
    lab: Lab, config: Path, playwright: Playwright, attach: Attach
) -> None:
    """The page hangs up as the first in its session, then as the second, which is connecting."""
    far = attach(Site(name="far-away", kind=kinds.PORT_RESTRICTED, delay=Delay()))
    near = attach(Site(name="near-by", kind=kinds.PORT_RESTRICTED))
    with servers.console(lab, config, port=8446) as served, Fleet(playwright.chromium, lab) as fleet:
        end, other = (fleet.end(place.hosts[0], served) for place in (far, near))
        lab.network.shape(far, _FAR)
        _hang_up_early(lab, end)
        _expect_none_held(lab)

        other.begin("given-back")
        other.connect()
        other.expect_state("waiting")
        assert other.ask("gathered", 30_000)
        _hang_up_early(lab, end)
        hang_up([other])
        _expect_none_held(lab)
        for one in (end, other):
            assert one.take_problems() == []


def _hang_up_early(lab: Lab, end: End) -> None:
    before = _made(lab)
    end.begin("given-back")
    end.connect()
    deadline = time.monotonic() + 30
    while _made(lab) == before:
        assert time.monotonic() < deadline, "the page has asked for no relay"
        time.sleep(0.01)
    hang_up([end])


def _made(lab: Lab) -> int:
    return sum(server.allocations().made for server in (lab.turn1, lab.turn2))


def _expect_none_held(lab: Lab) -> None:
    deadline = time.monotonic() + 30
    while any(server.allocations().held for server in (lab.turn1, lab.turn2)):
        assert time.monotonic() < deadline, "relays are left behind"
        time.sleep(0.01)
