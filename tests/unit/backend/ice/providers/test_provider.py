"""What a provider issued: kept, renewed, shared when it is down, revoked; on a clock that tests move."""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from backend.ice.providers import provider as module
from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.providers.provider import REVOKED_AFTER, SHORTEST_LIFE, Holder, Provider
from backend.ice.shapes import Named, NamedServer
from tests.unit.backend.ice.providers.conftest import SECRET, Asked, Fake

StartFake = Callable[[Fake], Awaitable[Fake]]
UDP = "turn:t.example:3478?transport=udp"


@dataclass(slots=True)
class Rig:
    """A provider, what it talks to, and what it takes for the time and for sessions with somebody in them."""

    fake: Fake
    provider: Provider
    now: list[float]
    live: set[str]
    issued: int = 0
    revoked: list[str] = field(default_factory=list)
    status: int = 201
    ttl: Any = None

    def reply(self, asked: Asked) -> web.Response:
        if self.status != 201:
            return web.Response(status=self.status, text=f"<html>{SECRET}")
        if asked.path.endswith("/revoke"):
            self.revoked.append(asked.path.split("/")[-2])
            return web.Response(status=204)
        self.issued += 1
        entry = {"urls": [UDP], "username": f"user{self.issued}", "credential": "c"}
        answer = {"iceServers": [entry]} | ({} if self.ttl is None else {"ttl": self.ttl})
        return web.Response(status=201, text=json.dumps(answer))

    async def users(self, session: str, invitation: str = "") -> list[str]:
        return [server.username for server in await self.provider.servers(Holder(session, invitation))]

    async def later(self, seconds: float) -> None:
        self.now[0] += seconds
        await self.provider.tend()

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while tasks := [task for task in (self.provider._asking, *self.provider._ending) if task and not task.done()]:
            await asyncio.wait(tasks)


@pytest.fixture
async def rig(start_fake: StartFake, http: aiohttp.ClientSession) -> AsyncIterator[Callable[..., Awaitable[Rig]]]:
    rigs: list[Rig] = []

    async def made(kind: str = "cloudflare", ttl: int = 1000, **changes: Any) -> Rig:
        fake = await start_fake(Fake())
        values = {"key_id": "k"}
        given: dict[str, Any] = {"kind": kind, "name": "one", "ttl": ttl, "url": fake.url, "secret": SECRET} | changes
        configured = ConfiguredProvider(values=values, timeout=60, **given)
        now, live = [5000.0], set[str]()
        provider = Provider(configured, http, is_live=lambda holder: holder.session in live, clock=lambda: now[0])
        rigs.append(Rig(fake, provider, now, live))
        fake.reply = rigs[-1].reply
        return rigs[-1]

    yield made
    for one in rigs:
        await one.provider.close()


Made = Callable[..., Awaitable[Rig]]


async def test_each_session_has_its_own_and_keeps_it(rig: Made) -> None:
    one = await rig()
    first, second = await one.users("a"), await one.users("b")
    assert first != second
    assert await one.users("a") == first
    assert await one.users("b") == second
    await one.settled()
    assert one.issued == 3  # one is in stock


async def test_those_who_do_not_tell_sessions_apart_share_one(rig: Made) -> None:
    one = await rig("http")
    assert await one.users("a") == await one.users("b") == ["user1"]
    assert one.issued == 1


async def test_what_is_in_stock_is_there_at_once(rig: Made) -> None:
    one = await rig()
    await one.provider.tend()
    one.fake.held = asyncio.Event()
    assert await one.users("a") == ["user1"]
    one.fake.held.set()


async def test_many_who_ask_at_once_cause_one_request(rig: Made) -> None:
    one = await rig("http")
    answers = await asyncio.gather(*(one.users(str(number)) for number in range(20)))
    assert answers == [["user1"]] * 20
    assert one.issued == 1


async def test_expiry_is_told_from_what_was_asked_for(rig: Made) -> None:
    one = await rig()
    before = time.time()
    [server] = await one.provider.servers(Holder("a"))
    assert server.name == "one"
    assert server.expires is not None
    assert before + 999 < server.expires < time.time() + 1001
    one.now[0] += 400
    [server] = await one.provider.servers(Holder("a"))
    assert server.expires is not None
    assert server.expires < time.time() + 601


async def test_it_is_renewed_at_half_its_life_while_somebody_is_there(rig: Made) -> None:
    one = await rig()
    one.live |= {"a"}
    before = await one.users("a")
    await one.settled()
    await one.later(499)
    assert await one.users("a") == before
    await one.later(2)
    assert await one.users("a") != before
    assert not one.revoked


async def test_a_session_that_nobody_came_to_is_revoked_at_half_its_life(rig: Made) -> None:
    one = await rig()
    before = await one.users("a")
    await one.settled()
    await one.later(501)
    await one.later(REVOKED_AFTER)
    await one.settled()
    assert one.revoked == before


