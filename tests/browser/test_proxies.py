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


@pytest.mark.parametrize("path", ["/", "/console/"])
def test_two_pages_meet_restart_ice_and_come_back_when_the_proxy_does(
    start_console: StartConsole, front: Front, open_page: OpenPage, configuration: Path, path: str
) -> None:
    console = start_console("--hsts", "--config", str(configuration), access="")
    proxy = front(console)
    address = f"https://127.0.0.1:{proxy.port}{path}?session=front"
    # The operator's address as it is printed, behind the proxy's; a guest's invitation, as the command prints it.
    first = open_page(address + console.operator_fragment)
    second = open_page(f"{address}#invite={console.run('invite', 'front').strip()}")
    for page in (first, second):
        page.connect()
    for page in (first, second):
        page.expect_state("connected")
    link = second.page.locator("#link").input_value()
    assert link.startswith(address), "the link to give away leads through the proxy, too"

    first.page.locator("#restart-ice").click()
    for page in (first, second):
        page.expect_generation(1)
        page.expect_state("connected")

    joined = console.log.count("joined")
    proxy.stop()
    wait_until(
        lambda: len(re.findall(r"lost \(close code|left \(close code", console.log)) >= 2, "both lose the server"
    )
    proxy.start()
    wait_until(lambda: console.log.count("joined") >= joined + 2, "both pages are back")
    first.page.locator("#restart-ice").click()  # this wants signaling
    for page in (first, second):
        page.expect_generation(2)
        page.expect_state("connected")
    first.send("through")
    second.expect_received(["through"])
    for page in (first, second):
        page.take_problems("WebSocket|net::ERR|502|503")


def test_a_path_without_its_slash_leads_to_the_page(
    start_console: StartConsole, front: Front, open_page: OpenPage, configuration: Path
) -> None:
    console = start_console("--config", str(configuration))
    proxy = front(console)
    page = open_page(f"https://127.0.0.1:{proxy.port}/console?session=slash").page
    expect(page).to_have_url(re.compile(r"/console/\?session=slash$"))


def test_nobody_is_somebody_else_by_what_the_client_writes(
    start_console: StartConsole, front: Front, open_page: OpenPage, configuration: Path
) -> None:
    console = start_console("--config", str(configuration))
    proxy = front(console)
    page = open_page(f"https://127.0.0.1:{proxy.port}/console/").page
    status = page.evaluate(
        """async () => {
          const headers = { "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9;host=evil.example",
                            "X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "1" };
          return (await fetch("ice?session=demo", { headers })).status;
        }"""
    )
    assert status == 200
    assert "evil.example" not in console.log
    assert "203.0.113.9" not in console.log
