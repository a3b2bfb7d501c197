"""Who is who: messages stay with whom they are for, and everybody knows who is there."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, wait_until

HANG_UP_IN_DOUBT = """
WebSocket.prototype.send = () => {};
dispatchEvent(new Event("online"));
document.querySelector("#hangup").click();
"""
"""Just as another socket is opened: the old one is dead, and nobody knows."""

MUTE = """
const send = RTCDataChannel.prototype.send;
RTCDataChannel.prototype.send = function (...data) { if (!top.isMute) send.apply(this, data); };
"""
"""For every frame: the page takes the constructor of one of its own."""


def mutable(open_page: OpenPage, address: str) -> Operator:
    """Open a page that can be made to read everything, and confirm nothing, by `isMute`."""
    page = open_page("about:blank", wait_for=None)
    page.context.add_init_script(MUTE)
    page.page.goto(address)
    page.expect_state("ready")
    return page


def muted_pair(console: Console, open_page: OpenPage, session: str) -> tuple[Operator, Operator]:
    address = f"{console.address}?session={session}"
    first, second = open_page(address), mutable(open_page, address)
    for page in (first, second):
        page.connect()
    for page in (first, second):
        page.expect_state("connected")
    second.page.evaluate("globalThis.isMute = true")
    return first, second


def line(operator: Operator, kind: str) -> str:
    shown = operator.page.locator(f"#happenings .{kind}").last
    expect(shown).to_contain_text(re.compile(r"\d:\d\d"))
    return shown.text_content() or ""


def test_a_message_for_one_guest_never_reaches_another(console: Console, open_page: OpenPage) -> None:
    first, second = muted_pair(console, open_page, "whom")
    first.send("for B alone")
    bubble = first.page.locator("#sent li")
    expect(bubble).to_have_attribute("data-status", "sending")
    second.page.goto("about:blank")
    expect(bubble).to_have_attribute("data-status", "left")
    expect(bubble).to_contain_text("Not delivered: they left")
    assert "left at" in line(first, "left")
    third = open_page(f"{console.address}?session=whom")
    third.connect()
    for page in (first, third):
        page.expect_state("connected")
    assert "Somebody else joined at" in line(first, "other")
    first.send("for C")
    third.expect_received(["for C"])
    expect(bubble.first).to_have_attribute("data-status", "left")
    bubble.first.get_by_role("button", name="Send to the new guest").click()
    third.expect_received(["for C", "for B alone"])
    expect(bubble.first).to_have_attribute("data-status", "delivered")


def test_a_tab_that_was_reloaded_is_the_same_person(console: Console, open_page: OpenPage) -> None:
    first, second = muted_pair(console, open_page, "same")
    first.send("wait for me")
    second.page.goto("about:blank")
    expect(first.page.locator("#sent li")).to_have_attribute("data-status", "left")
    second.page.goto(f"{console.address}?session=same&autoconnect")
    second.expect_received(["wait for me"])
    assert "came back at" in line(first, "back")
    expect(first.page.locator("#happenings .other")).to_have_count(0)
    expect(first.page.locator("#sent li")).to_have_attribute("data-status", "delivered")


def test_a_name_is_shown_at_the_other_side_and_remembered(console: Console, open_page: OpenPage) -> None:
    first, second = open_page(f"{console.address}?session=names"), open_page(f"{console.address}?session=names")
    second.page.locator("#name").fill("  Anna\tBell ")
    first.connect()
    first.expect_state("waiting")
    second.connect()
    first.expect_state("connected")
    expect(first.page.locator("#peer-name")).to_have_text("Anna Bell")
    assert "Anna Bell joined at" in line(first, "joined")
    expect(second.page.locator("#peer-name")).to_be_hidden()
    second.page.locator("#hangup").click()
    assert "Anna Bell left at" in line(first, "left")
    first.page.evaluate(HANG_UP_IN_DOUBT)
    wait_until(lambda: "< 204 DELETE /place" in console.log, "it said goodbye over HTTP as well")
    gone: tuple[str, dict[str, Any]] = ("session", {})
    wait_until(
        lambda: [(one["event"], one["data"]) for one in console.entries("names")].count(gone) == 2,
        "it told there what it could not tell on the socket",
    )
    expect(first.page.locator("#peer-name")).to_be_hidden()
    second.page.reload()
    second.expect_state("ready")
    expect(second.page.locator("#name")).to_have_value("Anna Bell")


@pytest.mark.patient
def test_a_place_that_is_only_kept_is_waited_for(
    start_console: StartConsole, open_page: OpenPage, tmp_path: Path
) -> None:
    (tmp_path / "ice.toml").write_text("hold = 12\n")
    console = start_console("--config", str(tmp_path / "ice.toml"))
    third = open_page(f"{console.address}?session=kept")
    first = open_page(f"{console.address}?session=kept&autoconnect", wait_for="waiting")
    # Somebody whose socket dies without a goodbye: 1001 and 1000 would be one.
    joined = """async (url) => {
      const socket = new WebSocket(url);
      await new Promise((resolve) => { socket.onopen = resolve; });
      const of = (digit) => digit.repeat(32);
      socket.send(JSON.stringify({ kind: "join", session: "kept", participant: of("7"), key: of("8") }));
      await new Promise((resolve) => { socket.onmessage = resolve; });
      socket.close(4000);
    }"""
    first.page.evaluate(joined, console.address.replace("http", "ws") + "ws")
    third.connect()
    third.expect_state("connecting")
    expect(third.page.locator("#detail")).to_contain_text(re.compile(r"kept for up to \d+ s"))
    first.page.locator("#hangup").click()
    third.expect_state("waiting")


def test_two_who_mean_the_same_session_meet(console: Console, open_page: OpenPage) -> None:
    first, second = open_page(console.address), open_page(f"{console.address}?session=Cafe%CC%81%20ZO%C3%8B%E2%80%93 7")
    first.page.locator("#session").fill(" café Zoë 7")
    for page in (first, second):
        page.connect()
    for page in (first, second):
        page.expect_state("connected")
        expect(page.page.locator("#session-name")).to_have_text("café-zoë-7")
    expect(first.page.locator("#link")).to_have_value(re.compile(r"session=caf%C3%A9-zo%C3%AB-7$"))
    wait_until(lambda: bool(console.entries("café-zoë-7")), "the record has a session of that name")
