"""The budget at the real server: what pages are told, and what `GET /ice` and `GET /sessions` answer then."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.web.keys import ACCOUNTS
from backend.web.server import Serving
from pyapp.protocol.journal import Journal, JournalEntry
from pyapp.protocol.signaling import Cost, Join, ServerMessage, Welcome, decode_server
from pyapp.protocol.wire import Scalar, encode

A, B = "a" * 32, "b" * 32
URL = "turn:turn.example:3478?transport=udp"

Start = Callable[..., Awaitable[Serving]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def configuration(folder: Path, scope: str) -> Path:
    config = folder / "ice.toml"
    config.write_text(
        f'checks = false\n[budget]\n{scope}_gb = 0.001\nvideo = 200\nsessions = ["named"]\ncurrency = "EUR"\n'
        f'[[server]]\nurls = ["{URL}"]\nusername = "u"\ncredential = "c"\nprice_per_gb = 50\n'
    )
    return config


@pytest.fixture
async def server(start: Start, tmp_path: Path) -> Serving:
    return await start(config=configuration(tmp_path, "session"))


def carried(number: int, count: int) -> str:
    told: dict[str, Scalar] = {"local_type": "relay", "server": URL, "pair": "P", "ufrag": "u", "relayed": count}
    return encode(Journal((JournalEntry(number, 1.0, "sample", told),)))


async def receive(socket: aiohttp.ClientWebSocketResponse) -> ServerMessage:
    return decode_server(await socket.receive_str(timeout=30))


async def costs(socket: aiohttp.ClientWebSocketResponse, *counts: int) -> list[Cost]:
    """Have a page report what its relay has carried, and return what it is told each time."""
    found: list[Cost] = []
    for number, count in enumerate(counts, start=1):
        await socket.send_str(carried(number, count))
        while not (isinstance(message := await receive(socket), Cost) and message.session_bytes == count):
            pass
        found.append(message)
    return found


async def joined(http: aiohttp.ClientSession, server: Serving, session: str) -> aiohttp.ClientWebSocketResponse:
    socket = await http.ws_connect(f"{server.address}ws")
    await socket.send_str(encode(Join(session, A, A)))
    assert isinstance(await receive(socket), Welcome)
    return socket


async def answer(http: aiohttp.ClientSession, address: str) -> Any:
    async with http.get(address) as response:
        return json.loads(await response.text())


@pytest.mark.parametrize(("session", "last"), [("demo", "stop"), ("named", "direct")])
async def test_the_steps_come_as_the_session_relays(
    http: aiohttp.ClientSession, server: Serving, session: str, last: str
) -> None:
    socket = await joined(http, server, session)
    told = await costs(socket, 100_000, 700_000, 850_000, 950_000, 1_200_000)
    assert [one.step for one in told] == ["", "warn", "lower", "direct", last]
    assert told[-1] == Cost(last, "session", 1.2, 200, 1_200_000, 1_200_000, 0.06, 0.06, told[-1].expected, "EUR")
    ice = await answer(http, f"{server.address}ice?session={session}")
    urls = [url for one in ice["iceServers"] for url in one["urls"]]
    assert urls == (["stun:turn.example:3478"] if last == "stop" else [URL])
    assert ice["relayVideo"] == 200
    other = await answer(http, f"{server.address}ice?session=other")
    assert [url for one in other["iceServers"] for url in one["urls"]] == [URL]
    found = await answer(http, f"{server.address}sessions")
    assert (found["sessions"][0]["cost"], found["relayed"]["cost"], found["relayed"]["currency"]) == (0.06, 0.06, "EUR")
    await socket.close()


async def test_another_month_has_another_budget(
    http: aiohttp.ClientSession, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.cost.telling.ANOTHER_DAY_WITHIN", 0.01)
    server = await start(config=configuration(tmp_path, "month"))
    socket = await joined(http, server, "demo")
    [told] = await costs(socket, 1_200_000)
    assert (told.step, told.scope) == ("stop", "month")
    server.app[ACCOUNTS].now = lambda: time.time() + 32 * 86400
    while not (isinstance(message := await receive(socket), Cost) and not message.step):
        pass
    assert message.month_bytes == 0
    await socket.close()


async def test_whoever_comes_later_is_told_as_well(http: aiohttp.ClientSession, server: Serving) -> None:
    first = await joined(http, server, "demo")
    await costs(first, 850_000)
    second = await http.ws_connect(f"{server.address}ws")
    await second.send_str(encode(Join("demo", B, B)))
    welcome, cost = [await receive(second) for _ in range(2)]
    assert isinstance(welcome, Welcome)
    assert isinstance(cost, Cost)
    assert (cost.step, cost.video) == ("lower", 200)
    for socket in (first, second):
        await socket.close()
