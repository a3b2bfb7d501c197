"""Firefox at both ends, from the invitation to the hang-up: one light, the other dark, and axe-core looks at both."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole
from tests.browser.test_accessibility import expect_accessible_as_it_is
from tests.browser.test_conversation import KEY
from tests.browser.test_firefox import PREFERENCES, launch_firefox
from tests.browser.test_media import expect_picture

DARK = 0
LIGHT = 1
"""Values of `layout.css.prefers-color-scheme.content-override`: over WebDriver BiDi nothing else sets the scheme."""

SPEAKER = """() => {
  const speaker = {kind: "audiooutput", deviceId: "headphones", label: "Headphones"};
  const list = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
  navigator.mediaDevices.selectAudioOutput = async () => {
    navigator.mediaDevices.enumerateDevices = async () => [...await list(), speaker];
    return speaker;
  };
  HTMLMediaElement.prototype.setSinkId = async (id) => { window.sink = id; };
}"""
"""What the person chooses in Firefox's own prompt, which lists no speaker before."""


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


def _prepare(host: Operator, console: Console) -> str:
    """Choose devices and make a link for Bob, before there is anybody else."""
    page = host.page
    page.locator("#name").press_sequentially("Anna")
    page.locator("#devices").click()
    page.locator("#try-devices").click()
    expect(page.locator("#preview")).to_be_visible()
    page.evaluate(SPEAKER)
    page.locator("#choose-speaker").click()
    expect(page.locator("#speaker-device option:checked")).to_have_text("Headphones")
    host.expect_that("sink == 'headphones'")
    expect_accessible_as_it_is(host)
    page.keyboard.press("Escape")
    assert page.evaluate("document.getElementById('preview').srcObject") is None
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


def _talk(host: Operator, guest: Operator) -> None:
    """Write to each other, as with an input method."""
    expect(guest.page.locator("#peer-name")).to_have_text("Anna")
    host.page.locator("#message").fill("漢字 https://example.org/")
    assert host.page.evaluate(KEY, ["Enter", 229, True]), "while composing"
    assert not host.page.evaluate(KEY, ["Enter", 13, False])
    guest.expect_received(["漢字 https://example.org/"])
    guest.send("read")
    host.expect_received(["read"])


@pytest.mark.timeout(240)  # two browsers start for it alone, and axe-core looks at both
def test_two_of_them_meet_by_an_invitation(
    start_console: StartConsole, open_page: OpenPage, firefoxes: tuple[Browser, Browser]
) -> None:
    console = start_console("--host", "0.0.0.0", access="")
    host = open_page(f"{console.address}?session=firefoxes{console.operator_fragment}", by=firefoxes[0])
    link = _prepare(host, console)
    host.connect()
    host.expect_state("waiting")
    expect_accessible_as_it_is(host)
    guest = open_page(link, by=firefoxes[1])
    expect_accessible_as_it_is(guest)
    guest.connect()
    for operator in (host, guest):
        operator.expect_state("connected")
    _talk(host, guest)
    host.page.locator("#camera").click()
    expect_picture(guest)
    for operator in (host, guest):
        expect_accessible_as_it_is(operator)
    host.page.locator("#hangup").click()
    host.expect_state("closed")
    expect(host.page.locator("#local-video")).to_be_hidden()
    expect_accessible_as_it_is(host)
    for operator in (host, guest):  # on a busy machine a socket is given up for a newer one, which Firefox reports
        operator.take_problems("establish a connection|was interrupted|ICE failed")
