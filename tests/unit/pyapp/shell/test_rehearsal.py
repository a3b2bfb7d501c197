"""The rehearsal goes the way of a real first connection, to its end."""

from pyapp.shell.rehearsal import rehearse


def test_connects_without_trouble() -> None:
    views = list(rehearse(1))
    assert [view.status.state for view in views[-2:]] == ["connected", "closed"]
    assert views[-2].path.kind == "direct"
    assert not [line for line in views[-1].log.lines if line.mark == "!"]


def test_leaves_nothing_aside() -> None:
    assert not [line.text for line in list(rehearse(1))[-1].log.lines if "left aside" in line.text]


def test_can_be_gone_through_again_and_again() -> None:
    once = [view.status.state for view in rehearse(1)]
    assert [view.status.state for view in rehearse(3)] == once * 3
