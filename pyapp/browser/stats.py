"""What `getStats()` says of one connection, read with as little as possible crossing the border."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pyapp.browser.ffi import Listeners

Entries: TypeAlias = Mapping[str, Mapping[str, Any]]


class Stats:
    """The entries of a connection by their id, as `runtime/page/stats.mjs` picks them.

    `sampled` is given all of them after each `ask`, or `failed` the error. Of an entry that has not changed, the object
    is the one before. The callbacks live as long as `listeners`.
    """

    def __init__(
        self, pc: Any, sampled: Callable[[Entries], None], failed: Callable[[Any], None], listeners: Listeners
    ) -> None:
        from console_runtime import StatsReader  # only there in the page

        self._entries: dict[str, dict[str, Any]] = {}
        self._sampled = sampled
        changed = listeners.callback("getStats", self._changed)
        self._reader = StatsReader.new(pc, changed, listeners.callback("getStats", failed))

    def ask(self) -> None:
        """Call `getStats()`."""
        self._reader.ask()

    def close(self) -> None:
        """Hear of no answer any more."""
        self._reader.close()

    def _changed(self, changes: str) -> None:
        whole, changed, gone = json.loads(changes)
        entries = self._entries | whole
        for key, values in changed.items():
            entries[key] = entries[key] | values
        for key in gone:
            del entries[key]
        self._entries = entries
        self._sampled(entries)
