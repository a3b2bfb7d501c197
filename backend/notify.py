"""Notifies the service manager: sd_notify(3), a datagram to the socket named in the environment.

Without a manager nothing is sent. A manager that is gone must not end the server.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass

_WATCHDOG_SHARE = 0.4
"""Fraction of the watchdog's time between two notifications; sd_watchdog_enabled(3) recommends at most half."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The service manager that started us. `watchdog` is its timeout in seconds."""

    address: str = ""
    watchdog: float | None = None

    def ready(self) -> None:
        """Report that requests are accepted, or that a reload has finished."""
        self._say("READY=1")

    def reloading(self) -> None:
        """Report that a reload has begun."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, *, within: float) -> None:
        """Report that the server is stopping, which may take `within` seconds."""
        self._say(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within * 1e6)}")

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Report periodically, during the block, that the event loop is alive."""
        if self.watchdog is None:
            yield
            return
        saying = asyncio.create_task(self._keep_saying(self.watchdog * _WATCHDOG_SHARE))
        try:
            yield
        finally:
            saying.cancel()
            await asyncio.wait([saying])

    async def _keep_saying(self, pause: float) -> None:
        while True:
            self._say("WATCHDOG=1")
            await asyncio.sleep(pause)

    def _say(self, text: str) -> None:
        if not self.address:
            return
        # A leading @ stands for the zero byte of Linux's abstract names.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(text.encode(), address)


def take_manager(environ: MutableMapping[str, str] = os.environ) -> Manager:
    """Return the service manager of the environment, and remove it there: coturn would notify it, too."""
    address, time_out, pid = (environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
    if not address.startswith(("/", "@")):
        return Manager()
    is_ours = pid in ("", str(os.getpid()))
    is_watched = is_ours and time_out.isascii() and time_out.isdigit() and int(time_out) > 0
    return Manager(address, int(time_out) / 1e6 if is_watched else None)
