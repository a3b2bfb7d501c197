"""Firefox and Chromium connect, and both can restart ICE, though Firefox made the first offer (its DTLS role trap)."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import Console, OpenPage, program


@pytest.fixture(scope="session")
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """Start Debian's Firefox, over WebDriver BiDi."""
    preferences: dict[str, str | float | bool] = {
        "media.navigator.streams.fake": True,
        "media.navigator.permission.disabled": True,
    }
    browser = playwright.firefox.launch(
        channel="moz-firefox", executable_path=program("firefox-esr"), firefox_user_prefs=preferences
    )
    yield browser
    browser.close()


def test_both_restart_ice_after_firefox_made_the_first_offer(
    console: Console, open_page: OpenPage, firefox: Browser
) -> None:
    address = f"{console.address}?session=firefox"
    first = open_page(address, by=firefox)
    first.connect()
    first.expect_state("waiting")
    second = open_page(address)
    second.connect()
    for operator in (first, second):
        operator.expect_state("connected")
    received: dict[bool, list[str]] = {True: [], False: []}
    for generation, restarting in enumerate((first, second), start=1):
        restarting.page.locator("#restart-ice").click()
        for operator in (first, second):
            operator.expect_generation(generation)
            operator.expect_state("connected")
        # Firefox is silent for half a second at each restart: the next one begins when this one has been got over.
        for operator, other in ((first, second), (second, first)):
            operator.send(f"generation {generation}")
            received[other is first].append(f"generation {generation}")
            other.expect_received(received[other is first])
    first.page.locator("#camera").click()
    expect(second.page.locator("#remote-video")).to_be_visible()
