"""The relay meter beside coturn's own figures, and the steps of the budget."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import (
    LEAST_RELAY_PORT,
    Certificate,
    Console,
    OpenPage,
    Operator,
    StartConsole,
    TurnServer,
    pair,
    program,
    running_turn_server,
    wait_until,
)
from tests.browser.test_access import LAN

CARRIED = """async () => {
  const pairs = [...(await peerConnections.at(-1).getStats()).values()].filter(({ type }) => type === "candidate-pair");
  return pairs.reduce((sum, { bytesSent, bytesReceived }) => sum + bytesSent + bytesReceived, 0);
}"""
MOST_VIDEO = """() => {
  const sender = peerConnections.at(-1).getSenders().find(({ track }) => track?.kind === "video");
  return sender?.getParameters().encodings[0]?.maxBitrate;
}"""
PRICE = 50
"""Of a GB, in USD."""
STEPS = {"warn": 0.2, "lower": 0.4, "direct": 0.6, "stop": 0.8}
FIRST_HOST, SECOND_HOST, THIRD_HOST = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Of the relays over UDP, TLS and TCP."""
TABLE = "ice_console_direct"


class DirectPaths:
    """Whether a browser's UDP packets reach another browser, and not only relays."""

    def __init__(self, server: TurnServer) -> None:
        self._server = server

    def block(self) -> None:
        """Drop what neither coturn nor a relay sends or is sent.

        It is dropped where it arrives: at an error of its own sending, coturn gives up a relay.
        """
        known = f"{{ {self._server.port}, {LEAST_RELAY_PORT}-65535 }}"
        self._nft(
            f"""
            table inet {TABLE} {{
                chain arriving {{
                    type filter hook input priority 0
                    ip daddr {{ {LAN}, 127.0.0.0/8 }} udp sport != {known} udp dport != {known} drop
                }}
            }}
            """
        )

    def allow(self) -> None:
        self._nft(f"add table inet {TABLE}\ndelete table inet {TABLE}\n")

    @staticmethod
    def _nft(rules: str) -> None:
        subprocess.run([program("nft"), "-f", "-"], input=rules, text=True, check=True)


@pytest.fixture
def direct_paths(turn_server: TurnServer) -> Iterator[DirectPaths]:
    """Block them, until the test allows them or ends."""
    result = DirectPaths(turn_server)
    result.block()
    yield result
    result.allow()


@pytest.fixture
def three_relays(certificate: Certificate) -> Iterator[TurnServer]:
    """Run a coturn at three addresses, as if there were three."""
    with running_turn_server(certificate, FIRST_HOST, SECOND_HOST, THIRD_HOST) as server:
        yield server


def _has_counted_all(server: TurnServer) -> bool:
    """Return whether coturn has printed what its last relay has carried: it does so before it deletes it."""
    return len(re.findall(r"session \d+: delete: ", server.log)) == server.allocations().made


def _counted(server: TurnServer) -> dict[str, int]:
    """Return the bytes between coturn and its clients, both ways, by the address at which they reach it."""
    hosts = dict(re.findall(r"session (\d+): closed .*, local ([\d.]+):", server.log))
    result: dict[str, int] = {}
    for session, received, sent in re.findall(r"session (\d+): usage:.* rb=(\d+),.* sb=(\d+)", server.log):
        result[hosts[session]] = result.get(hosts[session], 0) + int(received) + int(sent)
    return result


def _metered(console: Console, operator: Operator) -> dict[str, int]:
    relayed: dict[str, int] = operator.context.request.get(f"{console.address}sessions").json()["relayed"]["bytes"]
    return relayed


def _agree(metered: dict[str, int], counted: dict[str, int]) -> bool:
    return metered.keys() == counted.keys() and all(abs(metered[host] / counted[host] - 1) < 0.02 for host in counted)


def _relays(console: Console, operator: Operator, session: str) -> list[str]:
    """Return the TURN URLs that a page of `session` gets."""
    answer = operator.context.request.get(f"{console.address}ice?session={session}").json()
    return [url for server in answer["iceServers"] for url in server["urls"] if url.startswith("turn")]


