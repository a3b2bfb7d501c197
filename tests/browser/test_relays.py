"""What a session holds at a real coturn, and for how long."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import (
    Console,
    OpenPage,
    Operator,
    StartConsole,
    TurnServer,
    expect_second_credentials,
    expiries,
    first_expiry,
    pair,
    wait_until,
)
from tests.lab.coturn import count_allocations

TTL = 8


def _before_credentials_later_than(expiry: int, server: TurnServer) -> str:
    """Return what the server logged until it made a relay for credentials that expire after `expiry`."""
    news = re.finditer(r"session \d+: new, realm=<[^>]*>, username=<(\d+):", server.log)
    return server.log[: next(new.start() for new in news if int(new[1]) > expiry)]


def _from_its_sleep(console: Console) -> list[dict[str, Any]]:
    """Return what the page that slept told, from the last thing before it; nothing before it has told of it."""
    entries = console.entries("asleep")
    sleeper = next((entry["participant"] for entry in entries if entry["event"] == "slept"), "")
    # Not what the server noted of it, which may be there first.
    told = [entry for entry in entries if entry["participant"] == sleeper and entry["number"]]
    events = [entry["event"] for entry in told]
    return told[events.index("slept") - 1 :] if told else []


def _relay_urls(operator: Operator) -> list[str]:
    """Return the TURN URLs that the browser may use for its next candidates."""
    urls: list[str] = operator.page.evaluate(
        "peerConnections[0].getConfiguration().iceServers.flatMap(({urls}) => urls)"
    )
    return [url for url in urls if url.startswith("turn")]


@pytest.mark.patient
def test_a_relayed_session_moves_to_new_credentials_before_the_old_ones_expire(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(turn_server.configuration(tmp_path, ttl=TTL)))
    first, second = pair(console, open_page, session="credentials", query="&policy=relay")
    before = first_expiry(turn_server)
    generation = int(first.attribute("data-ice-generation"))
    first.send("with the first credentials")
    for operator in (first, second):
        operator.expect_generation(generation + 1)
    wait_until(lambda: expiries(turn_server)[-1] > before, "coturn gave a relay for credentials that expire later")
    # A clock would ask how quick this machine is: the order at coturn tells that there was no gap.
    earlier = count_allocations(_before_credentials_later_than(before, turn_server), f"{before}:")
    assert earlier.held > 0, "the first relay of later credentials was made while those of the first were held"
    # Beyond the life of the first: what the session is on now are relays of later credentials.
    expect_second_credentials(console, "credentials", (first, second), before)


SLEEP = """(seconds) => {
  const now = performance.now.bind(performance);
  const begun = now();
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end);
  const asleep = now() - begun;
  performance.now = () => now() - asleep;
}"""
"""What a page sees of its machine's sleep: nothing runs, and `performance.now()` goes on as if no time had passed."""


@pytest.mark.patient
def test_a_page_whose_machine_slept_begins_anew_with_fresh_credentials(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(turn_server.configuration(tmp_path, ttl=2 * TTL)))
    first, second = pair(console, open_page, session="asleep", query="&policy=relay")
    before = first_expiry(turn_server)
    generation = int(first.attribute("data-ice-generation"))
    first.page.evaluate(SLEEP, 2 * TTL + 1)
    first.send("awake again")
    second.expect_received(["awake again"])
    first.expect_generation(generation + 1)
    wait_until(lambda: expiries(turn_server)[-1] > before, "coturn gave a relay for credentials that expire later")
    first.expect_attribute("data-path", "relay")
    # In either order: a relay outlives its credentials, so the path may work again before fresh ones are there.
    told = {"ice-configuration", "recovered"}
    wait_until(lambda: told <= {one["event"] for one in _from_its_sleep(console)}, "it is back, with fresh credentials")
    before_it, slept, *after = _from_its_sleep(console)
    assert after[0]["event"] == "network"
    # Its log tells the wall's time.
    assert slept["at"] - before_it["at"] > 2 * TTL * 1000


NOTE_CONFIGURATIONS = """() => {
  window.configured = [];
  const [connection] = peerConnections;
  connection.setConfiguration = function (configuration) {
    configured.push(configuration.iceServers.flatMap(({ urls }) => urls));
    return RTCPeerConnection.prototype.setConfiguration.call(this, configuration);
  };
}"""


@pytest.mark.patient
def test_a_direct_connection_gives_its_relays_up(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path, checkout: Path
) -> None:
    source = checkout / "pyapp/core/path/relays.py"
    changed, count = re.subn(r"^RELEASE_AFTER = .*$", "RELEASE_AFTER = 1.0", source.read_text(), flags=re.MULTILINE)
    assert count == 1
    source.write_text(changed)
    console = start_console("--config", str(turn_server.configuration(tmp_path)), root=checkout)
    first, second = pair(console, open_page, session="lean")
    for operator in (first, second):
        operator.expect_attribute("data-path", "direct")
        operator.expect_generation(1)
    assert turn_server.allocations().made >= 1
    # Chromium keeps the ports of an older ICE generation for half a minute.
    wait_until(
        lambda: (found := turn_server.allocations()).ended == found.made, "coturn was told to end all", seconds=90
    )
    first.send("and yet it works")
    second.expect_received(["and yet it works"])
    # What is lost later is looked for with relays again. (Whether coturn is asked is for the browser to say: it begins
    # with relays last, and a direct pair that works by then ends its gathering.)
    wait_until(lambda: _relay_urls(second) == [], "the browser has no relays to use")
    second.page.evaluate(NOTE_CONFIGURATIONS)
    second.page.locator("#restart-ice").click()
    for operator in (first, second):
        operator.expect_generation(2)
    second.expect_that("configured.flat().some((url) => url.startsWith('turn'))")  # until the path is well again
