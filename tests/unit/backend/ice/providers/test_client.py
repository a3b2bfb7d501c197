"""What each kind of provider is asked, over a real connection, and each thing that may go wrong with its answer."""

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from backend.ice.providers.client import ProviderError, end, issue
from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.shapes import Named, NamedServer
from tests.unit.backend.ice.providers.conftest import SECRET, Asked, Fake

StartFake = Callable[[Fake], Awaitable[Fake]]

STUN, UDP, TLS = "stun:s.example:3478", "turn:t.example:3478?transport=udp", "turns:t.example:443?transport=tcp"
SERVERS = [{"urls": [STUN]}, {"urls": [UDP, TLS], "username": "u", "credential": "c"}]
NAMED = Named((NamedServer((STUN,)), NamedServer((UDP, TLS), "u", "c")))


def configured(kind: str, url: str, **values: str) -> ConfiguredProvider:
    return ConfiguredProvider(kind=kind, name=kind, ttl=600, timeout=60, url=url, values=values, secret=SECRET)


def basic(asked: Asked) -> str:
    return base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()


async def test_cloudflare(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    fake = await start_fake(Fake({"": {"iceServers": SERVERS}}))
    provider = configured("cloudflare", fake.url, key_id="k")
    assert await issue(http, provider, "me") == NAMED
    await end(http, provider, NAMED)
    issued, revoked = fake.asked
    assert (issued.method, issued.path) == ("POST", "/v1/turn/keys/k/credentials/generate-ice-servers")
    assert issued.headers["Authorization"] == f"Bearer {SECRET}"
    assert json.loads(issued.body) == {"ttl": 600}
    assert (revoked.method, revoked.path) == ("POST", "/v1/turn/keys/k/credentials/u/revoke")
    assert revoked.headers["Authorization"] == f"Bearer {SECRET}"


async def test_twilio(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    entries = [
        {"url": STUN, "urls": STUN},
        {"url": UDP, "urls": UDP, "username": "u", "credential": "c"},
    ]
    answer = {"username": "u", "password": "c", "ttl": "600", "account_sid": "AC1", "ice_servers": entries}
    fake = await start_fake(Fake({"": answer}))
    named = await issue(http, configured("twilio", fake.url, account_sid="AC1"), "me")
    assert named == Named((NamedServer((STUN,)), NamedServer((UDP,), "u", "c")), 600.0)
    [asked] = fake.asked
    assert (asked.method, asked.path) == ("POST", "/2010-04-01/Accounts/AC1/Tokens.json")
    assert basic(asked) == f"AC1:{SECRET}"
    assert parse_qs(asked.body) == {"Ttl": ["600"]}


async def test_metered_takes_two_steps(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    answers = {
        "/api/v1/turn/credential": {"username": "u", "password": "c", "apiKey": "one"},
        "/api/v1/turn/credentials": SERVERS,
    }
    fake = await start_fake(Fake(answers))
    assert await issue(http, configured("metered", fake.url, region="europe"), "me") == NAMED
    first, second = fake.asked
    assert (first.method, first.query) == ("POST", {"secretKey": SECRET})
    assert json.loads(first.body)["expiryInSeconds"] == 600
    assert (second.method, second.query) == ("GET", {"apiKey": "one", "region": "europe"})


async def test_xirsys(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    entry = {"urls": [STUN, UDP, TLS], "username": "u", "credential": "c"}
    fake = await start_fake(Fake({"": {"v": {"iceServers": entry}, "s": "ok"}}))
    assert await issue(http, configured("xirsys", fake.url, channel="ch", ident="me"), "me") == NAMED
    [asked] = fake.asked
    assert (asked.method, asked.path) == ("PUT", "/_turn/ch")
    assert json.loads(asked.body) == {"format": "urls", "expire": "600"}
    assert basic(asked) == f"me:{SECRET}"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_turn_rest(start_fake: StartFake, http: aiohttp.ClientSession, method: str) -> None:
    fake = await start_fake(Fake({"": {"username": "u", "password": "c", "uris": [UDP, TLS], "ttl": 300}}))
    provider = configured("turn-rest", f"{fake.url}/turn?tenant=one", method=method)
    assert await issue(http, provider, "me") == Named(NAMED.servers[1:], 300.0)
    [asked] = fake.asked
    given = asked.query if method == "GET" else {key: value for key, [value] in parse_qs(asked.body).items()}
    assert asked.method == method
    assert given.items() >= {"service": "turn", "username": "me", "key": SECRET}.items()
    assert asked.query["tenant"] == "one"


async def test_turn_rest_as_matrix_has_it(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    fake = await start_fake(Fake({"": {"username": "u", "password": "c", "uris": [UDP, TLS], "ttl": 300}}))
    await issue(http, configured("turn-rest", fake.url, auth="bearer"), "me")
    [asked] = fake.asked
    assert asked.headers["Authorization"] == f"Bearer {SECRET}"
    assert not asked.query


async def test_http(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    fake = await start_fake(Fake({"": {"lifetimeDuration": "300s", "iceServers": SERVERS}}))
    assert await issue(http, configured("http", f"{fake.url}/x", method="POST"), "me") == Named(NAMED.servers, 300.0)
    await issue(http, configured("http", fake.url, header="X-Api-Key"), "me")
    assert (fake.asked[0].method, fake.asked[0].headers["Authorization"]) == ("POST", f"Bearer {SECRET}")
    assert (fake.asked[1].method, fake.asked[1].headers["X-Api-Key"]) == ("GET", SECRET)
    assert "Authorization" not in fake.asked[1].headers


Reply = Callable[[Asked], web.Response]


def plain(status: int, text: str = "", **headers: str) -> Reply:
    return lambda _: web.Response(status=status, text=text, headers=headers)


PAGE = f"<html><title>Sign in</title>{SECRET}</html>"
OF_NO_USE = [
    (plain(200, PAGE), "it answers with what is not JSON"),
    (plain(200, ""), "it answers with what is not JSON"),
    (plain(200, "[" * 50_000), "it answers with what is not JSON"),
    (plain(200, "x" * 70_000), "longer than 65536 bytes"),
    (plain(301, Location="https://elsewhere.example"), "HTTP 301: a redirect, which is not followed"),
    (plain(401, f'{{"error": "{SECRET}"}}'), "HTTP 401: the secret is refused"),
    (plain(403, PAGE), "HTTP 403: the secret is refused"),
    (plain(404), "HTTP 404: no such address there"),
    (plain(429), "HTTP 429: too often"),
    (plain(500, PAGE), "HTTP 500"),
    (plain(503), "HTTP 503"),
]
NO_SERVERS = [
    (plain(200, f'{{"error": "{SECRET}"}}'), "its answer is of no use: it names no server"),
    (plain(200, f'{{"v": "{SECRET}", "s": "error"}}'), "the provider says 's': 'error'"),
    (plain(200, f'{{"iceServers": ["{SECRET}"]}}'), "it must be a list of servers"),
    (plain(200, f'[{{"urls": "turn:t", "username": "{SECRET}"}}]'), "without a user name and a credential"),
]


async def problem_of(start_fake: StartFake, http: aiohttp.ClientSession, kind: str, reply: Reply) -> str:
    fake = await start_fake(Fake(reply=reply))
    provider = configured(kind, fake.url, key_id="k", account_sid="A", channel="c", ident="i")
    with pytest.raises(ProviderError) as raised:
        await issue(http, provider, "me")
    assert SECRET not in str(raised.value)
    assert fake.url not in str(raised.value)
    assert len(fake.asked) == 1
    return str(raised.value)


@pytest.mark.parametrize(("reply", "problem"), OF_NO_USE)
@pytest.mark.parametrize("kind", ["cloudflare", "twilio", "metered", "xirsys", "turn-rest", "http"])
async def test_answers_of_no_use(
    start_fake: StartFake, http: aiohttp.ClientSession, kind: str, reply: Reply, problem: str
) -> None:
    assert problem in await problem_of(start_fake, http, kind, reply)


@pytest.mark.parametrize(("reply", "problem"), NO_SERVERS)
@pytest.mark.parametrize("kind", ["cloudflare", "twilio", "xirsys", "turn-rest", "http"])
async def test_answers_that_name_no_server(
    start_fake: StartFake, http: aiohttp.ClientSession, kind: str, reply: Reply, problem: str
) -> None:
    assert problem in await problem_of(start_fake, http, kind, reply)


async def test_metered_without_a_key_for_the_second_step(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    for reply in (plain(200, f'{{"error": "{SECRET}"}}'), plain(200, "[]"), plain(200, '{"apiKey": 5}')):
        assert "without an 'apiKey'" in await problem_of(start_fake, http, "metered", reply)


async def test_when_to_come_back_is_heard(start_fake: StartFake, http: aiohttp.ClientSession) -> None:
    fake = await start_fake(Fake(reply=plain(503, **{"Retry-After": "120"})))
    with pytest.raises(ProviderError) as raised:
        await issue(http, configured("http", fake.url), "me")
    assert raised.value.wish == 120.0


async def test_a_provider_without_a_name(http: aiohttp.ClientSession) -> None:
    with pytest.raises(ProviderError, match=r"DNS|cannot be reached"):
        await issue(http, configured("metered", "http://no-such-host.invalid"), "me")


async def test_a_connection_that_breaks(http: aiohttp.ClientSession) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ProviderError, match="the connection failed") as raised:
            await issue(http, configured("metered", f"http://127.0.0.1:{port}"), "me")
    assert SECRET not in str(raised.value)


def write(path: Path, content: Any, age: float = 0.0) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    written = path.stat().st_mtime - age
    os.utime(path, (written, written))


def file_at(path: Path) -> ConfiguredProvider:
    return ConfiguredProvider(kind="file", name="file", ttl=600, path=path)


async def test_a_file(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "rtc.json"
    write(path, SERVERS)
    assert await issue(http, file_at(path), "me") == NAMED
    write(path, {"lifetimeDuration": "86400s", "iceServers": SERVERS}, 1000.0)
    named = await issue(http, file_at(path), "me")
    assert named.lifetime is not None
    assert 80000 < named.lifetime <= 85400


@pytest.mark.parametrize(
    ("content", "age", "problem"),
    [
        ({"lifetimeDuration": "86400s", "iceServers": SERVERS}, 90000, "its credentials have expired"),
        ({"no": "servers"}, 0, "it names no server"),
        ("{", 0, "is not JSON"),
        (" " * 70_000, 0, "is longer than 65536 bytes"),
    ],
)
async def test_a_file_of_no_use(
    tmp_path: Path, http: aiohttp.ClientSession, content: Any, age: int, problem: str
) -> None:
    path = tmp_path / "rtc.json"
    write(path, content, age)
    with pytest.raises(ProviderError, match=problem):
        await issue(http, file_at(path), "me")


async def test_a_file_that_is_not_there(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    with pytest.raises(ProviderError, match="cannot be read: No such file"):
        await issue(http, file_at(tmp_path / "rtc.json"), "me")


class HttpProxy:
    """A proxy (RFC 9110, section 7.6) that gives one answer; `asked` are the heads of the requests to it."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self._answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def start_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Awaitable[HttpProxy]]]:
    """Run a proxy, and name it in these variables of the environment."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(answer: bytes, *variables: str) -> HttpProxy:
            proxy = HttpProxy(answer)
            server = await stack.enter_async_context(await asyncio.start_server(proxy.serve, "127.0.0.1", 0))
            for variable in variables:
                monkeypatch.setenv(variable, f"http://who:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}")
            return proxy

        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        yield start


StartProxy = Callable[..., Awaitable[HttpProxy]]


async def test_a_provider_is_asked_through_the_proxy_of_the_environment(
    start_proxy: StartProxy, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(SERVERS).encode()
    proxy = await start_proxy(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), "HTTP_PROXY")
    assert await issue(http, configured("http", "http://provider.invalid/ice"), "me") == NAMED
    [asked] = proxy.asked
    assert asked.startswith("GET http://provider.invalid/ice HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'who:pass').decode()}" in asked
    monkeypatch.setenv("NO_PROXY", "localhost,.invalid")
    with pytest.raises(ProviderError, match="DNS"):
        await issue(http, configured("http", "http://provider.invalid/ice"), "me")
    assert len(proxy.asked) == 1


async def test_a_provider_with_tls_is_reached_by_connect(start_proxy: StartProxy, http: aiohttp.ClientSession) -> None:
    proxy = await start_proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "HTTPS_PROXY")
    with pytest.raises(ProviderError, match=r"\(HTTPS_PROXY\) answers with HTTP 407"):
        await issue(http, configured("http", "https://provider.invalid/ice"), "me")
    assert proxy.asked[0].startswith("CONNECT provider.invalid:443 HTTP/1.1\r\n")
    assert SECRET not in proxy.asked[0]


@pytest.mark.parametrize(
    ("proxy", "rule"), [("127.0.0.1:1", "cannot be reached"), ("socks5://who:pass@127.0.0.1", "'socks5://…'")]
)
async def test_a_proxy_that_is_of_no_use_is_named(
    start_proxy: StartProxy, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, proxy: str, rule: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ProviderError, match="the proxy in the environment") as error:
        await issue(http, configured("http", "http://provider.invalid/ice"), "me")
    assert rule in str(error.value)
    assert "pass" not in str(error.value)
