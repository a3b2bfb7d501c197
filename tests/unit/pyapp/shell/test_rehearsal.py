"""The rehearsal goes the way of a real first connection, to its end."""

from collections.abc import Iterable
from itertools import groupby, pairwise

from pyapp.shell.rehearsal import rehearse
from pyapp.view.console import View


def states(views: Iterable[View]) -> list[str]:
    return [state for state, _ in groupby(view.status.state for view in views)]


def test_connects_without_trouble_as_either_side() -> None:
    views = list(rehearse(1))
    comes, waits = ["ready", "connecting", "connected", "closed"], ["ready", "connecting", "waiting", "connecting"]
    assert states(views) == [*comes, *waits, "connected", "closed"]
    for before, view in pairwise(views):
        if view.status.state == "closed":
            assert before.path.kind == "direct"
            assert not [line for line in view.log.lines if line.mark == "!"]


def test_leaves_nothing_aside() -> None:
    assert not [line for view in rehearse(1) for line in view.log.lines if "left aside" in line.text]


def test_can_be_gone_through_again_and_again() -> None:
    once = [view.status.state for view in rehearse(1)]
    assert [view.status.state for view in rehearse(3)] == once * 3
