"""The last ten minutes."""

from pyapp.core.diagnostics.live import KEPT, Live
from pyapp.protocol.entries.sample import Sample


def test_what_is_older_than_ten_minutes_is_forgotten() -> None:
    live = Live()
    for second in range(0, 2000, 2):
        live.sampled(Sample(2.0), float(second), float(second))
        if second % 100 == 0:
            live.noted("pair", "another path", float(second), float(second))
    assert live.samples[0].at >= 1998 - KEPT
    assert live.marks[0].at >= 1900 - KEPT
    assert live.count == 1000 + 20


def test_an_attempt_and_the_restart_that_it_begins_are_one_mark() -> None:
    live = Live()
    live.noted("suspect", "the path is suspect: silence", 1.0, 1.0)
    live.noted("attempt", "attempt 1: restart", 1.0, 1.0)
    live.noted("restart", "ICE restart, attempt 1", 1.0, 1.0)
    live.noted("attempt", "attempt 2: new-connection", 4.0, 4.0)
    live.noted("restart", "ICE restart, asked for", 9.0, 9.0)
    live.noted("restart", "ICE restart, asked for", 9.5, 9.5)
    assert [(mark.at, mark.kind, mark.text) for mark in live.marks] == [
        (1.0, "suspect", "the path is suspect: silence"),
        (1.0, "restart", "attempt 1: restart"),
        (4.0, "restart", "attempt 2: new-connection"),
        (9.0, "restart", "ICE restart, asked for"),
        (9.5, "restart", "ICE restart, asked for"),
    ]


def test_only_what_tells_something_about_the_path_is_marked() -> None:
    live = Live()
    live.noted("candidate-local", "candidate host udp", 1.0, 1.0)
    live.noted("suspect", "the path is suspect: silence", 2.0, 2.0)
    assert [(mark.at, mark.kind, mark.text) for mark in live.marks] == [
        (2.0, "suspect", "the path is suspect: silence")
    ]
