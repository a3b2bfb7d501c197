"""Changes of this machine's addresses, which Linux reports over rtnetlink(7)."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

# Of <linux/rtnetlink.h>: links, and the addresses and routes of both families.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_QUIET = 0.5
"""Seconds of quiet after which a change is complete: an address, its route, and duplicate address detection."""
_PATIENCE = 3.0
"""Seconds after which a change is reported even if it goes on."""
_ASKED_EVERY = 5.0
"""Seconds between two polls where rtnetlink is missing."""


@contextlib.contextmanager
def address_changes() -> Iterator[AsyncIterator[None]]:
    """Give what yields each time that addresses or routes may have changed since, once the change is complete."""
    try:
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        link.bind((0, _GROUPS))
    except OSError:  # a sandbox without rtnetlink
        yield _polls()
        return
    with link:
        yield _reports(link)


async def _polls() -> AsyncIterator[None]:
    while True:
        await asyncio.sleep(_ASKED_EVERY)
        yield


async def _reports(link: socket.socket) -> AsyncIterator[None]:
    while True:
        await _changed(link)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await _quiet(link)
        yield


async def _changed(link: socket.socket) -> None:
    with contextlib.suppress(OSError):  # ENOBUFS: events were lost, so there was a change
        await asyncio.get_running_loop().sock_recv(link, 65536)


async def _quiet(link: socket.socket) -> None:
    while True:
        try:
            async with asyncio.timeout(_QUIET):
                await _changed(link)
        except TimeoutError:
            return
