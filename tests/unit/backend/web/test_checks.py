"""`GET /ice?check`, `POST /checks` and `GET /checks/ID`."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from backend.access.invitations import KEY_VARIABLE, new_invitation, sign
from backend.ice.health import Check
from backend.ice.nearest import FEWEST
from backend.web.keys import CHAIN
from backend.web.server import Serving
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.check import MAX_REPORT_BYTES, MOST_CHECKED, check_servers_from_json
from pyapp.protocol.ice import IceError

Start = Callable[..., Awaitable[Serving]]
REPORT = {"verdict": "works", "urls": [{"url": "turn:one.example", "errors": [{"code": 701}]}]}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 40)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return "k" * 40


def invited(session: str) -> dict[str, str]:
    return {INVITATION_HEADER: sign(new_invitation(session, ttl=600.0, now=2e9 - 500), key="k" * 40)}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "ice.toml"
    urls = [f"turn:one.example:{port}" for port in range(3000, 3006)]
    more = [f"stun:two.example:{port}" for port in range(4000, 4040)]
    path.write_text(
        f'[[server]]\nname = "eu"\nurls = {json.dumps(urls)}\nsecret = "shared-secret"\n'
        f"[[server]]\nurls = {json.dumps(more)}\n"
    )
    return path


async def test_a_check_gets_every_url_and_what_the_server_saw_there(
    start: Start, http: aiohttp.ClientSession, many: Path
) -> None:
    server = await start(config=many)
    health = server.app[CHAIN].watch.health
    for url, problem in (("turn:one.example:3000", ""), ("turn:one.example:3001", "no answer")):
        health.checked(url, Check(problem), 1.0)
    async with http.get(server.address + "ice?check&session=demo") as response:
        body = await response.json()
        assert response.headers["Cache-Control"] == "no-store"
    servers = check_servers_from_json(body)
    urls = [url for one in servers.configuration.servers for url in one.urls]
    assert len(urls) == MOST_CHECKED
    assert urls[:6] == [f"turn:one.example:{port}" for port in range(3000, 3006)]
    assert servers.seen == {"turn:one.example:3000": "", "turn:one.example:3001": "no answer"}
    assert servers.configuration.servers[0].username.endswith(":demo")
    assert "shared-secret" not in json.dumps(body)
    async with http.get(server.address + "ice?session=demo") as response:
        assert len([url for one in (await response.json())["iceServers"] for url in one["urls"]]) == 4


async def test_its_times_say_which_server_is_near(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    server.app[CHAIN].watch.health.keep(["turn:near.example"])
    for _ in range(FEWEST):
        report = REPORT | {"urls": [{"url": "turn:near.example:3478?transport=udp", "answered": 31.5}]}
        async with http.post(server.address + "checks?session=demo", json=report) as response:
            assert response.status == 201
    nearest = server.app[CHAIN].watch.nearest
    assert nearest.order("127.0.0.0/24", ["far.example", "near.example"], {"far.example": 0.2}.get) == [
        "near.example",
        "far.example",
    ]


async def test_a_check_wants_an_invitation(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start(open_to_all=False)
    async with http.get(server.address + "ice?check") as response:
        assert response.status == 401
    async with http.post(server.address + "checks", json=REPORT) as response:
        assert response.status == 401


async def test_a_report_is_kept_for_operators(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    async with http.post(server.address + "checks?session=demo", json=REPORT, headers={"User-Agent": "B"}) as response:
        assert response.status == 201
        identifier = (await response.json())["id"]
    async with http.get(f"{server.address}checks/{identifier.upper()}") as response:
        found = await response.json()
        assert response.status == 200
    assert found["report"] == REPORT | {"browser": "B"}
    assert (found["id"], found["session"]) == (identifier, "demo")
    async with http.get(f"{server.address}checks/nothing") as response:
        assert response.status == 404


async def test_a_guest_reads_no_reports(
    start: Start, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(open_to_all=False)
    monkeypatch.setattr("time.time", lambda: 2e9)
    guest = invited("demo")
    async with http.post(server.address + "checks?session=demo", json=REPORT, headers=guest) as response:
        assert response.status == 201
        identifier = (await response.json())["id"]
    async with http.post(server.address + "checks?session=other", json=REPORT, headers=guest) as response:
        assert response.status == 401
    async with http.get(f"{server.address}checks/{identifier}", headers=guest) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"verdict": 1}',
        b'{"verdict": "works", "urls": [[[[[[[[[]]]]]]]]]}',
        b'{"verdict": "works", "urls": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"verdict": "works", "took": NaN}',
        b'{"verdict": "' + b"x" * MAX_REPORT_BYTES + b'"}',
    ],
    ids=["empty", "text", "list", "no verdict", "number", "deep", "deeper", "NaN", "long"],
)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["whole", "chunked"])
async def test_what_is_no_report_is_refused(
    start: Start, http: aiohttp.ClientSession, body: bytes, is_chunked: bool
) -> None:
    server = await start()

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    async with http.post(server.address + "checks", data=chunks() if is_chunked else body) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "malformed"


async def test_an_address_sends_so_many_reports_and_no_more(
    start: Start, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    config = tmp_path / "ice.toml"
    config.write_text("[limits]\ncheck_burst = 2\nchecks_per_minute = 0.5\n")
    server = await start(config=config)
    for status in (201, 201, 429):
        async with http.post(server.address + "checks", json=REPORT) as response:
            assert response.status == status
    async with http.post(server.address + "checks", json=REPORT) as response:
        assert (await response.json())["limit"] == "checks-per-minute"
        assert response.headers["Retry-After"] == "120"


async def test_another_site_may_send_none(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    foreign = {"Origin": "https://elsewhere.example"}
    async with http.post(server.address + "checks", json=REPORT, headers=foreign) as response:
        assert response.status == 403


@pytest.mark.parametrize("seen", [[], {"turn:one.example": 1}])
def test_what_a_server_saw_is_texts(seen: object) -> None:
    with pytest.raises(IceError):
        check_servers_from_json({"iceServers": [], "seen": seen})
