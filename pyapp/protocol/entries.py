"""The kinds of journal entries that page, record and account share."""

SAMPLES = frozenset({"sample", "stats"})
"""Entries that come every few seconds in any case, `stats` in earlier versions. Of a quiet session they go first."""

TROUBLE = frozenset({"suspect", "standby-used", "failed", "slept", "network", "server-lost"})
"""Entries with which an outage begins, or may begin."""

WELL = frozenset({"recovered", "no-alarm", "resumed"})
"""Entries with which it ends."""
