"""One tab a person; coming back by every way that browsers offer; invitations that come while the page is open."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, OpenPage, Operator
from tests.browser.test_access import invite, lan_console

__all__ = ["lan_console"]


def another_tab(operator: Operator, address: str) -> Operator:
    """Open another tab in the browser of `operator`."""
    page = operator.context.new_page()
    page.on("pageerror", lambda error: operator.problems.append(f"page error: {error}"))
    page.goto(address)
    return Operator(page, operator.context, operator.problems, operator.excused)


def expect_offer(operator: Operator) -> None:
    expect(operator.page.locator("#headline")).to_have_text("Open in another tab")
    expect(operator.page.locator("#lobby h2:visible")).to_have_text(["Open in another tab"])
    expect(operator.page.locator("#connect")).to_have_text("Use it here")
    expect(operator.page.locator("#connect")).to_be_enabled()


def test_one_session_is_used_in_one_tab_of_a_browser(console: Console, open_page: OpenPage) -> None:
    address = f"{console.address}?session=tabs"
    peer = open_page(f"{address}&autoconnect", wait_for="waiting")
    first = open_page(f"{address}&autoconnect", wait_for="connected")
    second = another_tab(first, f"{address}&autoconnect")
    expect_offer(second)
    second.expect_state("ready")
    first.use_camera()
    second.connect()
    second.expect_state("connected")
    expect_offer(first)
    first.expect_state("closed")
    first.expect_camera_released()
    peer.send("to the same person")
    second.expect_received(["to the same person"])
    expect(peer.page.locator("#happenings .back")).to_have_count(1)
    expect(peer.page.locator("#happenings .other")).to_have_count(0)
    # The tab that has it is gone without a word: nothing of it is left in the way.
    second.page.close(run_before_unload=False)
    first.connect()
    first.expect_state("connected")
    # A page that the browser froze looks for its network anew.
    first.page.evaluate("document.dispatchEvent(new Event('resume'))")
    first.page.locator("#diagnostics > summary").click()
    expect(first.page.get_by_text("network change", exact=True).first).to_be_visible()


def test_who_comes_back_is_in_the_session_again(console: Console, open_page: OpenPage) -> None:
    address = f"{console.address}?session=back"
    page = open_page(address)
    page.page.reload()
    page.expect_state("ready")  # nothing was active
    page.connect()
    page.expect_state("waiting")
    page.page.reload()
    page.expect_state("waiting")
    page.page.goto("about:blank")
    page.page.go_back()
    page.expect_state("waiting")
    # A tab that the browser discarded, and loads again when it is looked at.
    page.page.goto("about:blank")
    page.context.add_init_script("Object.defineProperty(document, 'wasDiscarded', { value: true })")
    page.page.goto(address)
    page.expect_state("waiting")
    page.page.locator("#hangup").click()
    page.expect_state("closed")
    page.page.reload()
    page.expect_state("ready")


def open_link(page: Page, fragment: str) -> None:
    page.evaluate("(fragment) => { location.hash = fragment; }", fragment)


def test_an_invitation_is_taken_while_the_page_is_open(lan_console: Console, open_page: OpenPage) -> None:
    address = f"{lan_console.address}?session=later"
    page = open_page(address)
    page.connect()
    page.expect_state("failed")
    page.expect_problem("401")
    open_link(page.page, f"#invite={invite(lan_console, 'later')}")
    page.expect_state("waiting")
    expect(page.page).to_have_url(address)
    page.page.reload()
    page.expect_state("waiting")
    # A tab beside it, which has no invitation itself, checks the network with this one's.
    other = another_tab(page, f"{address}&check")
    expect(other.page.locator("#check-panel")).to_have_attribute("data-check", "done")
    expect(other.page.locator("#check-servers > li").first).to_be_visible()
    expect(other.page.locator("#check-id")).not_to_be_empty()


@pytest.mark.parametrize("fragment", ["#invite=cut.off", f"#invite={'x' * 5000}", "#invite=%C3%A9%20%F0%9F%98%80"])
def test_a_broken_invitation_is_said_at_once(console: Console, open_page: OpenPage, fragment: str) -> None:
    page = open_page(f"{console.address}?session=broken{fragment}")
    expect(page.page.locator("#headline")).to_have_text("This invitation is not valid")
    expect(page.page).to_have_url(f"{console.address}?session=broken")
    page.connect()
    page.expect_state("waiting")  # this server asks for none


def test_a_name_that_is_none_is_said_at_once(console: Console, open_page: OpenPage) -> None:
    page = open_page(f"{console.address}?session={'x' * 300}")
    expect(page.page.locator("#session-problem")).to_contain_text(re.compile("1 to 64"))
    page.page.locator("#session").fill("short")
    expect(page.page.locator("#session-problem")).to_be_hidden()
