"""Firefox at both ends, through all that two people do: one light, the other dark, and axe-core looks at both."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, wait_until
from tests.browser.test_accessibility import expect_accessible_as_it_is
from tests.browser.test_conversation import KEY
from tests.browser.test_firefox import PREFERENCES, launch_firefox
from tests.browser.test_media import expect_picture, expect_pressed
from tests.browser.test_people import MUTE, line
from tests.browser.test_tabs import another_tab, expect_offer, open_link

DARK = 0
LIGHT = 1
"""Values of `layout.css.prefers-color-scheme.content-override`: over WebDriver BiDi nothing else sets the scheme."""

SPEAKER = """
window.asked = [];
if (navigator.mediaDevices) {
  const devices = navigator.mediaDevices;
  const speaker = {kind: "audiooutput", deviceId: "headphones", label: "Headphones"};
  const list = devices.enumerateDevices.bind(devices);
  devices.selectAudioOutput = async ({deviceId = ""} = {}) => {
    asked.push(deviceId);
    if (!navigator.userActivation.isActive) throw new DOMException("no press", "InvalidStateError");
    devices.enumerateDevices = async () => [...await list(), speaker];
    return speaker;
  };
  HTMLMediaElement.prototype.setSinkId = async (id) => { window.sink = id; };
}
"""
"""What the person chooses in Firefox's own prompt: no speaker is listed before, nor after a reload (this machine has
none). With the id of one that was chosen, Firefox does not ask again, but wants a press."""

RECORD = """
window.saved = [];
HTMLAnchorElement.prototype.click = function () { saved.push(this.download); };
if (location.protocol != "about:") {
  const count = (what) => { localStorage[what] = Number(localStorage[what] ?? 0) + 1; };
  const sockets = [];
  addEventListener("pagehide", () => {
    for (const one of sockets) if (one.readyState != WebSocket.CLOSED) count("left");
  });
  window.WebSocket = class extends WebSocket {
    constructor(...options) { super(...options); sockets.push(this); }
    close(...how) {
      if (this.readyState == WebSocket.CONNECTING) count("given up");
      super.close(...how);
    }
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      this.addEventListener("iceconnectionstatechange", () => this.iceConnectionState == "failed" && count("failed"));
    }
  };
}
"""
"""What the page saves (no download is told of over WebDriver BiDi), and what Firefox complains of, counted."""

SHOW_A_CANVAS = """() => {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    setInterval(() => context.fillRect(0, 0, 300, 150), 50);
    return canvas.captureStream(20);
  };
}"""
"""What is shared for a screen: without one Firefox has nothing to show."""

GHOST = """async ([url, invitation]) => {
  const of = (digit) => digit.repeat(32);
  const socket = new WebSocket(url);
  await new Promise((resolve) => { socket.onopen = resolve; });
  const join = {kind: "join", session: "firefoxes", participant: of("7"), key: of("8"), invitation};
  socket.send(JSON.stringify(join));
  await new Promise((resolve) => { socket.onmessage = resolve; });
  socket.close(4000);
  window.exorcise = () => fetch("place", {
    method: "DELETE", headers: {"X-Place": `firefoxes ${join.participant} ${join.key}`},
  });
}"""
"""Somebody whose socket dies without a goodbye, which 1000 and 1001 would be; and the goodbye."""


@pytest.fixture
def firefoxes(playwright: Playwright) -> Iterator[tuple[Browser, Browser]]:
    """Start one that prefers light pages, and one that prefers dark ones; both want no motion."""
    scheme = "layout.css.prefers-color-scheme.content-override"
    both = [
        launch_firefox(playwright, PREFERENCES | {scheme: value, "ui.prefersReducedMotion": 1})
        for value in (LIGHT, DARK)
    ]
    yield both[0], both[1]
    for one in both:
        one.close()


def open_in(browser: Browser, open_page: OpenPage, address: str, *scripts: str) -> Operator:
    """Open a page in which these and `RECORD` run before each document's own scripts."""
    operator = open_page("about:blank", by=browser, wait_for=None)
    for script in (RECORD, *scripts):
        operator.context.add_init_script(script)
    operator.page.goto(address)
    operator.expect_state("ready")
    return operator


COMPLAINTS = {
    "can.t establish a connection": "given up",
    "was interrupted while the page was loading": "left",
    "ICE failed": "failed",
}
"""What Firefox says of a socket that is closed before it is open, as the page does when another one is faster; of one
that is there when its page is left; and of ICE when the other side's candidates come more than 5 s after its own, as on
a busy machine. With the name under which `RECORD` counts it."""


def expect_no_problems(operator: Operator) -> None:
    """Expect that Firefox complains of nothing but of what the page itself has seen, as often."""
    for complaint, reason in COMPLAINTS.items():
        complaints = sum(bool(re.search(complaint, problem)) for problem in operator.problems)
        times = int(operator.page.evaluate("(name) => localStorage[name] ?? 0", reason))
        assert complaints <= times, f"{complaint}, though {times} were {reason}"
        operator.excuse(complaint)


