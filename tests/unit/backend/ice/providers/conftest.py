"""A provider on loopback that speaks the real wire formats, and whatever goes wrong with them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

SECRET = "a-secret-that-must-not-show"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(slots=True)
class Fake:
    """What is answered: JSON by path (`""`: any), or what `reply` makes of a request."""

    answers: dict[str, Any] = field(default_factory=dict)
    reply: Callable[[Asked], web.StreamResponse] | None = None
    held: asyncio.Event | None = None
    """Answers wait for it: from the request of this number on."""
    held_from: int = 0
    reached_held: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), body)
        self.asked.append(asked)
        if self.held and len(self.asked) > self.held_from:
            self.reached_held.set()
            await self.held.wait()
        if self.reply:
            return self.reply(asked)
        answer = self.answers.get(request.path, self.answers.get(""))
        return web.Response(status=201, text=json.dumps(answer), content_type="application/json")


@pytest.fixture
async def start_fake() -> AsyncIterator[Callable[[Fake], Awaitable[Fake]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def started(fake: Fake) -> Fake:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", fake.handle)
            server = TestServer(app)
            await server.start_server()
            stack.push_async_callback(server.close)
            fake.url = str(server.make_url("")).rstrip("/")
            return fake

        yield started
