"""Two people connect, by the path that they can get or by a relay alone, and again after whatever happens."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Console, OpenPage, StartConsole, TurnServer, pair, wait_until


def test_two_operators_on_one_machine_connect_without_a_server_between_them(
    console: Console, open_page: OpenPage
) -> None:
    for operator in pair(console, open_page, session="same-machine"):
        operator.expect_attribute("data-path", "direct")
        # Pages that are bound to no interface meet by whichever address of the machine answers first: by a host
        # candidate whose mDNS name was resolved, or by the one that a check or the STUN server showed.
        for end in ("data-local-candidate", "data-remote-candidate"):
            operator.expect_attribute(end, re.compile("^(host|srflx|prflx)$"))
        operator.expect_attribute("data-protocol", "udp")
        operator.expect_attribute("data-relay-protocol", "")
        operator.expect_attribute("data-ice-generation", "0")
        expect(operator.page.locator("#fact-encryption")).to_have_text(re.compile("DTLS"))


def test_messages_arrive_in_order_and_are_shown_as_delivered(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="messages")
    texts = [f"message {number}" for number in range(20)]
    for text in texts:
        first.send(text)
    second.expect_received(texts)
    second.send("<b>and back</b>")
    first.expect_received(["<b>and back</b>"])
    expect(first.page.locator("#sent > *")).to_have_count(20)
    expect(first.page.get_by_text("Sending…")).to_have_count(0)


SAY = """(texts) => {
  const field = document.querySelector("#message");
  for (const text of texts) { field.value = text; field.form.requestSubmit(); }
}"""
IS_IN_VIEW = """(bubble) => {
  const [{ top, bottom }, thread] = [bubble, document.querySelector("#thread")].map((it) => it.getBoundingClientRect());
  return bubble.checkVisibility() && top >= thread.top && bottom <= thread.bottom;
}"""


def expect_in_view(bubble: Locator) -> None:
    wait_until(lambda: bool(bubble.evaluate(IS_IN_VIEW)), "the message is in view")


def test_of_a_long_conversation_the_newest_is_shown_and_the_rest_is_a_button_away(
    console: Console, open_page: OpenPage
) -> None:
    first, second = pair(console, open_page, session="long")
    theirs, ours = [f"theirs {number}" for number in range(230)], [f"ours {number}" for number in range(30)]
    first.page.evaluate(SAY, theirs)
    second.expect_received(theirs)
    second.page.evaluate(SAY, ours)
    first.expect_received(ours)
    page = second.page
    expect(page.locator("#sent > [data-status=delivered]")).to_have_count(30)
    earlier = page.get_by_role("button", name="Show earlier messages")
    shown = page.locator("#messages > :visible, #sent > :visible")
    expect(shown).to_have_count(200)
    expect(page.locator("#messages > :visible").first).to_have_text("theirs 60")
    expect_in_view(page.locator("#sent > *").last)
    # With the keyboard, and read while more comes.
    earlier.press("Enter")
    expect(shown).to_have_count(260)
    expect(earlier).to_be_hidden()
    expect(page.locator("#thread")).to_be_focused()
    page.locator("#messages > *").first.scroll_into_view_if_needed()
    first.send("one more")
    second.expect_received([*theirs, "one more"])
    expect(shown).to_have_count(261)
    expect_in_view(page.locator("#messages > *").first)
    # Who writes is at the end again.
    second.send("and the last")
    expect(shown).to_have_count(200)
    expect_in_view(page.locator("#sent > *").last)


BUFFER = """
const { send } = RTCDataChannel.prototype, { createDataChannel } = RTCPeerConnection.prototype;
top.mostBuffered ??= 0;
top.drained ??= 0;
RTCDataChannel.prototype.send = function (data) {
  send.call(this, data);
  if (this.label === "messages") top.mostBuffered = Math.max(top.mostBuffered, this.bufferedAmount);
};
RTCPeerConnection.prototype.createDataChannel = function (...options) {
  const channel = createDataChannel.apply(this, options);
  channel.addEventListener("bufferedamountlow", () => { top.drained += 1; });
  return channel;
};"""
"""Notes how much of the messages waits in the browser, and how often it has sent nearly all of it."""


def test_what_is_written_faster_than_it_can_be_sent_waits_in_the_page(console: Console, open_page: OpenPage) -> None:
    first, second = (open_page(f"{console.address}?session=fast") for _ in range(2))
    first.page.add_init_script(BUFFER)
    first.page.reload()
    for operator in (first, second):
        operator.connect()
    for operator in (first, second):
        operator.expect_state("connected")
    texts = [f"{number} {'x' * 30_000}" for number in range(30)]
    first.page.evaluate(
        """(texts) => {
          const field = document.querySelector("#message");
          for (field.value of texts) field.form.requestSubmit();
        }""",
        texts,
    )
    second.expect_received(texts)
    assert 1 << 15 < first.page.evaluate("mostBuffered") < 1 << 17
    assert first.page.evaluate("drained") > 5
    expect(first.page.get_by_text("Sending…")).to_have_count(0)


def test_relay_only_works_out_of_the_box(console: Console, open_page: OpenPage) -> None:
    for operator in pair(console, open_page, session="local-relay", query="&policy=relay"):
        operator.expect_attribute("data-path", "relay")
        operator.expect_attribute("data-local-candidate", "relay")
        # Which way to the relay is Chromium's choice where there are two; on loopback it may stay with TCP.
        operator.expect_attribute("data-relay-protocol", re.compile("^(udp|tcp)$"))
    wait_until(lambda: "local-relay>" in console.log, "coturn's own log names the ephemeral user")


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
def test_relay_over(
    protocol: str, start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(turn_server.configuration(tmp_path, protocol=protocol)))
    for operator in pair(console, open_page, session="relayed", query="&policy=relay"):
        operator.expect_attribute("data-path", "relay")
        operator.expect_attribute("data-local-candidate", "relay")
        operator.expect_attribute("data-relay-protocol", protocol)
        expect(operator.page.locator("#fact-server")).to_have_text("test-turn")
    allocated = re.compile(r"user <\d+:relayed>: incoming packet ALLOCATE processed, success")
    wait_until(lambda: len(allocated.findall(turn_server.log)) >= 2, "coturn has told of both relays")


def test_a_wrong_turn_secret_is_said_in_the_page_and_in_the_journal(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(turn_server.configuration(tmp_path, secret="not the secret of coturn")))
    operator = open_page(f"{console.address}?session=wrong-secret&policy=relay")
    operator.connect()
    operator.expect_state("failed")
    status = operator.page.locator("#status")
    expect(status).to_contain_text("No connection is possible")
    expect(status).to_contain_text("refused our user name or password")
    expect(status).to_contain_text("icecandidateerror 401")
    wait_until(
        lambda: any(
            entry["event"] == "candidate-error" and entry["data"]["code"] == 401
            for entry in console.entries("wrong-secret")
        ),
        "the journal has the 401",
    )


def test_a_third_participant_hears_that_the_session_is_full(console: Console, open_page: OpenPage) -> None:
    pair(console, open_page, session="full")
    third = open_page(f"{console.address}?session=full")
    third.connect()
    third.expect_state("failed")
    expect(third.page.locator("#status")).to_contain_text("This session is full")


def test_who_waits_is_found_again_after_a_reload_of_the_other_side(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="reload")
    for reloaded, other in ((second, first), (first, second)):
        reloaded.page.reload()
        for operator in (first, second):
            operator.expect_state("connected")
        reloaded.send("I am back")
        expect(other.page.locator("#messages > *").last).to_have_text("I am back")


def test_hanging_up_tells_the_other_side_and_lets_both_connect_again(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="hang-up")
    first.page.locator("#hangup").click()
    first.expect_state("closed")
    first.expect_attribute("data-path", "none")
    second.expect_state("waiting")
    first.connect()
    for operator in (first, second):
        operator.expect_state("connected")


def test_a_server_that_is_updated_does_not_disturb_the_peers(
    console: Console, open_page: OpenPage, checkout: Path
) -> None:
    first, second = pair(console, open_page, session="server-restart")
    assert console.stop() == 0
    first.send("the server is away")
    second.expect_received(["the server is away"])
    for operator in (first, second):
        expect(operator.page.locator("#status")).to_contain_text("out of reach")
        operator.expect_state("connected")
    with (checkout / "pyapp/main.py").open("a", encoding="utf-8") as main:
        main.write("# newer\n")
    console.root = checkout
    before = len(console.entries("server-restart"))
    console.start()
    # Signaling is back by itself when an ICE restart, which needs it, goes through.
    for operator in (first, second):
        expect(operator.page.locator("#status")).not_to_contain_text("out of reach")
        expect(operator.page.locator("#update")).to_contain_text("Reload the page once you have hung up")
        expect(operator.page.locator("#update-reload")).to_be_hidden()
    first.page.locator("#restart-ice").click()
    for operator in (first, second):
        operator.expect_generation(1)
        operator.expect_state("connected")
        operator.expect_problem("WebSocket connection to .* failed|ERR_CONNECTION_REFUSED")
        operator.expect_first_connection(console.entries("server-restart"))
    # What was noted while the server was away came in afterwards, once.
    wait_until(
        lambda: {"signaling", "restart"} <= {entry["event"] for entry in console.entries("server-restart")[before:]},
        "the journal is streamed again",
    )
    entries = [
        (entry["participant"], entry["number"]) for entry in console.entries("server-restart") if entry["number"]
    ]
    assert len(entries) == len(set(entries))
    for participant in {participant for participant, _ in entries}:
        numbers = [number for who, number in entries if who == participant]
        assert numbers == list(range(1, len(numbers) + 1)), "nothing is missing"