def _prepare(host: Operator, console: Console) -> str:
    """Choose devices and make a link for Bob, before there is anybody else."""
    page = host.page
    page.locator("#name").press_sequentially("Anna")
    page.locator("#devices").click()
    page.locator("#try-devices").click()
    expect(page.locator("#preview")).to_be_visible()
    page.locator("#choose-speaker").click()
    expect(page.locator("#speaker-device option:checked")).to_have_text("Headphones")
    host.expect_that("sink == 'headphones'")
    expect_accessible_as_it_is(host)
    page.keyboard.press("Escape")
    expect(page.locator("#preview")).to_have_js_property("srcObject", None)
    page.locator("#invite").click()
    expect(page.locator("#invite-qr")).to_be_visible()
    page.locator("#invite-address").select_option(console.address)
    page.locator("#invite-name").fill("Bob")
    first = page.locator("#invite-link").input_value()
    page.locator("#invite-issue").click()
    expect(page.locator("#invite-link")).not_to_have_value(first)
    expect(page.locator("#invitations li", has_text="Bob")).to_be_visible()
    expect_accessible_as_it_is(host)
    link = page.locator("#invite-link").input_value()
    page.keyboard.press("Escape")
    return link


def _come_in(host: Operator, guest: Operator, console: Console, link: str) -> None:
    """Come without an invitation, then with one to a place that is kept for somebody else, and in by oneself."""
    token = link.partition("#")[2]
    host.page.evaluate(GHOST, [console.address.replace("http", "ws") + "ws", token.partition("=")[2]])
    guest.connect()
    guest.expect_state("failed")
    expect(guest.page.locator("#status")).to_contain_text("An invitation is needed")
    open_link(guest.page, token)
    expect(guest.page.locator("#detail")).to_contain_text(re.compile(r"kept for up to \d+ s"))
    guest.expect_state("connecting")
    host.page.evaluate("exorcise()")
    for operator in (host, guest):
        operator.expect_state("connected")


def _talk(host: Operator, guest: Operator) -> None:
    """Write to each other, as with an input method."""
    expect(guest.page.locator("#peer-name")).to_have_text("Anna")
    host.page.locator("#message").fill("漢字 https://example.org/")
    assert host.page.evaluate(KEY, ["Enter", 229, True]), "while composing"
    assert not host.page.evaluate(KEY, ["Enter", 13, False])
    guest.expect_received(["漢字 https://example.org/"])
    guest.send("read")
    host.expect_received(["read"])


def _show(host: Operator, guest: Operator) -> None:
    """Switch everything on, look at the far picture in every way there is, and share a screen."""
    for operator in (host, guest):
        for kind in ("camera", "microphone"):
            operator.page.locator(f"#{kind}").click()
            expect_pressed(operator, f"#{kind}", on=True)
    for operator in (host, guest):
        expect_picture(operator)
        expect_accessible_as_it_is(operator)
    page = guest.page
    has_window = page.evaluate("'requestPictureInPicture' in HTMLVideoElement.prototype")
    assert page.locator("#picture-in-picture").is_visible() == has_window
    for is_full in (True, False):
        page.locator("#full-screen").press("Enter")  # under a pointer the page changes in the middle of the click
        guest.expect_that(f"!!document.fullscreenElement == {str(is_full).lower()}")
    page.locator("#save-picture").click()
    guest.expect_that("saved.length == 1 && saved[0].endsWith('.png')")
    host.page.locator("#screen").click()
    expect(host.page.locator("#media-problem")).to_contain_text("no screen or window here")  # it is headless
    host.page.evaluate(SHOW_A_CANVAS)
    host.page.locator("#screen").click()
    expect_pressed(host, "#screen", on=True)
    expect_pressed(host, "#camera", on=False)
    expect_picture(guest)
    host.page.locator("#screen").click()
    expect_pressed(host, "#camera", on=True)
    expect_picture(guest)


def _read_diagnostics(operator: Operator) -> None:
    page = operator.page
    page.locator("#quality-more").click()
    expect(page.locator("#charts canvas")).to_have_count(7)
    expect(page.locator("#charts .chart-values").first).to_contain_text(" ms")
    expect(page.locator("#hops > *").last).to_contain_text("Anna")
    in_use = page.locator("#pairs tr").first
    expect(in_use).to_contain_text("in use")
    # Firefox does not count the checks, but only the answers.
    expect(in_use.locator("td").nth(3)).to_have_text(re.compile(r"^\d+$"))
    page.locator("#copy-diagnostics").click()
    expect(page.locator("#copy-diagnostics-label")).to_have_text("Copied")
    expect_accessible_as_it_is(operator)
    page.locator("#diagnostics > summary").click()


