"""What is left out of a full journal file: never its beginning, and no outage if that can be avoided. Pure.

A session that runs for days mostly logs that nothing happened (`ROUTINE`). Its beginning shows how it connected, its
end how it is now, and between them the other entries matter. So a full file keeps its first and its last quarter;
between them every second routine entry is dropped, repeatedly, until the middle takes a quarter, too. Only if the other
entries take more than that, the oldest of them are dropped.
"""

import json
from collections.abc import Sequence
from typing import Any

ROUTINE = frozenset({b"sample"})
"""Events that are written every few seconds in any case."""

THINNED = b"server-thinned"
"""The event in place of dropped entries; its data says how many."""


def thin(lines: Sequence[bytes], *, limit: int) -> list[bytes]:
    """Return what remains of the `lines` of a journal that must become shorter than `limit` bytes."""
    quarter = limit // 4
    head = _fitting(lines, quarter)
    rest = lines[head:]
    tail = _fitting(rest[::-1], quarter)
    between, end = rest[: len(rest) - tail], rest[len(rest) - tail :]
    earlier = sum(_left_out(line) for line in between)
    middle = [line for line in between if _event(line) != THINNED]
    before = len(middle)
    while _size(middle) > quarter and any(_event(line) in ROUTINE for line in middle):
        middle = _every_second_routine_one(middle)
    middle = middle[len(middle) - _fitting(middle[::-1], quarter) :]
    left_out = earlier + before - len(middle)
    return [*lines[:head], *([_marker(between[0], left_out)] if left_out else []), *middle, *end]


def _fitting(lines: Sequence[bytes], size: int) -> int:
    """Return how many of the first lines take at most `size` bytes."""
    taken = 0
    for number, line in enumerate(lines):
        taken += len(line)
        if taken > size:
            return number
    return len(lines)


def _every_second_routine_one(lines: Sequence[bytes]) -> list[bytes]:
    kept = []
    keep = False
    for line in lines:
        if _event(line) in ROUTINE:
            keep = not keep
            if not keep:
                continue
        kept.append(line)
    # The last one alone would stay for ever.
    return kept if len(kept) < len(lines) else [line for line in lines if _event(line) not in ROUTINE]


def _size(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines))


def _event(line: bytes) -> bytes:
    """Return the event of a line, as `writer.to_line` writes it: nothing that comes before can hold a quote."""
    return line.partition(b'"event":"')[2].partition(b'"')[0]


def _left_out(line: bytes) -> int:
    return int(_entry(line)["data"]["entries"]) if _event(line) == THINNED else 0


def _marker(first: bytes, entries: int) -> bytes:
    """Return the line that says how many entries are missing, from about the time of the `first` of them."""
    value = _entry(first) | {"number": 0, "event": THINNED.decode(), "data": {"entries": entries}}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _entry(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:  # a disk was full in its middle
        return {}
