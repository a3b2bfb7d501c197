"""No wait without an end, and no failure without a sentence."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Console, OpenPage

DEAD_SOCKETS = """
globalThis.areBlocked = true;
const Open = globalThis.WebSocket;
globalThis.WebSocket = function (url) { return new Open(areBlocked ? String(url).replace(/ws$/, "nowhere") : url); };
Object.assign(globalThis.WebSocket, { OPEN: Open.OPEN, CONNECTING: Open.CONNECTING });
"""
"""While they `areBlocked`, each asks for an address that takes no WebSockets."""


def answered_by_a_proxy(route: Route) -> None:
    route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>")


def refused_for_a_while(route: Route) -> None:
    route.fulfill(status=429, content_type="text/plain", body="Too many requests")


def never_answered(_: Route) -> None:
    pass


@pytest.mark.patient
@pytest.mark.parametrize(
    ("answer", "words", "cause"),
    [
        (answered_by_a_proxy, "answers with an error", "HTTP status 502, text/html"),
        (refused_for_a_while, "answers with an error", "HTTP status 429"),
        (never_answered, "does not answer", "no answer"),
    ],
)
def test_without_a_list_of_relays_it_is_said_and_gone_on_without(
    console: Console, open_page: OpenPage, answer: Callable[[Route], None], words: str, cause: str
) -> None:
    pages = [open_page("about:blank", wait_for=None) for _ in range(2)]
    for page in pages:
        page.page.route("**/ice?*", answer)
    first, second = pages
    first.page.goto(f"{console.address}?session=late&autoconnect")
    first.expect_state("waiting")
    second.page.goto(f"{console.address}?session=late&autoconnect")
    expect(second.page.locator("#detail")).to_contain_text(words)
    expect(second.page.locator("#cause")).to_contain_text(cause)
    for page in pages:
        page.expect_state("connected")
        page.excuse("502|429")


FETCHED = """
window.unlimited = [];
window.fetch = ((original) => (url, options = {}) => {
  if (!options.signal && !String(url).includes("/assets/")) unlimited.push(String(url));
  return original(url, options);
})(window.fetch);
"""
"""Requests that could take for ever. What the page is made of has its progress shown."""


def test_every_request_has_an_end_and_what_does_not_come_a_sentence(console: Console, open_page: OpenPage) -> None:
    page = open_page("about:blank", wait_for=None)
    page.page.clock.install()
    page.page.add_init_script(FETCHED)
    page.page.route("**/qrcode.mjs", lambda route: route.abort())
    page.page.route("**/uplot.mjs", never_answered)
    page.page.goto(f"{console.address}?session=ends&autoconnect")
    page.expect_state("waiting")
    code, charts = page.page.locator("#invite-qr"), page.page.locator("#charts-none")
    page.page.locator("#invite").click()
    expect(page.page.locator("#invite-qr-none")).to_contain_text("The QR code did not load.")
    expect(code).to_be_hidden()
    page.page.keyboard.press("Escape")
    page.page.locator("#diagnostics > summary").click()
    expect(charts).to_have_text("Loading the charts…")
    page.page.clock.fast_forward("00:21")
    expect(charts).to_contain_text("The charts did not load.")
    # What comes the next time is shown, also by a browser that has given up on its address.
    page.page.locator("#invite").click()
    expect(code).to_be_visible()
    expect(page.page.locator("#invite-qr-none")).to_be_hidden()
    page.page.keyboard.press("Escape")
    for _ in range(2):
        page.page.locator("#diagnostics > summary").click()
    expect(page.page.locator("#charts canvas")).to_have_count(7)
    page.expect_state("waiting")
    assert page.page.evaluate("unlimited") == []
    page.excuse("qrcode|uplot|ERR_FAILED|dynamically imported")


def test_what_an_extension_does_wrong_does_not_stop_the_start(console: Console, open_page: OpenPage) -> None:
    page = open_page("about:blank", wait_for=None)
    page.page.add_init_script(
        "Promise.reject(new Error('of an extension')); setTimeout(() => { throw new Error('of another'); });"
    )
    held: list[Route] = []
    page.page.route("**/pyodide.asm.wasm", lambda route: held.append(route))  # noqa: PLW0108 - it must be a function
    with page.page.expect_request("**/pyodide.asm.wasm"):
        page.page.goto(f"{console.address}?session=extension", wait_until="domcontentloaded")
    page.connect()
    held[0].continue_()
    page.expect_state("waiting")
    page.expect_problem("of an extension|of another")


def test_who_left_the_page_did_not_hang_up(console: Console, open_page: OpenPage) -> None:
    page = open_page(f"{console.address}?session=left&autoconnect", wait_for="waiting")
    page.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    page.expect_state("closed")
    expect(page.page.locator("#detail")).to_contain_text("You left this page")
    page.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.expect_state("waiting")
    page.page.locator("#hangup").click()
    expect(page.page.locator("#detail")).to_contain_text(re.compile("You hung up"))
    page.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.expect_state("closed")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 302, "headers": {"location": "https://login.example/"}}, "wants a log-in"),
        ({}, "WebSockets do not get through"),
    ],
)
def test_without_a_websocket_http_says_why(
    console: Console, open_page: OpenPage, answer: dict[str, Any], words: str
) -> None:
    page = open_page("about:blank", wait_for=None)
    page.context.add_init_script(DEAD_SOCKETS)
    if answer:
        page.page.route("**/healthz", lambda route: route.fulfill(**answer))
    page.page.goto(f"{console.address}?session=blocked&autoconnect")
    expect(page.page.locator("#detail")).to_contain_text(words)
    expect(page.page.locator("#headline")).to_have_text("Reaching the server")
    page.page.evaluate("globalThis.areBlocked = false")
    page.expect_state("waiting")
    page.excuse("WebSocket|nowhere")
