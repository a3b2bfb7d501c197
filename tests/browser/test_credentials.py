"""Credentials live as long as the session, and not longer: with a real coturn, and a `ttl` of seconds."""

import time
from pathlib import Path

from tests.browser.conftest import OpenPage, StartConsole, TurnServer, pair, wait_until

TTL = 8


def _expiries(server: TurnServer) -> list[int]:
    return sorted({int(name.partition(":")[0]) for name in server.allocations()})


def test_a_relayed_session_moves_to_new_credentials_before_the_old_ones_expire(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(turn_server.configuration(tmp_path, ttl=TTL)))
    first, second = pair(console, open_page, session="credentials", query="&policy=relay")
    [before, *_] = _expiries(turn_server)
    generation = int(first.attribute("data-ice-generation"))
    first.send("with the first credentials")
    for operator in (first, second):
        operator.expect_generation(generation + 1)
    wait_until(lambda: _expiries(turn_server)[-1] > before, "coturn gave a relay for credentials that expire later")
    assert time.time() < before, "the session moved only after the first credentials had expired"
    # Beyond the life of the first: what the session is on now are relays of later credentials.
    wait_until(lambda: time.time() > before + 1, "the first credentials have expired")
    second.send("with the second credentials")
    second.expect_state("connected")
    first.expect_received(["with the second credentials"])
    second.expect_received(["with the first credentials"])
    for operator in (first, second):
        operator.expect_attribute("data-path", "relay")
        assert operator.page.evaluate("peerConnections.length") == 1
