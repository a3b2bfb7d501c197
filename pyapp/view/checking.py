"""The check of the network, as the page shows it. Its words are in `check.py`, imported with the first check."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core.session import Session

StepState: TypeAlias = Literal["waiting", "running", "done"]
RowState: TypeAlias = Literal["busy", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do, and who can do it."""

    who: str
    text: str


@dataclass(frozen=True, slots=True)
class UrlRow:
    """What came of one URL."""

    server: str
    way: str
    """Transport and port: `UDP 3478`."""
    state: RowState
    text: str
    figures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckPanel:
    """Everything about the latest check."""

    state: Literal["none", "running", "done", "stopped"] = "none"
    level: Literal["busy", "good", "fair", "bad", "neutral"] = "neutral"
    sentence: str = ""
    """The outcome, or what is going on."""
    forecast: str = ""
    """Whether a direct path to the other side will be possible, and why; empty with nobody there."""
    progress: float = 0.0
    """From 0 to 1."""
    steps: tuple[tuple[str, StepState], ...] = ()
    advice: tuple[Advice, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    rows: tuple[UrlRow, ...] = ()
    report: str = field(default="", repr=False)
    """The text to copy."""
    identifier: str = ""
    """Under which the server keeps the report."""
    note: str = ""
    """About the report."""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    check = session.checking.check
    return (check.number, check.revision) if check is not None else (0, 0)


def panel(session: Session) -> CheckPanel:
    """Present it."""
    check = session.checking.check
    if check is None:
        return CheckPanel()
    from pyapp.view.check import present  # noqa: PLC0415 - most visits check nothing

    return present(check)
