"""What `getStats()` says of one connection, read with as little as possible crossing the border."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pyapp.browser.ffi import Listeners

Entries: TypeAlias = Mapping[str, Mapping[str, Any]]


class Stats:
    """The entries of a connection by their id, as `runtime/page/stats.mjs` picks them.

    `sampled` is given all of them after each `ask`, or `failed` the error. Of an entry that has not changed, the object
    is the one before. The callbacks live as long as `listeners`.
    """

    def __init__(
        self, pc: Any, sampled: Callable[[Entries], None], failed: Callable[[Any], None], listeners: "Listeners"
    ) -> None:
        from console_runtime import StatsReader  # only there in the page

        self._entries: Entries = {}
        self._sampled = sampled
        changed = listeners.callback("getStats", self._changed)
        self._reader = StatsReader.new(pc, changed, listeners.callback("getStats", failed))

    def ask(self) -> None:
        """Call `getStats()`."""
        self._reader.ask()

    def close(self) -> None:
        """Ignore answers from now on."""
        self._reader.close()

    def _changed(self, changes: str) -> None:
        self._entries = merged(self._entries, changes)
        self._sampled(self._entries)


def merged(entries: Entries, changes: str) -> Entries:
    """Return `entries` with `changes`, the JSON of `runtime/page/stats.mjs`: entries, values of others, ids gone."""
    whole, changed, gone = json.loads(changes)
    result = {**entries, **whole}
    for key, values in changed.items():
        result[key] = {**result[key], **values}
    for key in gone:
        del result[key]
    return result