def _use_another_tab(host: Operator, address: str) -> None:
    other = another_tab(host, address)
    expect_offer(other)
    other.connect()
    other.expect_state("connected")
    other.expect_that("sink == 'headphones'")
    assert other.page.evaluate("asked") == ["headphones"], "what was chosen is had again, and nobody asked"
    expect_offer(host)
    for kind in ("camera", "microphone"):
        expect_pressed(host, f"#{kind}", on=False)
    host.connect()
    host.expect_state("connected")
    expect_offer(other)
    other.page.close()


def _reload(reloaded: Operator, other: Operator) -> None:
    """Be the same person after a reload, with the same speaker at the first press."""
    reloaded.page.reload()
    for operator in (reloaded, other):
        operator.expect_state("connected")
    reloaded.send("here again")
    expect(other.page.locator("#messages > *").last).to_have_text("here again")
    assert "Anna came back at" in line(other, "back")
    reloaded.expect_that("sink == 'headphones'")
    reloaded.page.locator("#devices").click()
    expect(reloaded.page.locator("#speaker-device option:checked")).to_have_text("Headphones")
    expect(reloaded.page.locator("#speaker-note")).to_be_hidden()
    reloaded.page.keyboard.press("Escape")


def _leave_and_come_back(host: Operator, guest: Operator, third: Operator) -> None:
    """Leave before a message is confirmed: the next guest gets it if its writer says so. And come back."""
    guest.page.evaluate("globalThis.isMute = true")
    host.send("for Bob alone")
    bubble = host.page.locator("#sent li").last
    guest.page.goto("about:blank")
    expect(bubble).to_have_attribute("data-status", "left")
    third.connect()
    for operator in (host, third):
        operator.expect_state("connected")
    assert "Somebody else joined at" in line(host, "other")
    assert third.received() == []
    bubble.get_by_role("button", name="Send to the new guest").click()
    third.expect_received(["for Bob alone"])
    third.page.locator("#hangup").click()
    host.expect_state("waiting")
    guest.page.go_back()
    guest.page.evaluate("globalThis.isMute = false")
    for operator in (host, guest):
        operator.expect_state("connected")


def _change_networks(host: Operator, guest: Operator) -> None:
    for event in ("offline", "online"):
        host.page.evaluate("(name) => dispatchEvent(new Event(name))", event)
    host.expect_generation(1)
    host.expect_state("connected")
    host.send("from another network")
    expect(guest.page.locator("#messages > *").last).to_have_text("from another network")


def _end(host: Operator, guest: Operator) -> None:
    """Take Bob's invitation back, and hang up: nothing stays on."""
    for operator in (host, guest):
        operator.page.locator("#camera").click()
        expect(operator.page.locator("#local-video")).to_be_visible()
    host.page.locator("#invite").click()
    revoke = host.page.locator("#invitations li", has_text="Bob").locator("button")
    revoke.click()
    expect(revoke).to_have_text("Revoke now?")
    revoke.click()
    guest.expect_state("failed")
    expect(guest.page.locator("#status")).to_contain_text("taken back")
    host.page.keyboard.press("Escape")
    host.expect_state("waiting")
    host.page.locator("#hangup").click()
    host.expect_state("closed")
    for operator in (host, guest):
        expect(operator.page.locator("#local-video")).to_be_hidden()
        expect_pressed(operator, "#camera", on=False)
    expect_accessible_as_it_is(guest)


def _look_back(host: Operator, console: Console) -> None:
    wait_until(lambda: bool(console.entries("firefoxes")), "the record has the session")
    page = host.page
    page.goto(f"{console.address}sessions")
    page.get_by_role("link", name="firefoxes").first.click()
    expect(page.locator("#account")).to_contain_text("Anna")
    expect(page.locator("#charts .chart-values").first).to_have_text(re.compile(r"^\d.* ms$"))
    expect_accessible_as_it_is(host)
    page.get_by_role("button", name="rtcstats").click()
    host.expect_that("saved.length == 1 && saved[0].endsWith('.txt')")


def test_two_of_them_from_invitation_to_record(
    start_console: StartConsole, open_page: OpenPage, firefoxes: tuple[Browser, Browser]
) -> None:
    console = start_console("--host", "0.0.0.0", access="")
    address = f"{console.address}?session=firefoxes"
    host = open_in(firefoxes[0], open_page, address + console.operator_fragment, SPEAKER)
    link = _prepare(host, console)
    host.connect()
    host.expect_state("waiting")
    expect_accessible_as_it_is(host)
    guest = open_in(firefoxes[1], open_page, address, MUTE)
    expect_accessible_as_it_is(guest)
    _come_in(host, guest, console, link)
    _talk(host, guest)
    _show(host, guest)
    _read_diagnostics(guest)
    _use_another_tab(host, address)
    _reload(host, guest)
    third = open_in(firefoxes[1], open_page, link)
    _leave_and_come_back(host, guest, third)
    _change_networks(host, guest)
    _end(host, guest)
    _look_back(host, console)
    for operator in (host, guest, third):
        expect_no_problems(operator)
