"""Revoked means out: places and TURN credentials of whoever came in with an invitation that was revoked."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from backend.seldom import Seldom
from backend.settings import StartError
from backend.web.keys import ACCESS, CHAIN, SIGNALING

_log = logging.getLogger("ice_console.http")

LOOK_EVERY = 0.5
"""Seconds between two looks at what the command line has revoked. It is to be in force within one."""


def put_in_force_revocations(app: web.Application) -> None:
    """Act on what anybody has revoked since the last call. Raises `StartError`, and what fails, after all was done."""
    if revoked := app[ACCESS].store.newly_revoked():
        try:
            app[SIGNALING].revoke(revoked)
        finally:  # it is news once: what is not done now is never done
            app[CHAIN].revoked(revoked)


async def watch_revocations(
    put_in_force: Callable[[], None], *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Call `put_in_force` every `LOOK_EVERY` seconds, whatever becomes of it."""
    told = Seldom()
    while True:
        await sleep(LOOK_EVERY)
        try:
            put_in_force()
        except StartError as error:
            if told.is_due(time.monotonic()):
                _log.error("! %s", error)
        except Exception:  # noqa: BLE001 - a fault in one of them must not keep the next from being put into force
            _log.exception("! a revocation could not be put into force")
