"""Whether a command of the lab may begin: without a lab."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING

from tests.lab import command

if TYPE_CHECKING:
    import pytest


def _code(*arguments: str) -> int:
    parser = ArgumentParser()
    command.add_arguments(parser)
    return command.why_not(parser.parse_args(arguments))


def test_nothing_is_measured_where_no_lab_can_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "missing", lambda: ["root"])
    assert _code("--unchecked") == 2
    assert "missing: root" in capsys.readouterr().out


def test_nothing_is_measured_in_a_lab_that_is_not_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "missing", list)
    monkeypatch.setattr(command, "_lab_is_what_it_says", lambda: False)
    assert _code() == 1
    assert "nothing measured in it would count" in capsys.readouterr().out
    assert _code("--unchecked") == 0
    monkeypatch.setattr(command, "_lab_is_what_it_says", lambda: True)
    assert _code() == 0
