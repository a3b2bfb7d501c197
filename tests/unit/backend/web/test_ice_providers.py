"""`GET /ice` with a provider: what a page gets of it, and what it never costs the page."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from backend.access.invitations import KEY_VARIABLE
from backend.web.keys import CHAIN, SIGNALING
from backend.web.server import Serving
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.journal import Journal, JournalEntry
from pyapp.protocol.signaling import PLACE_HEADER, HeldPlace, Join, Leave, Welcome, decode_server
from pyapp.protocol.wire import encode
from tests.unit.backend.conftest import operator

Start = Callable[..., Awaitable[Serving]]
TOKEN = "a-token-that-must-not-show"


class Cloudflare:
    """Answers as Cloudflare does."""

    def __init__(self) -> None:
        self.status = 201
        self.issued = 0
        self.revoked: asyncio.Queue[str] = asyncio.Queue()
        self.held: asyncio.Event | None = None

    async def handle(self, request: web.Request) -> web.Response:
        if self.held:
            await self.held.wait()
        if self.status != 201:
            return web.Response(status=self.status, text=f"<html>{TOKEN}")
        if request.path.endswith("/revoke"):
            self.revoked.put_nowait(request.path.split("/")[-2])
            return web.Response(status=204)
        self.issued += 1
        turn = {
            "urls": ["turn:t.example:3478?transport=udp", "turn:t.example:53", "turns:t.example:443?transport=tcp"],
            "username": f"user{self.issued}",
            "credential": "c",
        }
        answer = {"iceServers": [{"urls": ["stun:s.example:3478"]}, turn]}
        return web.Response(status=201, text=json.dumps(answer), content_type="application/json")


@pytest.fixture
async def cloudflare() -> Cloudflare:
    return Cloudflare()


@pytest.fixture
async def config(cloudflare: Cloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    monkeypatch.setenv("TOKEN", TOKEN)
    app = web.Application()
    app.router.add_post("/{path:.*}", cloudflare.handle)
    async with TestServer(app) as server:
        path = tmp_path / "ice.toml"
        url = str(server.make_url(""))
        path.write_text(
            f'[[provider]]\nkind = "cloudflare"\nkey_id = "k"\ntoken_env = "TOKEN"\nurl = "{url}"\n'
            "ttl = 600\ntimeout = 60\n"
        )
        yield path


async def ask(http: aiohttp.ClientSession, server: Serving, session: str) -> Any:
    async with http.get(f"{server.address}ice?session={session}") as response:
        assert response.status == 200
        return await response.json()


async def test_a_page_gets_what_the_provider_issued(
    start: Start, http: aiohttp.ClientSession, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = await start(config=config)
    body = await ask(http, server, "one")
    stun, turn = body["iceServers"]
    assert stun == {"urls": ["stun:s.example:3478"], "name": "cloudflare"}
    assert turn["urls"] == ["turn:t.example:3478?transport=udp", "turns:t.example:443?transport=tcp"]
    assert turn["credential"] == "c"
    assert 500 < body["lifetime"] <= 600
    assert (await ask(http, server, "one"))["iceServers"] == body["iceServers"]
    assert (await ask(http, server, "two"))["iceServers"][1]["username"] != turn["username"]
    assert "no page gets turn:t.example:53: browsers refuse port 53" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in str(body)


async def test_a_provider_that_is_down_costs_no_page_its_answer(
    start: Start, http: aiohttp.ClientSession, config: Path, cloudflare: Cloudflare
) -> None:
    cloudflare.status = 500
    with config.open("a", encoding="utf-8") as file:
        file.write('[[server]]\nurls = ["turn:own.example"]\nsecret = "s"\n')
    server = await start(config=config)
    [own] = (await ask(http, server, "one"))["iceServers"]
    assert own["urls"] == ["turn:own.example"]


async def test_what_is_of_no_use_is_in_readyz(
    start: Start, http: aiohttp.ClientSession, config: Path, cloudflare: Cloudflare
) -> None:
    cloudflare.status = 401
    server = await start(config=config)
    await ask(http, server, "one")
    watch = server.app[CHAIN].watch
    watch.health.keep(["turn:t.example"])
    for number in range(4):
        watch.health.heard(str(number), f"net{number}", "turn:t.example", answered=False, now=number)
    watch.health.review(10.0)
    async with http.get(f"{server.address}readyz") as response:
        assert response.status == 200
        body = await response.json()
    assert body == {
        "status": "ready",
        "left_out": {"turn:t.example": "no page had an answer"},
        "providers": {"cloudflare": "it answers with HTTP 401: the secret is refused"},
    }


async def test_what_pages_tell_of_their_gathering_is_heard(
    start: Start, http: aiohttp.ClientSession, config: Path
) -> None:
    server = await start(config=config)
    health = server.app[CHAIN].watch.health
    health.keep(["turn:t.example"])
    async with http.ws_connect(f"{server.address}ws") as socket:
        await socket.send_str(encode(Join(session="one", participant="a" * 32, key="b" * 32)))
        assert isinstance(decode_server(await socket.receive_str()), Welcome)
        entry = JournalEntry(
            1, 0.0, "candidate-local", {"type": "relay", "server": "turn:t.example:3478?transport=udp"}
        )
        await socket.send_str(encode(Journal((entry,))))
        await socket.receive_str()
    [known] = health._urls.values()
    assert known.answered_at > 0


async def test_what_a_session_was_given_is_revoked_when_it_has_ended(
    start: Start, http: aiohttp.ClientSession, config: Path, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.ice.providers.provider.REVOKED_AFTER", 0.0)
    server = await start(config=config)
    [_, turn] = (await ask(http, server, "one"))["iceServers"]
    async with http.ws_connect(f"{server.address}ws") as socket:
        await socket.send_str(encode(Join(session="one", participant="a" * 32, key="b" * 32)))
        assert isinstance(decode_server(await socket.receive_str()), Welcome)
        assert (await ask(http, server, "one"))["iceServers"][1] == turn
        assert cloudflare.revoked.empty()
        await socket.send_str(encode(Leave()))
        async with asyncio.timeout(60):
            assert await cloudflare.revoked.get() == turn["username"]


async def test_a_revoked_guests_credentials_are_revoked_at_once_and_the_operators_are_not(
    start: Start, http: aiohttp.ClientSession, config: Path, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 40)
    server = await start(config=config, open_to_all=False)
    host = operator(server)
    async with http.post(f"{server.address}invitations", headers=host, json={"session": "one"}) as response:
        issued = await response.json()
    guest, url = {INVITATION_HEADER: issued["invitation"]}, f"{server.address}ice?session=one"
    place = HeldPlace("one", "a" * 32, "b" * 32)

    async def user(headers: dict[str, str]) -> tuple[int, Any]:
        async with http.get(url, headers=headers) as response:
            body = await response.json()
            return response.status, body["iceServers"][1]["username"] if response.status == 200 else body["code"]

    mine, theirs = await user(host), await user(guest)
    assert mine != theirs
    async with http.ws_connect(f"{server.address}ws") as first, http.ws_connect(f"{server.address}ws") as socket:
        await first.send_str(encode(Join("one", "c" * 32, "d" * 32, host[INVITATION_HEADER])))
        assert isinstance(decode_server(await first.receive_str()), Welcome)
        await socket.send_str(encode(Join("one", place.participant, place.key, issued["invitation"])))
        assert isinstance(decode_server(await socket.receive_str()), Welcome)
        by_place = {PLACE_HEADER: place.to_header()}
        assert await user(by_place) == theirs
        async with http.delete(f"{server.address}invitations/{issued['id']}", headers=host) as response:
            assert response.status == 204
        assert not server.app[SIGNALING].holds(place)  # before the operator has the answer
        async with asyncio.timeout(60):
            assert await cloudflare.revoked.get() == theirs[1]
        assert (await user(guest))[0] == (await user(by_place))[0] == 401
        assert await user(host) == mine
    assert cloudflare.revoked.empty()