async def test_all_that_a_session_had_is_revoked_once_it_has_ended(rig: Made) -> None:
    one = await rig()
    one.live |= {"a", "b"}
    first = await one.users("a")
    other = await one.users("b")
    await one.later(501)
    second = await one.users("a")
    one.live -= {"a"}
    one.provider.ended("a")
    await one.later(REVOKED_AFTER - 1)
    await one.settled()
    assert not one.revoked
    await one.later(2)
    await one.settled()
    assert sorted(one.revoked) == sorted(first + second)
    assert other[0] not in one.revoked
    assert not set(await one.users("a")) & set(first + second)


async def test_nothing_is_revoked_if_somebody_is_back(rig: Made) -> None:
    one = await rig()
    await one.users("a")
    one.provider.ended("a")
    one.live |= {"a"}
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert not one.revoked
    one.live -= {"a"}
    one.provider.ended("a")
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert one.revoked == ["user1"]


async def test_whoever_is_revoked_loses_theirs_at_once_and_nobody_else_does(rig: Made) -> None:
    one = await rig()
    one.live |= {"a", "b"}
    host, guest, other = await one.users("a"), await one.users("a", "i1"), await one.users("b", "i2")
    await one.later(501)
    renewed = await one.users("a", "i1")
    one.provider.revoked({"i1"})
    await one.settled()
    assert sorted(one.revoked) == sorted(guest + renewed)
    assert await one.users("b", "i2") != other  # renewed, not revoked
    assert not {*host, *other} & set(one.revoked)


async def test_whoever_has_just_left_is_revoked_without_a_pause(rig: Made) -> None:
    one = await rig()
    guest = await one.users("a", "i1")
    one.provider.ended("a")
    one.provider.revoked({"i1"})
    await one.settled()
    assert one.revoked == guest


async def test_who_is_revoked_while_the_provider_is_asked_gets_nothing(rig: Made) -> None:
    one = await rig()
    one.fake.held = asyncio.Event()
    asking = asyncio.create_task(one.users("a", "i1"))
    await one.fake.reached_held.wait()
    one.provider.revoked({"i1"})
    one.fake.held.set()
    assert await asking == []
    assert await one.users("a", "i2") == ["user1"]


async def test_who_is_revoked_just_before_the_stock_is_looked_at_gets_nothing(rig: Made) -> None:
    one = await rig()
    await one.later(0)
    one.provider.revoked({"i1"})
    assert await one.users("a", "i1") == []
    assert await one.users("a", "i2") == ["user1"]


async def test_who_left_others_in_the_session_is_not_renewed_but_revoked(rig: Made) -> None:
    one = await rig()
    here = {Holder("a")}
    one.provider._is_live = here.__contains__
    host, guest = await one.users("a"), await one.users("a", "i1")
    await one.settled()
    await one.later(501)
    await one.later(REVOKED_AFTER)
    await one.settled()
    assert one.revoked == guest
    assert await one.users("a") != host


async def test_who_lost_the_server_keeps_a_relay_until_it_expires(rig: Made) -> None:
    """Its page may still talk to the other one: it is not renewed, since it asks for nothing, and not revoked."""
    one = await rig()
    here = {Holder("a"), Holder("a", "i1")}
    one.provider._is_live = here.__contains__
    guest = await one.users("a", "i1")
    await one.settled()
    here.remove(Holder("a", "i1"))
    one.provider.lost(Holder("a", "i1"))
    await one.later(501)
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert await one.users("a", "i1") == guest
    assert not one.revoked
    one.provider.ended("a")  # the other one said goodbye
    here.clear()
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert one.revoked == guest


async def test_who_is_back_after_a_loss_and_leaves_is_revoked(rig: Made) -> None:
    one = await rig()
    here = set[Holder]()
    one.provider._is_live = here.__contains__
    guest = await one.users("a", "i1")
    one.provider.lost(Holder("a", "i1"))
    here.add(Holder("a", "i1"))
    await one.later(1)
    here.clear()
    await one.later(500)
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert one.revoked == guest


async def test_what_ended_just_before_the_server_stops_is_revoked(rig: Made) -> None:
    one = await rig()
    one.live |= {"b"}
    mine, other = await one.users("a"), await one.users("b")
    one.provider.ended("a")
    await one.settled()
    await one.provider.close()
    assert sorted(one.revoked) == sorted([*mine, "user3"])  # and what was in stock
    assert other[0] not in one.revoked