def _audited(console: Console) -> list[tuple[str, str]]:
    """Return the steps in the audit log, in order, each with its scope."""
    audited = [json.loads(line) for line in (console.journal / "audit.log").read_text().splitlines()]
    return [(one["scope"], one["step"]) for one in audited if one["event"] == "budget"]


def _toggle_cameras(*operators: Operator) -> None:
    for operator in operators:
        operator.page.locator("#camera").click()


def _looked_for_a_direct_path(console: Console, session: str) -> bool:
    """Return whether a page has restarted ICE for that after it was told of the step."""
    told: dict[str, int] = {}
    for entry in console.entries(session):
        if entry["event"] == "budget" and entry["data"]["step"] == "direct":
            told[entry["participant"]] = entry["number"]
        looked = entry["event"] == "restart" and entry["data"]["reason"] == "direct-path"
        if looked and entry["number"] > told.get(entry["participant"], entry["number"]):
            return True
    return False


def _pair_with_relays(
    config: Path, second_relay: str, start_console: StartConsole, open_page: OpenPage
) -> tuple[Console, Operator, Operator]:
    """Connect two pages over relays: the first gets those in `config`, the second those in `second_relay`."""
    console = start_console("--config", str(config))
    address = f"{console.address}?session=metered&policy=relay"
    first = open_page(address)
    first.connect()
    first.expect_state("waiting")
    before = _relays(console, first, "metered")
    config.write_text(second_relay)
    wait_until(lambda: _relays(console, first, "metered") != before, "the next page gets the other relay")
    second = open_page(address)
    second.connect()
    for operator in (first, second):
        operator.expect_state("connected")
        operator.expect_attribute("data-path", "relay")
    return console, first, second


def _send_video(console: Console, first: Operator, second: Operator, *, over: set[str]) -> None:
    """Send some, both ways, and none when this returns; the meter has counted it then at the relays `over`."""
    _toggle_cameras(first, second)
    wait_until(lambda: first.page.evaluate(CARRIED) > 1_200_000, "there was some video", seconds=120)
    _toggle_cameras(first, second)
    for operator in (first, second):
        expect(operator.page.locator("#quality")).not_to_contain_text("fps")
    # A pair that is left tells at once what it has carried; a quiet one would take a minute.
    first.page.locator("#restart-ice").click()
    for operator in (first, second):
        operator.expect_generation(1)
    wait_until(
        lambda: over <= {host for host, count in _metered(console, first).items() if count > 1_100_000},
        "the meter has counted it at both ends",
    )


def _go_on_over(console: Console, config: Path, relay: str, first: Operator, second: Operator) -> None:
    """Let the first page come anew, to which the relay in `config` is given."""
    before = _relays(console, first, "metered")
    config.write_text(relay)
    wait_until(lambda: _relays(console, first, "metered") != before, "the next page gets the other relay")
    first.page.locator("#hangup").click()
    first.expect_state("closed")
    second.expect_state("waiting")
    first.connect()
    for operator in (first, second):
        operator.expect_state("connected")


def _expect_metered(console: Console, first: Operator, second: Operator, server: TurnServer) -> None:
    """Hang up, and expect of the meter what coturn says."""
    for operator in (first, second):
        operator.page.locator("#hangup").click()
        operator.expect_state("closed")
    wait_until(lambda: _has_counted_all(server), "coturn has counted all", seconds=90)
    counted = _counted(server)
    assert counted.keys() == {FIRST_HOST, SECOND_HOST, THIRD_HOST}
    wait_until(lambda: _agree(_metered(console, first), counted), f"the meter says {counted} bytes, about")


