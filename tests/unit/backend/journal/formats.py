"""Readers of other formats, written from their specifications and not from what we write."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Dump:
    """What an importer of rtcstats dumps knows after reading one."""

    header: dict[str, Any]
    calls: list[tuple[float, str | None, str, list[Any]]] = field(default_factory=list)
    """Unix time in ms, connection, method, values."""

    def of(self, method: str) -> list[list[Any]]:
        return [values for _, _, name, values in self.calls if name == method]


def read_rtcstats(text: str) -> Dump:
    """Read a dump of version 3. Raises `ValueError` if an importer would stop."""
    first, second, *lines = text.split("\n")
    if first != "RTCStatsDump":
        raise ValueError("not a dump")
    header = json.loads(second)
    if header["fileFormat"] != 3:
        raise ValueError("not version 3")
    dump = Dump(header)
    now = 0.0
    for line in lines:
        if not line.strip():
            continue
        value = json.loads(line)  # one line that is no JSON ends the import
        if not isinstance(value, list):
            continue
        method, connection, *values, elapsed = value
        now += elapsed
        if elapsed < 0 or not isinstance(method, str) or not isinstance(connection, str | None):
            raise ValueError(line)
        dump.calls.append((now, connection, method, values))
    return dump
