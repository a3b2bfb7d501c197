"""Servers, providers and the local coturn, one behind the other."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from backend.ice.chain import Chain
from backend.ice.choosing import variety_first
from backend.ice.health import Check
from backend.ice.ice_servers import ConfiguredIce, ConfiguredServer
from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.providers.provider import Provider

STATIC = ConfiguredServer(urls=("turn:static.example",), username="u", credential="c")
STUN = ConfiguredServer(urls=("stun:stun.example",))
LOCAL = (ConfiguredServer(urls=("turn:local.example",), secret="s"),)


def provider(folder: Path, name: str, *, write: bool = True) -> ConfiguredProvider:
    path = folder / f"{name}.json"
    if write:
        path.write_text(json.dumps([{"urls": f"turn:{name}.example", "username": "u", "credential": "c"}]), "utf-8")
    return ConfiguredProvider(kind="file", name=name, ttl=600, path=path)


async def urls(chain: Chain) -> list[str]:
    return [url for server in await chain.servers("a", local=LOCAL) for url in server.urls]


async def test_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    providers = (provider(tmp_path, "one"), provider(tmp_path, "gone", write=False), provider(tmp_path, "two"))
    ice = ConfiguredIce(servers=(STATIC,), providers=providers)
    async with Chain(ice, is_live=bool, checks=False).running() as chain:
        assert await urls(chain) == ["turn:static.example", "turn:one.example", "turn:two.example"]
        assert chain.problems()["providers"].keys() == {"gone"}
        await chain.replace(replace(ice, providers_first=True))
        assert await urls(chain) == ["turn:one.example", "turn:two.example", "turn:static.example"]


async def test_the_local_coturn_is_for_those_who_would_have_none(tmp_path: Path) -> None:
    ice = ConfiguredIce(servers=(STUN,), providers=(provider(tmp_path, "gone", write=False),))
    async with Chain(ice, is_live=bool, checks=False).running() as chain:
        assert await urls(chain) == ["stun:stun.example", "turn:local.example"]
        await chain.replace(replace(ice, providers=(provider(tmp_path, "one"),)))
        assert await urls(chain) == ["stun:stun.example", "turn:one.example"]


async def test_a_provider_that_stays_keeps_what_it_has(tmp_path: Path) -> None:
    one, two = provider(tmp_path, "one"), provider(tmp_path, "two")
    async with Chain(ConfiguredIce(providers=(one, two)), is_live=bool, checks=False).running() as chain:
        kept = chain.providers[0]
        await chain.replace(ConfiguredIce(providers=(provider(tmp_path, "one"),)))
        assert chain.providers == (kept,)
        assert await urls(chain) == ["turn:one.example"]


async def test_what_a_provider_named_has_its_price_while_it_is_down(tmp_path: Path) -> None:
    ice = ConfiguredIce(providers=(provider(tmp_path, "one"),))
    async with Chain(ice, is_live=bool, checks=False).running() as chain:
        await urls(chain)
        assert chain.provider_hosts() == {"one": {"one.example"}}
        chain.providers[0]._stock = None
        assert chain.provider_hosts() == {"one": {"one.example"}}


async def test_what_no_page_gets_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    servers = tuple(ConfiguredServer(urls=(f"stun:{number}.example",)) for number in range(4))
    ice = ConfiguredIce(servers=servers, providers=(provider(tmp_path, "one"),))
    async with Chain(ice, is_live=bool, checks=False).running() as chain:
        for _ in range(3):
            await urls(chain)
    assert caplog.text.count("no page gets stun:3.example: 4 are enough") == 1


async def test_the_start_says_it_of_providers_before_any_page_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.Event()
    ice = ConfiguredIce(providers=tuple(provider(tmp_path, f"p{number}") for number in range(6)))
    chain = Chain(ice, is_live=bool, checks=False)
    tell = chain._tell

    def telling(servers: tuple[ConfiguredServer, ...]) -> None:
        tell(servers)
        if servers:
            told.set()

    monkeypatch.setattr(chain, "_tell", telling)
    async with chain.running():
        await told.wait()
    assert "no page gets turn:p5.example: 4 are enough" in caplog.text


async def test_a_provider_whose_care_fails_keeps_the_others_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("backend.ice.chain._TEND_EVERY", 0.0)
    chain = Chain(
        ConfiguredIce(providers=(provider(tmp_path, "one"), provider(tmp_path, "two"))), is_live=bool, checks=False
    )
    tended_again = asyncio.Event()
    rounds = []

    async def fail() -> None:
        raise RuntimeError

    async def count() -> None:
        rounds.append(1)
        if len(rounds) == 2:
            tended_again.set()

    async with chain.running():
        monkeypatch.setattr(chain.providers[0], "tend", fail)
        monkeypatch.setattr(chain.providers[1], "tend", count)
        await tended_again.wait()
    assert "a provider could not be tended" in caplog.text


async def test_a_provider_that_breaks_breaks_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ice = ConfiguredIce(providers=(provider(tmp_path, "one"), provider(tmp_path, "two")))
    chain = Chain(ice, is_live=bool, checks=False)

    async def fail(_session: str) -> tuple[ConfiguredServer, ...]:
        raise RuntimeError

    async with chain.running():
        monkeypatch.setattr(chain.providers[0], "servers", fail)
        assert await urls(chain) == ["turn:two.example"]
    assert "a provider could not be asked" in caplog.text


async def test_it_waits_for_all_providers_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ice = ConfiguredIce(providers=(provider(tmp_path, "one"), provider(tmp_path, "two")))
    async with Chain(ice, is_live=bool, checks=False).running() as chain:
        both = asyncio.Barrier(2)

        def together(number: int) -> Callable[[str], Awaitable[tuple[ConfiguredServer, ...]]]:
            async def servers(_session: str) -> tuple[ConfiguredServer, ...]:
                await both.wait()
                return (ConfiguredServer(urls=(f"turn:{number}.example",)),)

            return servers

        for number, one in enumerate(chain.providers):
            monkeypatch.setattr(one, "servers", together(number))
        assert await urls(chain) == ["turn:0.example", "turn:1.example"]


async def test_a_page_gets_the_two_nearest_hosts_that_are_well() -> None:
    hosts = ["one", "two", "three"]
    servers = tuple(ConfiguredServer(urls=(f"turn:{host}.example",), secret="s") for host in hosts)
    chain = Chain(ConfiguredIce(servers=servers), is_live=bool, checks=False)

    async def given(address: str) -> list[str]:
        found = await chain.servers("a", address=address)
        return [url for server in variety_first(found) for url in server.urls][:2]

    async with chain.running():
        assert await given("192.0.2.9") == ["turn:one.example", "turn:two.example"]
        for number in range(3):
            gathering = f"u{number}"
            chain.watch.nearest.candidate("page", gathering, 1.0)
            for host, seconds in zip(hosts, (0.3, 0.2, 0.1), strict=True):
                at = 1.0 + seconds
                chain.watch.nearest.relay("page", "192.0.2.0/24", gathering, at, f"{host}.example")
        assert await given("192.0.2.9") == ["turn:three.example", "turn:two.example"]
        assert await given("198.51.100.9") == ["turn:one.example", "turn:two.example"]
        chain.watch.health.keep([url for server in servers for url in server.urls])
        for now in (1.0, 2.0):
            for host in hosts:
                found = Check("no answer") if host == "three" else Check(seconds=0.1)
                chain.watch.health.checked(f"turn:{host}.example", found, now)
        chain.watch.health.review(2.0)
        assert await given("192.0.2.9") == ["turn:two.example", "turn:one.example"]
        await chain.replace(ConfiguredIce(servers=servers, checks=False))
        assert await given("192.0.2.9") == ["turn:one.example", "turn:two.example"]


@pytest.mark.parametrize("end", [partial(Chain.ended, session="a"), partial(Chain.revoked, invitations={"a"})])
async def test_a_provider_that_fails_at_the_end_keeps_the_others_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[Chain], None]
) -> None:
    told: list[str] = []

    def fails(provider: Provider, _: object) -> None:
        told.append(provider.configured.name)
        raise KeyError("a fault")

    monkeypatch.setattr(Provider, "ended", fails)
    monkeypatch.setattr(Provider, "revoked", fails)
    ice = ConfiguredIce(providers=(provider(tmp_path, "one"), provider(tmp_path, "two")))
    async with Chain(ice, is_live=bool, checks=False).running() as chain:
        with pytest.raises(KeyError, match="a fault"):
            end(chain)
    assert sorted(told) == ["one", "two"]
