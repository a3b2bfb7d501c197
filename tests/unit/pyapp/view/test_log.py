"""The filter of the log."""

import pytest

from pyapp.core.diagnostics.journal import LogLine
from pyapp.view.log import matcher

LINES = (
    LogLine(1, 0.0, "=", "state connection connected", "state=connection"),
    LogLine(2, 0.0, "!", "the path is suspect: silence", "evidence=silence loss=0.1"),
    LogLine(3, 0.0, ">", "candidate relay udp 192.0.2.1:5", "server=turn:one.example"),
)


@pytest.mark.parametrize(
    ("text", "trouble_only", "shown"),
    [
        ("", False, [1, 2, 3]),
        ("", True, [2]),
        ("STATE", False, [1]),
        ("one.example relay", False, [3]),
        ("relay silence", False, []),
        ("  silence ", True, [2]),
        ("relay", True, []),
    ],
)
def test_a_line_is_shown_if_it_has_every_word(text: str, trouble_only: bool, shown: list[int]) -> None:
    matches = matcher(text, trouble_only=trouble_only)
    assert [line.number for line in LINES if matches(line)] == shown
