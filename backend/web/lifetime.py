"""What runs as long as the application does, and what a new configuration changes."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator

from aiohttp import web

from backend.ice.ice_servers import ConfiguredIce
from backend.ice.local_turn import wants_local_turn
from backend.web.keys import ACCESS, CHAIN, CURRENT, JOURNAL, LOCAL_TURN, RELOADER, SETTINGS, SIGNALING, TELLING
from backend.web.revoking import put_in_force_revocations, watch_revocations

_log = logging.getLogger("ice_console.http")


async def close_signaling(app: web.Application) -> None:
    """Tell every page that the server ends."""
    await app[SIGNALING].close()


async def run_journal(app: web.Application) -> AsyncIterator[None]:
    """Write the record."""
    async with app[JOURNAL].running():
        yield


async def run_telling(app: web.Application) -> AsyncIterator[None]:
    """Tell pages what the relays cost."""
    async with app[TELLING].running():
        yield


async def run_access(app: web.Application) -> AsyncIterator[None]:
    """Put revocations on the command line into force, and sum up what has no line of its own in the audit log."""

    def look() -> None:
        app[ACCESS].sum_up_refusals(now=time.monotonic())
        app[SIGNALING].sum_up_stays(now=time.monotonic())
        put_in_force_revocations(app)

    watching = asyncio.create_task(watch_revocations(look))
    yield
    watching.cancel()
    await asyncio.wait([watching])
    app[SIGNALING].sum_up_stays(now=math.inf)
    app[ACCESS].close()


async def run_local_turn(app: web.Application) -> AsyncIterator[None]:
    """Run the local coturn, if there is to be one."""
    is_wanted = wants_local_turn(app[CURRENT].configured, is_allowed=app[SETTINGS].turn)
    async with app[LOCAL_TURN].running(is_wanted=is_wanted):
        yield


async def run_chain(app: web.Application) -> AsyncIterator[None]:
    """Ask providers and servers."""
    async with app[CHAIN].running():
        yield


async def run_reloader(app: web.Application) -> AsyncIterator[None]:
    """Watch the files."""
    async with app[RELOADER].watching():
        yield


async def put_in_force(app: web.Application, configured: ConfiguredIce) -> None:
    """Put a new configuration into force."""
    settings = app[SETTINGS]
    limits = configured.limits or settings.limits
    app[JOURNAL].limits = limits
    app[SIGNALING].change(hold=configured.hold or settings.hold, limits=limits)
    await app[LOCAL_TURN].want(is_wanted=wants_local_turn(configured, is_allowed=settings.turn))
    await app[CHAIN].replace(configured)
    await app[TELLING].configure(configured.prices, configured.budget)
    tell_left_out(configured)


def tell_left_out(configured: ConfiguredIce) -> None:
    """Write which URLs no page will get, and why."""
    for one in configured.left_out:
        _log.warning("! no page gets %s: %s", one.url, one.why)
