"""Every kind of provider, healthy, down, slow, answering HTML, and lying about its ttl, in its own wire format."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from backend.ice.providers import wire
from backend.ice.providers.client import ProviderError, issue
from backend.ice.providers.configured import KINDS, ConfiguredProvider
from backend.ice.providers.provider import SHORTEST_LIFE, Holder, Provider
from tests.unit.backend.ice.providers.conftest import SECRET, Asked, Fake

StartFake = Callable[[Fake], Awaitable[Fake]]

STUN, UDP, TLS = "stun:s.example:3478", "turn:t.example:3478?transport=udp", "turns:t.example:443?transport=tcp"
ENTRIES: list[dict[str, Any]] = [{"urls": [STUN]}, {"urls": [UDP, TLS], "username": "u", "credential": "c"}]
TTL = 1000
PAGE = f"<html><title>Sign in</title>{SECRET}</html>"


def _cloudflare(ttl: Any) -> list[Any]:
    return [{"iceServers": ENTRIES, "ttl": ttl}]


def _twilio(ttl: Any) -> list[Any]:
    entries = [{"url": STUN, "urls": STUN}]
    entries += [{"url": url, "urls": url, "username": "u", "credential": "c"} for url in (UDP, TLS)]
    return [{"username": "u", "password": "c", "ttl": ttl, "account_sid": "AC1", "ice_servers": entries}]


def _metered(ttl: Any) -> list[Any]:
    issued = {"username": "u", "password": "c", "expiryInSeconds": ttl, "apiKey": "one"}
    return [issued, [entry | {"ttl": ttl} for entry in ENTRIES]]


def _xirsys(ttl: Any) -> list[Any]:
    entry = {"urls": [STUN, UDP, TLS], "username": "u", "credential": "c"}
    return [{"v": {"iceServers": entry, "ttl": ttl}, "s": "ok"}]


def _turn_rest(ttl: Any) -> list[Any]:
    return [{"username": "u", "password": "c", "uris": [UDP, TLS], "ttl": ttl}]


def _http(ttl: Any) -> list[Any]:
    return [{"lifetimeDuration": ttl, "iceServers": ENTRIES, "iceTransportPolicy": "all", "blockStatus": "NOT_BLOCKED"}]


@dataclass(frozen=True, slots=True)
class Speaks:
    """What a kind answers, one body for each request, and what its configuration needs."""

    answers: Callable[[Any], list[Any]]
    values: tuple[tuple[str, str], ...] = ()


KNOWN = {
    "cloudflare": Speaks(_cloudflare, (("key_id", "k"),)),
    "twilio": Speaks(_twilio, (("account_sid", "AC1"),)),
    "metered": Speaks(_metered, (("app", "one"),)),
    "xirsys": Speaks(_xirsys, (("channel", "c"), ("ident", "i"))),
    "turn-rest": Speaks(_turn_rest),
    "http": Speaks(_http),
    "file": Speaks(_http),
}
ASKED = [kind for kind in KINDS if kind != "file"]
"""The kinds that are asked over HTTP. A kind that is not in `KNOWN` fails here."""
STEPS = [(kind, step) for kind in ASKED for step in range(len(KNOWN[kind].answers(TTL)))]
"""Each request of each kind."""


def configured(kind: str, fake: Fake, *, timeout: int = 60, path: Path = Path()) -> ConfiguredProvider:
    return ConfiguredProvider(
        kind=kind,
        name=kind,
        ttl=TTL,
        timeout=timeout,
        url=fake.url,
        path=path,
        values=dict(KNOWN[kind].values),
        secret=SECRET,
    )


def speaking(kind: str, ttl: Any = TTL, *, but: tuple[int, Callable[[], web.Response]] | None = None) -> Fake:
    """Return a fake of `kind`; its answer to the request of number `but[0]` is another."""
    steps = itertools.cycle(enumerate(KNOWN[kind].answers(ttl)))

    def reply(_: Asked) -> web.Response:
        step, body = next(steps)
        if but and but[0] == step:
            return but[1]()
        return web.json_response(body, status=201)

    return Fake(reply=reply)


def provider_of(kind: ConfiguredProvider, http: aiohttp.ClientSession, now: list[float]) -> Provider:
    return Provider(kind, http, is_live=lambda _: True, clock=lambda: now[0])


def test_every_kind_is_known_here_and_can_be_asked() -> None:
    assert set(KNOWN) == set(KINDS)
    assert set(wire._ASK) == set(ASKED)
    for kind, needs in KINDS.items():
        assert {name for name, _ in KNOWN[kind].values} == set(needs.needs) - {"url", "path"}


@pytest.mark.parametrize("kind", ASKED)
async def test_well(start_fake: StartFake, http: aiohttp.ClientSession, kind: str) -> None:
    named = await issue(http, configured(kind, await start_fake(speaking(kind))), "me")
    assert {url for server in named.servers for url in server.urls} >= {UDP, TLS}


@pytest.mark.parametrize("kind", ASKED)
async def test_down(http: aiohttp.ClientSession, kind: str, unused_tcp_port: int) -> None:
    fake = Fake(url=f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ProviderError, match="it cannot be reached") as raised:
        await issue(http, configured(kind, fake), "me")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(("kind", "step"), STEPS)
async def test_slow(start_fake: StartFake, http: aiohttp.ClientSession, kind: str, step: int) -> None:
    fake = await start_fake(speaking(kind))
    fake.held, fake.held_from = asyncio.Event(), step
    deadline = asyncio.timeout(None)
    asking = asyncio.create_task(issue(http, configured(kind, fake), "me", deadline=lambda _: deadline))
    await fake.reached_held.wait()
    deadline.reschedule(0.0)
    with pytest.raises(ProviderError, match="no answer within 60 s"):
        await asking
    fake.held.set()


@pytest.mark.parametrize(("kind", "step"), STEPS)
async def test_answering_html(start_fake: StartFake, http: aiohttp.ClientSession, kind: str, step: int) -> None:
    def page() -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    fake = await start_fake(speaking(kind, but=(step, page)))
    with pytest.raises(ProviderError, match="it answers with what is not JSON") as raised:
        await issue(http, configured(kind, fake), "me")
    assert SECRET not in str(raised.value)
    assert len(fake.asked) == step + 1


async def test_a_file_with_html_in_it(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "rtc.json"
    path.write_text(PAGE)
    with pytest.raises(ProviderError, match="is not JSON") as raised:
        await issue(http, configured("file", Fake(), path=path), "me")
    assert SECRET not in str(raised.value)


LIES = [0, -5, 10**12, "soon", "86400s", "1e9", True, [], {}, None, 0.001]


@pytest.mark.parametrize("said", LIES, ids=repr)
@pytest.mark.parametrize("kind", ASKED)
async def test_lying_about_its_ttl(start_fake: StartFake, http: aiohttp.ClientSession, kind: str, said: Any) -> None:
    """It is renewed neither all the time nor later than half of what was asked for."""
    fake, now = await start_fake(speaking(kind, said)), [5000.0]
    provider = provider_of(configured(kind, fake), http, now)
    [*_, server] = await provider.servers(Holder("a"))
    assert server.expires is not None
    assert SHORTEST_LIFE - 1 <= server.expires - time.time() <= TTL + 1
    await settled(provider)
    asked = len(fake.asked)
    await provider.tend()
    assert len(fake.asked) == asked
    now[0] += TTL / 2
    await provider.tend()
    assert len(fake.asked) > asked
    await provider.close()


@pytest.mark.parametrize("kind", ASKED)
async def test_less_than_was_asked_for_is_believed_where_the_answer_says_so(
    start_fake: StartFake, http: aiohttp.ClientSession, kind: str
) -> None:
    provider = provider_of(configured(kind, await start_fake(speaking(kind, "300"))), http, [5000.0])
    [*_, server] = await provider.servers(Holder("a"))
    assert server.expires is not None
    assert 298 < server.expires - time.time() <= 301
    await settled(provider)
    await provider.close()


@pytest.mark.parametrize("said", LIES[:-1], ids=repr)  # a file may be as old as it says
async def test_a_file_lying_about_its_ttl(tmp_path: Path, http: aiohttp.ClientSession, said: Any) -> None:
    path = tmp_path / "rtc.json"
    path.write_text(json.dumps(_http(said)[0]))
    provider = provider_of(configured("file", Fake(), path=path), http, [5000.0])
    urls = {url for server in await provider.servers(Holder("a")) for url in server.urls}
    assert urls == {STUN, UDP, TLS}
    await provider.close()


@pytest.mark.parametrize(("kind", "step"), STEPS)
async def test_whatever_fails_later_pages_keep_what_is_good_and_nobody_waits(
    start_fake: StartFake, http: aiohttp.ClientSession, kind: str, step: int
) -> None:
    fake, now = await start_fake(speaking(kind)), [5000.0]
    provider = provider_of(configured(kind, fake), http, now)
    before = await provider.servers(Holder("a"))
    await settled(provider)
    fake.reply = speaking(kind, but=(step, lambda: web.Response(status=502, text=PAGE))).reply
    now[0] += TTL / 2
    await provider.tend()
    assert "HTTP 502" in provider.problem
    fake.held = asyncio.Event()  # who asked now would wait
    after = await provider.servers(Holder("a"))
    assert [server.urls for server in after] == [server.urls for server in before]
    fake.held.set()
    await provider.close()


async def settled(provider: Provider) -> None:
    """Wait until what is in stock has been renewed."""
    while (asking := provider._asking) and not asking.done():
        await asyncio.wait([asking])
