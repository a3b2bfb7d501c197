"""The kinds of journal entries that page, record and account share."""

from typing import Literal, TypeAlias

SAMPLES = frozenset({"sample", "stats"})
"""Entries that come every few seconds in any case, `stats` in earlier versions. Of a quiet session they go first."""

TROUBLE = frozenset({"suspect", "standby-used", "failed", "slept", "network", "server-lost"})
"""Entries with which an outage begins, or may begin."""

WELL = frozenset({"recovered", "no-alarm", "resumed"})
"""Entries with which it ends."""

MarkKind: TypeAlias = Literal["path", "suspect", "recovered", "restart", "network", "slept"]
MARKED: dict[str, MarkKind] = {
    "pair": "path",
    "suspect": "suspect",
    "recovered": "recovered",
    "attempt": "restart",
    "restart": "restart",
    "network": "network",
    "slept": "slept",
}
"""Entries that are marked on the time axis of the charts, live and afterwards."""
