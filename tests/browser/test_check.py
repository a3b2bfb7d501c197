"""The check of the network, as a person uses it with the keyboard: begun, watched, stopped, read, copied."""

from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.conftest import (
    Certificate,
    Console,
    OpenPage,
    Operator,
    StartConsole,
    TurnServer,
    running_turn_server,
    wait_until,
)
from tests.browser.test_access import LAN
from tests.browser.test_accessibility import expect_accessible
from tests.browser.test_firefox import firefox

__all__ = ["firefox"]


def _configuration(folder: Path, servers: Iterable[tuple[list[str], str]]) -> Path:
    """Write one with these URLs and secrets, of which the console itself asks none."""
    path = folder / "ice.toml"
    path.write_text(
        "checks = false\n"
        + "".join(f'[[server]]\nurls = {urls}\nsecret = "{secret}"\n' for urls, secret in servers).replace("'", '"')
    )
    return path


def test_a_check_is_begun_stopped_read_and_copied(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    first, second = ([turn_server.url(way, host) for way in ("udp", "tls")] for host in ("127.0.0.1", "127.0.0.2"))
    dead = "turn:127.0.0.3:3479?transport=tcp"
    servers = ((first, turn_server.secret), (second, "wrong"), ([dead], turn_server.secret))
    console = start_console("--turn", "off", "--config", str(_configuration(tmp_path, servers)))
    person = open_page(f"{console.address}?check", permissions=["clipboard-read", "clipboard-write"])
    page = person.page
    panel, sentence = page.locator("#check-panel"), page.locator("#check-sentence")
    expect(panel).to_be_visible()
    expect(page.locator("#check-servers > li")).to_have_count(5)
    wait_until(lambda: turn_server.allocations().made > 0, "the check has relays")
    page.locator("#check-stop").press("Enter")
    expect(panel).to_have_attribute("data-check", "stopped")
    expect(sentence).to_have_text("The check was stopped.")
    wait_until(lambda: turn_server.allocations().held == 0, "no relay is left by a stopped check")

    expect(sentence).to_be_focused()  # the button that had the focus is gone
    page.locator("#check-again").press("Enter")
    expect(panel).to_have_attribute("data-check", "done")
    expect(sentence).to_have_text("It will work from here, but not every server does.")
    advice = page.locator("#check-advice > li")
    expect(advice).to_have_count(2)
    expect(advice.first).to_contain_text("Whoever runs this console")
    expect(advice.nth(1)).to_contain_text("refuses the user name or password (401)")
    expect(page.locator("#check-servers > li[data-state='good']")).to_have_count(2)
    expect(page.locator("#check-servers")).to_contain_text("ICE restart")
    identifier = page.locator("#check-id")
    expect(identifier).not_to_be_empty()
    kept = page.request.get(f"{console.address}checks/{identifier.inner_text()}").json()
    assert kept["report"]["verdict"] == "works-mostly"
    assert kept["report"]["took"] > 0
    page.locator("#check-copy").press("Enter")
    expect(page.locator("#check-copy-label")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert identifier.inner_text() in copied
    assert "401 Unauthorized" in copied
    assert turn_server.secret not in copied
    expect_accessible(person, picture="check")

    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    wait_until(lambda: turn_server.allocations().held == 0, "no relay is left")

    _check_what_has_gone(person, console, turn_server, tmp_path)


def _check_what_has_gone(person: Operator, console: Console, turn_server: TurnServer, folder: Path) -> None:
    """Check without the console's server, without a network, and with a console that has no relay any more."""
    page, sentence = person.page, person.page.locator("#check-sentence")
    person.excuse("ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED")
    console.stop()
    page.locator("#check").click()
    expect(sentence).to_have_text("The server of this console does not answer, so nothing could be checked.")
    person.context.set_offline(True)
    page.locator("#check-again").click()
    expect(sentence).to_have_text("This device is offline, so nothing could be checked.")
    person.context.set_offline(False)
    (folder / "ice.toml").write_text(f'[[server]]\nurls = ["stun:127.0.0.1:{turn_server.port}"]\n')
    console.start()
    page.locator("#check-again").click()
    expect(sentence).to_contain_text("there is no relay for networks that do not allow them")
    expect(page.locator("#check-advice > li")).to_contain_text(["Add a TURN server to the configuration"])


def test_a_server_that_hangs_after_its_first_answer_is_not_the_networks_fault(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    console = start_console("--config", str(_configuration(tmp_path, [([turn_server.url("udp")], turn_server.secret)])))
    page = open_page(console.address).page
    answer = page.request.get(f"{console.address}ice?check").text()
    page.route("**/ice?check*", lambda route: route.fulfill(body=answer, content_type="application/json"))
    with console.hanging():
        page.locator("#check").click()
        expect(page.locator("#check-panel")).to_have_attribute("data-check", "done")
        sentence = "The server of this console stopped answering during the check."
        expect(page.locator("#check-sentence")).to_have_text(sentence)
        expect(page.locator("#check-advice > li")).to_contain_text(["Whoever runs this console"])
        expect(page.locator("#check-facts")).not_to_contain_text("do not work")


def test_firefox_claims_no_more_than_it_can_tell(
    start_console: StartConsole, open_page: OpenPage, firefox: Browser, certificate: Certificate, tmp_path: Path
) -> None:
    with running_turn_server(certificate, LAN) as server:
        udp, tcp, tls = (server.url(way) for way in ("udp", "tcp", "tls"))
        servers = [([udp], server.secret), ([tcp], "wrong"), ([tls, "turn:127.0.0.1:3478"], server.secret)]
        console = start_console("--config", str(_configuration(tmp_path, servers)))
        page = open_page(f"{console.address}?check", by=firefox).page
        expect(page.locator("#check-panel")).to_have_attribute("data-check", "done")
        expect(page.locator("#check-sentence")).to_have_text("It will work from here, but not every server does.")
        found = page.locator("#check-servers > li")
        expect(found).to_contain_text(
            ["ICE restart", "refuses the user name or password (401)", "was refused by the browser", "is not asked by"]
        )
        advice = page.locator("#check-advice > li", has_text="This browser asks no server at 127.0.0.1")
        expect(advice).to_contain_text("Open the console at another address of this machine, or in another browser.")
        expect(page.locator("#check-facts")).to_contain_text("gets out")