async def test_what_cannot_be_revoked_is_said_once_and_lets_nothing_fail(
    rig: Made, caplog: pytest.LogCaptureFixture
) -> None:
    one = await rig()
    await one.users("a")
    await one.settled()
    one.status = 500
    one.provider.ended("a")
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert "credentials live until they expire: it answers with HTTP 500" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", ["cloudflare", "http"])
async def test_down_it_is_not_waited_for_and_what_is_good_still_serves(rig: Made, kind: str) -> None:
    one = await rig(kind)
    one.live |= {"a"}
    await one.users("a")
    await one.settled()
    one.status = 500
    await one.later(501)
    assert not one.provider.is_well
    one.fake.held = asyncio.Event()  # nobody could wait for an answer now
    asked = len(one.fake.asked)
    assert await one.users("a")
    assert await one.users("new")  # what another has, rather than nothing
    assert len(one.fake.asked) == asked
    one.fake.held.set()


async def test_shared_in_need_it_is_revoked_when_the_last_has_left(rig: Made) -> None:
    one = await rig()
    one.live |= {"a", "b"}
    await one.users("a")
    await one.settled()
    one.provider._stock = None
    one.status = 500
    await one.provider.tend()
    assert await one.users("b") == ["user1"]
    one.status = 201
    one.live.clear()
    one.provider.ended("a")
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert not one.revoked
    one.provider.ended("b")
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert one.revoked == ["user1"]


async def test_down_from_the_start_it_costs_one_wait_and_gives_nothing(rig: Made) -> None:
    one = await rig()
    one.status = 503
    assert await one.users("a") == []
    asked = len(one.fake.asked)
    assert await one.users("a") == []
    assert len(one.fake.asked) == asked
    one.status = 201
    await one.later(61)
    assert one.provider.is_well
    assert await one.users("a")


async def test_what_expired_is_not_given_out(rig: Made) -> None:
    one = await rig("http")
    await one.users("a")
    one.status = 500
    one.now[0] += 1001
    assert await one.users("a") == []


async def test_more_sessions_than_are_counted_share_one(rig: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HOLDERS", 2)
    one = await rig()
    given: list[str] = []
    for session in ("a", "b", "c", "d", "e"):
        given += await one.users(session)
        await one.settled()
    assert len(set(given)) == 3
    one.provider.ended("d")
    await one.later(REVOKED_AFTER + 1)
    await one.settled()
    assert not one.revoked


async def test_a_problem_is_logged_once_and_so_is_its_end(rig: Made, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ice_console.providers")
    one = await rig()
    one.status = 401
    for _ in range(3):
        await one.later(61)
    one.status = 201
    await one.later(61)
    said = [record.getMessage() for record in caplog.records if record.name == "ice_console.providers"]
    assert said == [
        "! provider one: it answers with HTTP 401: the secret is refused",
        "= provider one answers again",
    ]


@pytest.mark.parametrize(
    ("said", "life"),
    [
        (None, 1000.0),
        (0, 1000.0),
        (-5, 1000.0),
        ("soon", 1000.0),
        (10**12, 1000.0),
        ("1000", 1000.0),
        ("86400s", 1000.0),
        (True, 1000.0),
        ([], 1000.0),
        ({}, 1000.0),
        (300, 300.0),
        ("300", 300.0),
        (0.001, SHORTEST_LIFE),
    ],
)
async def test_lies_about_a_ttl_are_not_believed(rig: Made, said: Any, life: float) -> None:
    one = await rig("http")
    one.ttl = said
    await one.users("a")
    assert one.provider._stock
    assert one.provider._stock.life == life


@given(st.one_of(st.integers(-10, 2**40), st.floats()), st.integers(-2000, 2000))
def test_whatever_is_said_a_life_is_neither_short_nor_longer_than_asked_for(said: float, left: int) -> None:
    configured = ConfiguredProvider(kind="http", name="one", ttl=1000)
    provider = Provider(configured, http=None, is_live=bool)  # type: ignore[arg-type]  # nothing is asked here
    lifetime = said if 0 < said < 2**53 else None
    user = f"{int(time.time()) + left}:name"
    life = provider._life(Named((NamedServer((UDP,), user, "c"),), lifetime))
    assert life is not None
    assert SHORTEST_LIFE <= life <= 1000
    if SHORTEST_LIFE < left < 1000:
        assert life <= left


async def test_a_file_is_watched_and_a_bad_one_changes_nothing(
    tmp_path: Path, rig: Made, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rtc.json"
    one = await rig("file", path=path, url="")
    assert await one.users("a") == []

    def write(text: str, at: int) -> None:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (at, at))

    write(json.dumps([{"urls": UDP, "username": "first", "credential": "c"}]), 1)
    await one.later(1)
    assert await one.users("a") == ["first"]
    [server] = await one.provider.servers(Holder("a"))
    assert server.expires is None
    write("{", 2)
    await one.later(1)
    assert await one.users("a") == ["first"]
    assert f"{path}: is not JSON" in caplog.text
    write(json.dumps([{"urls": UDP, "username": "second", "credential": "c"}]), 3)
    await one.later(1)
    assert await one.users("a") == ["second"]
    assert one.provider.is_well
    path.unlink()
    await one.later(1)
    assert await one.users("a") == ["second"]
