"""Configuration files that change while the server runs: reloaded on SIGHUP, and when one of them has changed.

A file with mistakes is rejected with a line for each, and the old configuration stays in force. Sessions go on.
"""

import asyncio
import contextlib
import logging
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.ice.ice_servers import ConfiguredIce, read_ice_servers
from backend.settings import StartError
from backend.web.certificates import Certificates

_log = logging.getLogger("ice_console.files")

LOOK_EVERY = 1.0
"""Seconds between checks. A change is read once the files have been stable for so long, since two files are not written
at once."""


SOON = 7
"""Days before a certificate expires at which warnings begin: it should have been renewed by then."""
TELL_EVERY = 6 * 3600
"""Seconds between two warnings."""


@dataclass(slots=True)
class Current:
    """The configuration in force."""

    configured: ConfiguredIce


class Reloader:
    """Use as `async with reloader.watching()`."""

    def __init__(
        self,
        current: Current,
        *,
        config: Path | None,
        certificates: Certificates | None,
        apply: Callable[[ConfiguredIce], Awaitable[None]],
        certificate_changed: Callable[[], None],
    ) -> None:
        """`apply` puts a configuration in force; `certificate_changed` notifies other users of the certificate."""
        self._current = current
        self._config = config
        self._certificates = certificates
        self._apply = apply
        self._certificate_changed = certificate_changed
        self._lock = asyncio.Lock()
        self._read = self._stamps()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator["Reloader"]:
        """Check the files periodically."""
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def reload(self) -> None:
        """Read all the files again, now."""
        async with self._lock:
            self._read = await asyncio.to_thread(self._stamps)
            try:
                await self._reload_configuration()
                self._reload_certificate()
            except Exception:  # noqa: BLE001 - whatever is wrong with these files, the next ones are to be read
                _log.exception("! the files could not be read again, what was there stays")

    async def _watch(self) -> None:
        before = self._read
        told = float("-inf")
        while True:
            if (now_at := time.time()) > told + TELL_EVERY:
                told = now_at
                self._tell_of_expiry(now_at)
            await asyncio.sleep(LOOK_EVERY)
            now = await asyncio.to_thread(self._stamps)
            if now != self._read and now == before:
                await self.reload()
            before = now

    async def _reload_configuration(self) -> None:
        if self._config is None:
            return
        if self._config.is_fifo():  # such as the shell's <(…), which says everything once: reading would wait for good
            _log.info("= %s is a pipe: what it said at the start stays", self._config)
            return
        try:
            configured = await asyncio.to_thread(read_ice_servers, self._config)
        except StartError as error:
            _refuse(error)
            return
        if configured != self._current.configured:
            self._current.configured = configured
            await self._apply(configured)
            _log.info("= %s is in force", self._config)

    def _reload_certificate(self) -> None:
        if self._certificates is None:
            return
        try:
            self._certificates.read()
        except StartError as error:
            _refuse(error)
            return
        self._certificate_changed()
        _log.info("= %s is in force", self._certificates.files.certificate)

    def _tell_of_expiry(self, now: float) -> None:
        if self._certificates and self._certificates.expires is not None:
            days = (self._certificates.expires - now) / 86400
            if days < SOON:
                file = self._certificates.files.certificate
                _log.warning("! %s: %s", file, f"expires in {days:.1f} days" if days > 0 else "has expired")

    def _stamps(self) -> dict[Path, object]:
        """Return stamps that differ when a file has changed, following links."""
        files = [*_named_in(self._config)] if self._config else []
        if self._certificates:
            files += [self._certificates.files.certificate, self._certificates.files.key]
        stamps: dict[Path, object] = {}
        for file in files:
            try:
                stat = file.stat()
                stamps[file] = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except OSError as error:
                stamps[file] = error.errno
            except ValueError:  # a zero byte in the name
                stamps[file] = None
        return stamps


def _refuse(error: StartError) -> None:
    for line in str(error).splitlines():
        _log.error("! not taken, what was there stays: %s", line)


def _named_in(config: Path) -> Iterator[Path]:
    """Return `config` and the files that it names."""
    yield config
    if config.is_fifo():
        return
    try:
        names = list(_names(tomllib.loads(config.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, RecursionError):
        return  # the actual reader reports the mistake
    yield from (config.parent / name for name in names)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, str) and key.endswith("_file"):
                yield each
            yield from _names(each)
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)
