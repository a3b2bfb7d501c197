"""Warnings that any request can cause. They are counted rather than repeated, or a stranger could flood the log."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from backend.seldom import Seldom

_log = logging.getLogger("ice_console.http")


@dataclass(slots=True)
class _Kind:
    """One kind of warning; `unsaid` are those since one was logged."""

    seldom: Seldom = field(default_factory=Seldom)
    unsaid: int = 0


class Complaints:
    """What was complained of, by kind. `clock` is a monotonic clock in seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def warn(self, kind: str, text: str) -> None:
        """Log `text`, with the number of those of its `kind` that were left out before, or leave it out (`Seldom`)."""
        known = self._kinds.setdefault(kind, _Kind())
        if not known.seldom.is_due(self._clock()):
            known.unsaid += 1
            return
        _log.warning("! %s%s", text, f" ({known.unsaid} more like it before)" if known.unsaid else "")
        known.unsaid = 0