@pytest.mark.patient
def test_relays_are_metered_as_coturn_counts_and_cost_no_more_than_the_budget(
    start_console: StartConsole, open_page: OpenPage, three_relays: TurnServer, tmp_path: Path
) -> None:
    config, tls, tcp = (three_relays.configuration(tmp_path, protocol=protocol) for protocol in ("udp", "tls", "tcp"))
    price = f"price_per_gb = {PRICE}\n"
    config.write_text(config.read_text() + price)
    over_tls = tls.read_text().replace(FIRST_HOST, SECOND_HOST) + price
    console, first, second = _pair_with_relays(config, over_tls, start_console, open_page)
    first.expect_attribute("data-relay-protocol", "udp")
    second.expect_attribute("data-relay-protocol", "tls")
    _send_video(console, first, second, over={FIRST_HOST, SECOND_HOST})
    without_budget = tcp.read_text().replace(FIRST_HOST, THIRD_HOST) + price
    _go_on_over(console, config, without_budget, first, second)
    first.expect_attribute("data-relay-protocol", "tcp")
    _send_video(console, first, second, over={THIRD_HOST})
    expect(first.page.locator("#cost")).to_contain_text("USD")

    def reach(step: str, allowance: str, used: str, said: str) -> None:
        # What is used hardly grows now; so each step is reached by a budget that is as much larger.
        metered = _metered(console, first)
        # Only this host has a price in the present configuration.
        so_far = metered[THIRD_HOST] / 1e9 * PRICE if allowance == "month_cost" else sum(metered.values()) / 1e9
        config.write_text(
            f"{without_budget}[budget]\n{allowance} = {so_far / (STEPS[step] + 0.05)}\n"
            'video = 200\nsessions = ["named"]\n' + "".join(f"{name} = {at}\n" for name, at in STEPS.items())
        )
        for operator in (first, second):
            expect(operator.page.locator("#budget")).to_have_attribute("data-step", step)
        expect(first.page.locator("#budget")).to_have_text(re.compile(f"^{used.format('[2-9]0.%')}\\.{said}"))

    reach("warn", "month_cost", "{} of this month's budget for relays is used", "$")
    assert _relays(console, first, "other")
    to_save = " To save some of it, the picture is sent with at most 200 kbit/s"
    reach("lower", "session_gb", "This session has used {} of its budget for relays", to_save)
    _toggle_cameras(first)
    first.expect_that(f"({MOST_VIDEO})() === 200_000")
    _toggle_cameras(first)
    expect(second.page.locator("#quality")).not_to_contain_text("fps")
    # Only relays are allowed: no direct path is looked for.
    reach("direct", "month_gb", "{} of this month's budget for relays is used", " To save some of it")
    reach("stop", "day_gb", "{} of today's budget for relays is used", " No new relay is given")
    first.send("what is connected goes on")
    second.expect_received(["what is connected goes on"])
    assert (bool(_relays(console, first, "named")), _relays(console, first, "other")) == (True, [])
    assert _audited(console) == list(zip(("month", "session", "month", "day"), STEPS, strict=True))
    _expect_metered(console, first, second, three_relays)


@pytest.mark.patient
def test_a_direct_path_is_looked_for_when_relays_have_cost_much(
    start_console: StartConsole,
    open_page: OpenPage,
    turn_server: TurnServer,
    direct_paths: DirectPaths,
    tmp_path: Path,
) -> None:
    config = turn_server.configuration(tmp_path)
    without_budget = config.read_text()
    console = start_console("--config", str(config))
    first, second = pair(console, open_page, session="dear")
    for operator in (first, second):
        operator.expect_attribute("data-path", "relay")
    wait_until(lambda: bool(_metered(console, first)), "the meter has counted something")

    def reach(step: str, said: str) -> None:
        steps = list(STEPS)
        shares = {name: "1e-9" if place <= steps.index(step) else "1" for place, name in enumerate(steps)}
        config.write_text(
            f"{without_budget}[budget]\nday_gb = 1\n" + "".join(f"{name} = {at}\n" for name, at in shares.items())
        )
        for operator in (first, second):
            expect(operator.page.locator("#budget")).to_have_attribute("data-step", step)
            expect(operator.page.locator("#budget")).to_contain_text(said)

    reach("direct", "A direct path is looked for")
    wait_until(lambda: _looked_for_a_direct_path(console, "dear"), "a direct path is looked for", seconds=90)
    reach("stop", "No new relay is given")
    for operator in (first, second):
        operator.expect_attribute("data-path", "relay")
    direct_paths.allow()
    reach("direct", "")
    for operator in (first, second):
        operator.expect_attribute("data-path", "direct")
        expect(operator.page.locator("#budget")).to_contain_text("The path of this session is direct")
    assert _audited(console) == [("day", step) for step in ("direct", "stop", "direct")]
