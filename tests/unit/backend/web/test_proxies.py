"""Behind a proxy: origins, addresses, single sign-on, limits."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from backend.settings import StartError
from backend.web.keys import SIGNALING
from backend.web.server import Serving

Start = Callable[..., Awaitable[Serving]]
PROXIED = '[access]\nproxies = ["127.0.0.1"]\n'


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "ice.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


async def test_the_page_of_another_host_is_served_if_our_proxy_says_so(
    start: Start, http: aiohttp.ClientSession, configured: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Origin": "https://a.example:8443", "X-Forwarded-Host": "a.example", "X-Forwarded-Port": "8443"}
    for text, status in ((PROXIED, 200), ("", 403), ('[access]\nproxies = ["10.0.0.0/8"]', 403)):
        server = await start(config=configured(text))
        async with http.get(server.address + "ice", headers=headers) as response:
            assert response.status == status
            said = (await response.json()).get("message", "")
        if status == 403:
            for part in ("https://a.example:8443", f"127.0.0.1:{server.port}", "[access] proxies", "[access] origins"):
                assert part in said
            assert said in caplog.text
    server = await start(config=configured('[access]\norigins = ["https://A.example:8443"]'))
    async with http.get(server.address + "ice", headers=headers) as response:
        assert response.status == 200
    socket = await http.ws_connect(server.address + "ws", headers=headers)
    await socket.close()


async def test_a_proxy_that_is_named_but_leaves_the_port_out_is_told_what_to_send(
    start: Start, http: aiohttp.ClientSession, configured: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    server = await start(config=configured(PROXIED))
    headers = {"Origin": "https://a.example:8443", "Host": "a.example"}  # nginx's $host
    async with http.get(server.address + "ice", headers=headers) as response:
        assert response.status == 403
        said = (await response.json())["message"]
    assert "https://a.example:8443, and this server was asked as a.example. Have the proxy 127.0.0.1 send" in said
    assert "[access] origins" in said
    assert "[access] proxies" not in said  # it is there
    assert said in caplog.text


async def test_a_path_that_the_proxy_has_not_taken_off_is_explained(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    for path in ("console/", "console/ice", "/healthz"):
        async with http.get(server.address + path) as response:
            assert response.status == 404
            assert "must take that path off" in await response.text()
    async with http.get(server.address + "place") as response:
        assert response.status == 405


async def test_a_proxy_that_drops_the_upgrade_is_in_the_log(
    start: Start, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start()
    async with http.get(server.address + "ws") as response:
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")
    assert "proxy_set_header Upgrade $http_upgrade" in caplog.text


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://console.example:443", "https://console.example"),
        ("http://console.example:80", "http://console.example"),
        ("https://console.example:080", "https://console.example:80"),
        ("HTTPS://Console.example", "https://console.example"),
        ("https://[2001:DB8:0::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
async def test_an_origin_is_compared_as_browsers_write_it(
    start: Start, http: aiohttp.ClientSession, configured: Callable[[str], Path], written: str, sent: str
) -> None:
    server = await start(config=configured(f'[access]\norigins = ["{written}"]'))
    async with http.get(server.address + "ice", headers={"Origin": sent}) as response:
        assert response.status == 200


async def test_the_client_and_not_the_proxy_is_counted_and_logged(
    start: Start, http: aiohttp.ClientSession, configured: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = await start(config=configured(PROXIED + "[limits]\nsockets_per_address = 1\n"))
    for number in (1, 2, 3):
        socket = await http.ws_connect(server.address + "ws", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        await socket.send_str('{"kind":"ping","number":1}')
        assert json.loads(await socket.receive_str(timeout=30)) == {"kind": "pong", "number": 1}
    async with http.get(server.address + "ws", headers={"X-Forwarded-For": "203.0.113.3"}) as response:
        assert response.status == 503
    assert "GET /ws 203.0.113.3" in caplog.text


async def test_whoever_comes_by_single_sign_on_is_an_operator(
    start: Start,
    http: aiohttp.ClientSession,
    configured: Callable[[str], Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = PROXIED + 'identity_header = "X-Forwarded-Email"\n'
    server = await start(open_to_all=False, config=configured(text))
    who = {"X-Forwarded-Email": "ada@example.org"}
    async with http.post(server.address + "invitations", headers=who, json={"session": "demo"}) as response:
        assert response.status == 201
    async with http.post(server.address + "invitations", json={"session": "demo"}) as response:
        assert response.status == 401
    invited = json.loads((tmp_path / "journal" / "audit.log").read_text().splitlines()[0])
    assert (invited["event"], invited["by"]) == ("invited", "ada@example.org")
    twice = [("X-Forwarded-Email", name) for name in ("eve@example.org", "ada@example.org")]
    async with http.post(server.address + "invitations", headers=twice, json={"session": "demo"}) as response:
        assert response.status == 401
    assert "X-Forwarded-Email came from the proxy 127.0.0.1 more than once" in caplog.text
    assert "eve@example.org" not in caplog.text
    text = text.replace("127.0.0.1", "10.0.0.1")
    other = await start(open_to_all=False, config=configured(text), journal=tmp_path / "other")
    async with http.get(other.address + "ice", headers=who) as response:
        assert response.status == 401


async def test_limits_can_be_set(start: Start, configured: Callable[[str], Path]) -> None:
    server = await start(config=configured("[limits]\nsessions_per_address = 7\nheartbeat = 5\n"))
    limits = server.app[SIGNALING].limits
    assert (limits.sessions_per_address, limits.heartbeat, limits.kept_frames) == (7, 5, 256)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("access = 1", "'access' must be written as"),
        ("[access]\nproxy = []", "unknown key 'proxy'; known are proxies"),
        ('[access]\nproxies = "10.0.0.1"', "proxies: must be a list of texts"),
        ('[access]\nproxies = ["10.0.0.1/8"]', "proxies: '10.0.0.1/8' is no address and no network"),
        ('[access]\norigins = ["console.example"]', "origins: 'console.example' is no origin"),
        ('[access]\norigins = ["https://console.example/"]', "is no origin"),
        ('[access]\norigins = ["https://[::1"]', "is no origin"),
        ('[access]\norigins = ["https://[::1::2]"]', "is no origin"),
        ('[access]\norigins = ["https://*.example.org"]', "is no origin"),
        ('[access]\norigins = ["https://bücher.example"]', "is no origin"),
        ('[access]\norigins = ["https://ada@console.example"]', "is no origin"),
        ('[access]\nproxies = []\nidentity_header = "X-User"', "believed only from .* proxies, and there are none"),
        ('[access]\nidentity_header = "X-User"', "believed only from .* proxies, and there are none"),
        ("[access]\nidentity_header = 1", "identity_header: must be text"),
        ("[limits]\nsocket = 1", "unknown key 'socket'"),
        ("[limits]\nsockets = 1.5", "sockets: must be a whole number above 0"),
        ("[limits]\nsockets = true", "sockets: must be a whole number above 0"),
        ("[limits]\nheartbeat = 0", "heartbeat: must be a number above 0"),
    ],
)
async def test_a_mistake_is_one_line(start: Start, configured: Callable[[str], Path], text: str, rule: str) -> None:
    with pytest.raises(StartError, match=rule) as raised:
        await start(config=configured(text))
    assert "ice.toml: " in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_all_mistakes_are_told_at_once(start: Start, configured: Callable[[str], Path]) -> None:
    text = (
        '[access]\nproxy = 1\nproxies = ["x", "10.0.0.1/8"]\norigins = ["y"]\nidentity_header = 1\n'
        "[limits]\nsocket = 1\nsockets = 0\nheartbeat = 0\n"
    )
    with pytest.raises(StartError) as raised:
        await start(config=configured(text))
    lines = str(raised.value).splitlines()
    named = ["'proxy'", "'x'", "'10.0.0.1/8'", "'y'", "identity_header", "'socket'", "sockets", "heartbeat"]
    assert len(lines) == len(named)
    for line, name in zip(lines, named, strict=True):
        assert name in line
        assert "ice.toml: " in line
