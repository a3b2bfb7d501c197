"""Relays are given back, whenever a page has had enough of them; over a line on which they take a while to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab import kinds, servers
from tests.lab.browser import Fleet
from tests.lab.cell import wait_until
from tests.lab.delay import Delay
from tests.lab.sites import Site

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.lab.conftest import Attach
    from tests.lab.lab import Lab

_PATIENCE = 30.0
"""Seconds for a server's log."""

_CONNECT_AND_HANG_UP = """async (milliseconds) => {
  const state = (wanted) => new Promise((resolve) => {
    const look = () => document.body.dataset.state === wanted && resolve();
    new MutationObserver(look).observe(document.body, { attributes: true });
    look();
  });
  document.getElementById("connect").click();
  await state("waiting");
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  document.getElementById("hangup").click();
  await state("closed");
}"""
"""Who waits has made the offer, and gathers."""


def test_hanging_up_while_relays_are_on_their_way_leaves_none(
    lab: Lab, attach: Attach, config: Path, playwright: Playwright
) -> None:
    session = "relays-on-their-way"
    host = attach(Site(name="relays", kind=kinds.PUBLIC, delay=Delay(ms=60))).hosts[0]
    with servers.console(lab, config) as served, Fleet(playwright.chromium, lab) as fleet:
        end = fleet.end(host, served)
        for milliseconds in range(200, 400, 40):  # to allocate one takes two round trips of 120 ms
            end.begin(session)
            end.page.evaluate(_CONNECT_AND_HANG_UP, milliseconds)
        relays = [server.allocations(session) for server in (lab.turn1, lab.turn2)]
        assert sum(one.made for one in relays) > 0
        are_back = wait_until(
            lambda: not any(server.allocations(session).held for server in (lab.turn1, lab.turn2)), _PATIENCE
        )
        assert are_back, "relays are left behind"
