"""The page itself: its contract with automation, what it loads, the keyboard, and what it says while it loads."""

import json
import re
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.conftest import Console, OpenPage, StartConsole, TurnServer, pair, wait_until


def test_console_ready_is_marked_when_the_page_takes_a_click(console: Console, open_page: OpenPage) -> None:
    operator = open_page(console.address)
    assert operator.page.evaluate("performance.getEntriesByName('console-ready').length") == 1
    assert operator.page.locator("#session").input_value(), "a session name is suggested"
    # At rest it rehearses, and nothing is left of that.
    operator.expect_that("rehearsed.length == 3 && rehearsed.every((one) => one.signalingState == 'closed')")
    assert operator.page.evaluate("peerConnections.map((one) => one.signalingState)") == ["stable"]


def test_autoconnect_needs_no_click(console: Console, open_page: OpenPage) -> None:
    address = f"{console.address}?session=auto&autoconnect"
    first = open_page(address, wait_for="waiting")
    second = open_page(address, wait_for="connected")
    first.expect_state("connected")
    second.send("without a click")
    first.expect_received(["without a click"])


def test_nothing_comes_from_any_other_host(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    requested: list[str] = []
    operator.page.on("request", lambda request: requested.append(request.url))
    operator.page.goto(f"{console.address}?session=own-origin")
    operator.expect_state("ready")
    operator.connect()
    operator.expect_state("waiting")
    assert len(requested) > 10
    assert [url for url in requested if not url.startswith(console.address)] == []


def test_a_click_before_python_is_there_is_kept(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    held: list[Route] = []
    operator.page.route("**/pyodide.asm.wasm", lambda route: held.append(route))  # noqa: PLW0108 - it must be a function
    with operator.page.expect_request("**/pyodide.asm.wasm"):
        operator.page.goto(f"{console.address}?session=early-click", wait_until="domcontentloaded")
    operator.expect_state("loading")
    operator.connect()
    expect(operator.page.locator("#connect")).to_contain_text("once ready")
    held[0].continue_()
    operator.expect_state("waiting")


def test_everything_works_with_the_keyboard_alone(console: Console, open_page: OpenPage) -> None:
    address = f"{console.address}?session=keyboard"
    operators = [open_page(address) for _ in range(2)]
    for operator in operators:
        operator.page.keyboard.press("Tab")
        for _ in range(10):
            if operator.page.evaluate("document.activeElement.id") == "connect":
                break
            operator.page.keyboard.press("Tab")
        operator.page.keyboard.press("Enter")
    for operator in operators:
        operator.expect_state("connected")
    writer, reader = operators
    reached = []
    for _ in range(20):
        writer.page.keyboard.press("Tab")
        reached.append(writer.page.evaluate("document.activeElement.id"))
    assert {"camera", "microphone", "screen", "restart-ice", "hangup", "message"} <= set(reached)
    writer.page.locator("#message").focus()
    writer.page.keyboard.type("typed")
    writer.page.keyboard.press("Enter")
    reader.expect_received(["typed"])
    writer.page.locator("#hangup").focus()
    writer.page.keyboard.press("Enter")
    writer.expect_state("closed")


def test_a_session_name_that_cannot_be_is_refused_at_the_field(console: Console, open_page: OpenPage) -> None:
    operator = open_page(console.address)
    operator.page.locator("#session").fill("no/slashes, please")
    operator.connect()
    expect(operator.page.locator("#session-problem")).to_contain_text("64 letters")
    operator.expect_state("ready")


CHARTS_LOADED = """performance.getEntriesByType("resource").map(({ name }) => name)
  .filter((name) => /[/](charts|uplot)-/.test(name))"""
CHARTS_TOO_WIDE = """() => {
  const charts = [...document.querySelectorAll("#charts .uplot")];
  for (const chart of charts) chart.style.width = "2000px";
  const wider = document.documentElement.scrollWidth - innerWidth;
  for (const chart of charts) chart.style.width = "";
  return charts.length ? Math.max(wider, 0) : "no charts";
}"""


def test_the_diagnostics_show_and_keep_every_step_and_no_credential(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(turn_server.configuration(tmp_path)))
    first, second = open_page("about:blank", wait_for=None), open_page("about:blank", wait_for=None)
    credentials: list[str] = []
    for operator in (first, second):
        operator.page.on(
            "response",
            lambda response: (
                credentials.extend(re.findall(r'"credential": ?"([^"]+)"', response.text()))
                if "/ice" in response.url
                else None
            ),
        )
        # Relays alone: a path that works sooner ends Chromium's gathering, and a relay is then told or not.
        operator.page.goto(f"{console.address}?session=diagnostics&policy=relay&autoconnect")
    for operator in (first, second):
        operator.expect_state("connected")
    states = {"connection", "ice-connection", "ice-gathering", "signaling", "dtls"}
    wanted = states | {"candidate-local", "candidate-remote", "pair", "sample", "ice-configuration", "description"}

    def kinds() -> set[str]:
        entries = console.entries("diagnostics")
        return {entry["data"]["state"] if entry["event"] == "state" else entry["event"] for entry in entries}

    wait_until(lambda: wanted <= kinds(), "the journal has every kind")
    entries = console.entries("diagnostics")
    relayed = next(entry for entry in entries if entry["data"].get("type") == "relay" and entry["data"].get("server"))
    assert relayed["data"]["server"] == turn_server.url("udp")
    assert relayed["data"]["protocol"] == "udp"
    assert len(credentials) >= 2
    assert not first.page.evaluate(CHARTS_LOADED), "nothing of the charts is there before they are wanted"
    first.page.locator("#diagnostics > summary").click()
    expect(first.page.locator("#charts .chart-values").first).to_contain_text(" ms")
    wider = first.page.evaluate(CHARTS_TOO_WIDE)
    assert not wider, "a chart that has not followed the page's width yet does not widen the page"
    assert len(first.page.evaluate(CHARTS_LOADED)) == 4
    expect(first.page.locator("#hops > *")).to_have_count(4)
    assert first.page.locator("#hops .leg").first.text_content() == "UDP"
    expect(first.page.locator("#log > *").last).to_be_attached()
    text = json.dumps(entries) + console.log + "".join(first.page.locator("#log").all_text_contents())
    for secret in (*credentials, turn_server.secret, "ice-pwd"):
        assert secret not in text
    said = {"connecting to session diagnostics", "joined the session", "connection connected", "channel messages open"}
    texts = first.page.locator("#log .log-text")
    wait_until(lambda: said <= set(texts.all_text_contents()), "the log says it")

    def exported() -> set[str]:
        lines = console.run("export", "diagnostics", "--format", "jsonl").splitlines()
        return {json.loads(line).get("text") for line in lines}

    # What the page shows it tells the server a moment later.
    wait_until(lambda: said <= exported(), "the record says it in the same words")
    recorded = first.page.request.get(f"{console.address}sessions/1", headers={"Accept": "application/json"}).json()
    assert said <= {text for *_, text in recorded["log"]}
    assert {"Guest 1 joined the session.", "Guest 2 joined the session."} <= {
        sentence["text"] for sentence in recorded["account"]
    }
    first.page.locator("#log-filter").fill("candidate relay")

    def are_filtered() -> bool:
        shown = first.page.locator("#log > :visible").all_text_contents()
        return bool(shown) and all("candidate" in line and "relay" in line for line in shown)

    wait_until(are_filtered, "only candidates of relays are shown")
    times = first.page.locator("#log time").all_text_contents()
    assert len(times) > 20
    assert times == sorted(times, reverse=True), "newest first"


def test_a_stylesheet_or_script_is_never_inline(console: Console, open_page: OpenPage) -> None:
    operator, _ = pair(console, open_page, session="policy")
    response = operator.page.request.get(console.address)
    policy = response.headers["content-security-policy"]
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert "unsafe-inline" not in policy


def test_on_a_phone_nothing_is_wider_than_the_screen(console: Console, open_page: OpenPage) -> None:
    operator = open_page(console.address, viewport={"width": 360, "height": 740})
    assert operator.page.evaluate("document.documentElement.scrollWidth") <= 360
