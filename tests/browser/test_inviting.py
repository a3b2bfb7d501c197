"""Inviting the other side: the link in the page works for a guest, and is told, shown, copied, shared and revoked."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, program, wait_until

LAN = "198.51.100.10"
"""The address that `.ci/isolated` gives to this network's one interface."""


@pytest.fixture
def console(start_console: StartConsole) -> Console:
    """Serve on every address, to invited people only, as whoever invites others does."""
    return start_console("--host", "0.0.0.0", access="")


def operator(console: Console, open_page: OpenPage, session: str = "demo", **options: object) -> Operator:
    return open_page(f"{console.address}?session={session}{console.operator_fragment}", **options)


def invite_link(page: Operator) -> str:
    expect(page.page.locator("#invite-link")).to_have_value(re.compile("#invite="))
    return page.page.locator("#invite-link").input_value()


def read_code(image: Locator, folder: Path) -> str:
    """Return what a scanner reads in the QR code, as the page shows it."""
    picture = folder / "code.png"
    image.screenshot(path=picture)
    command = [program("zbarimg"), "--quiet", "--raw", str(picture)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_link_that_an_operator_gives_away_lets_a_guest_in(
    console: Console, open_page: OpenPage, tmp_path: Path
) -> None:
    host = operator(console, open_page)
    expect(host.page.locator("#link")).to_have_value(re.compile("#invite="))
    host.page.locator("#invite").click()
    link = invite_link(host)
    expect(host.page.locator("#link")).to_have_value(link)  # there is one link
    assert link.startswith(f"http://{LAN}:"), "the page's own address leads to this machine only"
    expect(host.page.locator("#invite-notice")).to_contain_text("leads to this machine only")
    expect(host.page.locator("#invite-until")).to_contain_text(re.compile(r"\d"))
    code = host.page.locator("#invite-qr")
    expect(code).to_be_visible()
    assert read_code(code, tmp_path) == link
    host.page.keyboard.press("Escape")
    host.connect()
    host.expect_state("waiting")
    guest = open_page(link)
    guest.connect()
    for page in (host, guest):
        page.expect_state("connected")
    guest.page.locator("#invite").click()
    expect(guest.page.locator("#invite-until")).not_to_be_empty()
    expect(guest.page.locator("#invite-operators")).to_be_hidden()
    token = link.partition("#invite=")[2]
    wait_until(lambda: bool(console.entries("demo")), "the journal is written")
    assert token not in console.log
    assert token not in "".join(str(entry) for entry in console.entries("demo"))


def test_a_reload_gives_the_same_link_away(console: Console, open_page: OpenPage) -> None:
    host = operator(console, open_page)
    host.page.locator("#invite").click()
    link = invite_link(host)
    host.page.reload()
    host.expect_state("ready")
    expect(host.page.locator("#link")).to_have_value(link)


def test_another_name_has_a_link_of_its_own(console: Console, open_page: OpenPage) -> None:
    host = operator(console, open_page)
    host.page.locator("#session").fill("another")
    host.page.locator("#invite").click()
    expect(host.page.locator("#invite-session")).to_have_text("another")
    link = invite_link(host)
    assert "?session=another#" in link
    guest = open_page(link)
    guest.connect()
    guest.expect_state("waiting")


def test_invitations_are_named_listed_and_revoked(console: Console, open_page: OpenPage) -> None:
    host = operator(console, open_page)
    host.connect()
    host.expect_state("waiting")
    host.page.locator("#invite").click()
    first = invite_link(host)
    host.page.locator("#invite-name").fill("Bob")
    host.page.locator("#invite-ttl").select_option("3600")
    host.page.locator("#invite-issue").click()
    row = host.page.locator("#invitations li", has_text="Bob")
    expect(row).to_contain_text("demo")
    expect(host.page.locator("#invite-link")).not_to_have_value(first)
    # At this machine's own address, which is a secure context: only there is a camera.
    guest = open_page(f"{console.address}?{invite_link(host).partition('?')[2]}")
    guest.connect()
    for page in (host, guest):
        page.expect_state("connected")
    guest.use_camera()
    row.locator("button").click()
    guest.expect_state("connected")
    expect(row.locator("button")).to_have_text("Revoke now?")
    row.locator("button").click()
    guest.expect_state("failed")
    expect(guest.page.locator("#status")).to_contain_text("taken back")
    guest.expect_camera_released()
    expect(row).to_have_count(0)
    expect(host.page.locator("#invite-link")).to_have_value(re.compile("#invite="))
    again = open_page(invite_link(host))
    again.connect()
    again.expect_state("connected")


def test_the_link_is_copied_and_shared(console: Console, open_page: OpenPage) -> None:
    host = open_page("about:blank", wait_for=None)
    host.context.grant_permissions(["clipboard-read", "clipboard-write"])
    host.page.add_init_script("navigator.share = async (data) => { globalThis.shared = data.url; };")
    host.page.goto(f"{console.address}?session=demo{console.operator_fragment}")
    host.expect_state("ready")
    host.page.locator("#copy-link").click()
    expect(host.page.locator("#copy-link-label")).to_have_text("Copied")
    link = host.page.locator("#link").input_value()
    assert host.page.evaluate("navigator.clipboard.readText()") == link
    assert "#invite=" in link
    host.page.locator("#invite").click()
    host.page.locator("#invite-copy").click()
    expect(host.page.locator("#invite-copy-label")).to_have_text("Copied")
    host.page.locator("#invite-share").click()
    wait_until(lambda: host.page.evaluate("globalThis.shared") == link, "the system was handed the link")


def test_the_person_chooses_the_address(console: Console, open_page: OpenPage) -> None:
    host = operator(console, open_page)
    host.page.locator("#invite").click()
    invite_link(host)
    host.page.locator("#invite-address").select_option(console.address)
    expect(host.page.locator("#invite-link")).to_have_value(re.compile(f"^{re.escape(console.address)}"))
    expect(host.page.locator("#invite-notice")).to_contain_text("works on this machine only")


def test_a_server_of_this_machine_alone_says_so(start_console: StartConsole, open_page: OpenPage) -> None:
    host = open_page(f"{start_console().address}?session=demo")
    expect(host.page.locator("#link-notice")).to_contain_text("leads to this machine only")
    host.page.locator("#invite").click()
    expect(host.page.locator("#invite-notice")).to_contain_text("--host 0.0.0.0")
    expect(host.page.locator("#invite-note")).to_contain_text("lets in everybody")
    assert "invite" not in host.page.locator("#invite-link").input_value()


def test_a_server_that_issues_none_is_told_in_words(console: Console, open_page: OpenPage) -> None:
    host = open_page("about:blank", wait_for=None)
    host.page.route("**/invitations", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    host.page.goto(f"{console.address}?session=demo{console.operator_fragment}")
    host.expect_state("ready")
    host.page.locator("#invite").click()
    expect(host.page.locator("#invite-problem")).to_contain_text("There is no new invitation")
    assert host.page.locator("#invite-link").input_value() == ""
    host.expect_problem("502")
