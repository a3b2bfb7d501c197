"""The file that a series of runs is added to, a line for each: it can be cut anywhere, and goes on where it was cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.lab.recovery_seen import Run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read(file: Path) -> list[Run]:
    """Return the runs of a file, none if there is no file. Raises `ValueError` for a line that is no run, but the last.

    The last line may be one that was being written.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    runs = []
    for number, line in enumerate(lines, start=1):
        try:
            runs.append(Run.from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            if number < len(lines):
                raise ValueError(f"{file}, line {number}: {error}") from error
    return runs


def add(file: Path, runs: Iterable[Run]) -> None:
    """Add runs to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_bytes() if file.exists() else b""
    whole = before[: before.rfind(b"\n") + 1]
    if whole != before:
        file.write_bytes(whole)
    with file.open("a") as output:
        output.writelines(json.dumps(run.to_json(), allow_nan=False) + "\n" for run in runs)
