"""The proxies that `deploy/` has files for, with TLS, in front of a real server: two pages meet through them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Certificate, Console, OpenPage, StartConsole, wait_until
from tests.browser.proxies import NAMES, Proxy, proxy

Front = Callable[[Console], Proxy]


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "ice.toml"
    path.write_text('[access]\nproxies = ["127.0.0.1"]\n')
    return path


@pytest.fixture(params=NAMES)
def front(request: pytest.FixtureRequest, certificate: Certificate, tmp_path: Path) -> Iterator[Front]:
    """Put a proxy in front of a server."""
    running: list[Proxy] = []

    def start(console: Console) -> Proxy:
        folder = tmp_path / str(request.param)
        folder.mkdir()
        backend = console.address.removeprefix("http://").rstrip("/")
        one = proxy(str(request.param), backend=backend, certificate=certificate, folder=folder)
        running.append(one)
        one.start()
        return one

    yield start
    for one in running:
        one.stop()


def test_two_pages_meet_restart_ice_and_come_back_when_the_proxy_does(
    start_console: StartConsole, front: Front, open_page: OpenPage, configuration: Path
) -> None:
    console = start_console("--hsts", "--config", str(configuration), access="")
    proxy = front(console)
    root = f"https://127.0.0.1:{proxy.port}/"
    # The operator's address as it is printed, behind the proxy's; a guest's invitation, as the command prints it. One
    # is at the root, the other under a path whose slash was forgotten: it is the same session.
    first = open_page(f"{root}?session=front{console.operator_fragment}")
    second = open_page(f"{root}console?session=front#invite={console.run('invite', 'front').strip()}")
    expect(second.page).to_have_url(re.compile(r"/console/\?session=front$"))
    for page in (first, second):
        page.connect()
    for page in (first, second):
        page.expect_state("connected")
    for page, path in ((first, root), (second, root + "console/")):
        # The link to give away leads through the proxy, too.
        expect(page.page.locator("#link")).to_have_value(re.compile("^" + re.escape(path + "?")))

    logged = len(console.log)
    proxy.stop()
    wait_until(
        lambda: len(re.findall(r"(?:lost|left) \(close code", console.log[logged:])) >= 2, "both lose the server"
    )
    joined = console.log.count("joined")
    proxy.start()
    wait_until(lambda: console.log.count("joined") >= joined + 2, "both pages are back")
    first.page.locator("#restart-ice").click()  # this wants signaling
    for page in (first, second):
        page.expect_generation(1)
        page.expect_state("connected")
    first.send("through")
    second.expect_received(["through"])
    for page in (first, second):
        page.excuse("WebSocket|net::ERR|502|503")

    # Nobody is somebody else by what the client itself writes.
    headers = {
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "for=203.0.113.9;host=evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Invitation": console.operator_fragment.removeprefix("#invite="),
    }
    for path in (root, root + "console/"):
        assert first.context.request.get(f"{path}ice?session=front", headers=headers).status == 200
    assert "evil.example" not in console.log
    assert "203.0.113.9" not in console.log


def test_a_password_in_front_leaves_invitations_alone(
    start_console: StartConsole,
    certificate: Certificate,
    open_page: OpenPage,
    configuration: Path,
    tmp_path: Path,
) -> None:
    console = start_console("--config", str(configuration), access="")
    passwords = tmp_path / "passwords"
    passwords.write_text("anna:{PLAIN}front-door\n")
    one = proxy(
        "nginx",
        backend=console.address.removeprefix("http://").rstrip("/"),
        certificate=certificate,
        folder=tmp_path,
        more=f'auth_basic "Front door"; auth_basic_user_file {passwords};',
    )
    one.start()
    try:
        address = f"https://127.0.0.1:{one.port}/?session=front"
        anna = {"username": "anna", "password": "front-door"}
        page = open_page(address + console.operator_fragment, http_credentials=anna)
        page.connect()
        page.expect_state("waiting")
        assert page.context.request.get(f"https://127.0.0.1:{one.port}/healthz").status == 200
        assert page.context.browser
        stranger = page.context.browser.new_context(ignore_https_errors=True)
        assert stranger.request.get(address).status == 401
        stranger.close()
    finally:
        one.stop()


def test_of_a_proxy_that_is_not_named_the_page_says_what_to_do(
    start_console: StartConsole, certificate: Certificate, open_page: OpenPage, tmp_path: Path
) -> None:
    console = start_console(access="")
    backend = console.address.removeprefix("http://").rstrip("/")
    one = proxy("apache", backend=backend, certificate=certificate, folder=tmp_path)
    site = tmp_path / "apache.conf"  # by default Apache asks by the name of the server behind it
    site.write_text(site.read_text().replace("ProxyPreserveHost On", "ProxyPreserveHost Off"))
    one.start()
    try:
        origin = f"https://127.0.0.1:{one.port}"
        person = open_page(f"{origin}/?session=front{console.operator_fragment}")
        person.excuse("WebSocket|403")
        person.connect()
        rule = f"The page is of {origin}, and this server was asked as {backend}."
        expect(person.page.locator("#cause")).to_contain_text(rule)
        expect(person.page.locator("#cause")).to_contain_text("[access] proxies")
        person.page.locator("#check").click()
        expect(person.page.locator("#check-advice")).to_contain_text(rule)
        expect(person.page.locator("#check-sentence")).to_contain_text("does not know the address of this page")
        wait_until(lambda: rule in console.log, "the server says so, too")

        one.stop()
        site.write_text(
            site.read_text()
            .replace("ProxyPreserveHost Off", "ProxyPreserveHost On")
            .replace(" upgrade=websocket", " upgrade=none")
        )
        one.start()
        person.page.locator("#check-again").click()
        expect(person.page.locator("#check-sentence")).to_contain_text("your network lets no WebSocket through")
        expect(person.page.locator("#check-advice")).to_contain_text("Let WebSockets through")
    finally:
        one.stop()
