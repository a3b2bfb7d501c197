"""The relay meter beside coturn's own figures, and the steps of the budget."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, TurnServer, pair, wait_until

CARRIED = """async () => {
  const pairs = [...(await peerConnections[0].getStats()).values()].filter(({ type }) => type === "candidate-pair");
  return pairs.reduce((sum, { bytesSent, bytesReceived }) => sum + bytesSent + bytesReceived, 0);
}"""
MOST_VIDEO = """() => {
  const sender = peerConnections[0].getSenders().find(({ track }) => track?.kind === "video");
  return sender?.getParameters().encodings[0]?.maxBitrate;
}"""
STEPS = {"warn": 0.2, "lower": 0.4, "direct": 0.6, "stop": 0.8}


def _has_counted_all(server: TurnServer) -> bool:
    """Return whether coturn has printed what its last relay has carried: it does so before it deletes it."""
    return len(re.findall(r"session \d+: delete: ", server.log)) == server.allocations().made


def _counted(server: TurnServer) -> int:
    """Return the bytes between coturn and its clients, both ways."""
    return sum(
        int(received) + int(sent) for received, sent in re.findall(r": usage:.* rb=(\d+),.* sb=(\d+)", server.log)
    )


def _sessions(console: Console, operator: Operator) -> Any:
    return operator.context.request.get(f"{console.address}sessions").json()


def _metered(console: Console, operator: Operator) -> int:
    relayed: dict[str, int] = _sessions(console, operator)["relayed"]["bytes"]
    return sum(relayed.values())


def _relays(console: Console, operator: Operator, session: str) -> list[str]:
    """Return the TURN URLs that a page of `session` gets."""
    answer = operator.context.request.get(f"{console.address}ice?session={session}").json()
    return [url for server in answer["iceServers"] for url in server["urls"] if url.startswith("turn")]


def _toggle_cameras(*operators: Operator) -> None:
    for operator in operators:
        operator.page.locator("#camera").click()


def test_relays_are_metered_as_coturn_counts_and_cost_no_more_than_the_budget(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    config = turn_server.configuration(tmp_path)
    config.write_text(f"{config.read_text()}price_per_gb = 50\n")
    without_budget = config.read_text()
    console = start_console("--config", str(config))
    first, second = pair(console, open_page, session="metered", query="&policy=relay")
    _toggle_cameras(first, second)
    wait_until(lambda: first.page.evaluate(CARRIED) > 1_000_000, "there was some video", seconds=120)
    _toggle_cameras(first, second)
    for operator in (first, second):
        # The page asks for figures every two seconds; what it goes without at the end is then little.
        expect(operator.page.locator("#quality")).not_to_contain_text("fps")
    wait_until(lambda: _metered(console, first) > 100_000, "the meter has counted some of it")
    expect(first.page.locator("#cost")).to_contain_text("USD")

    # What is used hardly grows now; so each step is reached by a budget that is as much larger.
    for step, share in STEPS.items():
        used = _metered(console, first) / 1e9
        config.write_text(
            f'{without_budget}[budget]\nday_gb = {used / (share + 0.05)}\nvideo = 200\nsessions = ["named"]\n'
            + "".join(f"{name} = {at}\n" for name, at in STEPS.items())
        )
        for operator in (first, second):
            expect(operator.page.locator("#budget")).to_have_attribute("data-step", step)
        expect(first.page.locator("#budget")).to_contain_text("of today's budget for relays is used")
        if step == "lower":
            _toggle_cameras(first)
            first.expect_that(f"({MOST_VIDEO})() === 200_000")
            _toggle_cameras(first)
            expect(second.page.locator("#quality")).not_to_contain_text("fps")
    first.send("what is connected goes on")
    second.expect_received(["what is connected goes on"])
    assert (bool(_relays(console, first, "named")), _relays(console, first, "other")) == (True, [])
    audited = [json.loads(line) for line in (console.journal / "audit.log").read_text().splitlines()]
    assert [one["step"] for one in audited if one["event"] == "budget"][-1] == "stop"

    for operator in (first, second):
        operator.page.locator("#hangup").click()
        operator.expect_state("closed")
    wait_until(lambda: _has_counted_all(turn_server), "coturn has counted all", seconds=90)
    counted = _counted(turn_server)
    wait_until(lambda: abs(_metered(console, first) / counted - 1) < 0.02, f"the meter says {counted} bytes, about")
