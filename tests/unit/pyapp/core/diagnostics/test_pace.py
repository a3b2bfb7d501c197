"""How often the journal has a sample."""

from pyapp.core.diagnostics.pace import FIRST_PAUSE, LAST_PAUSE, Pace


def begun() -> Pace:
    pace = Pace()
    pace.changed(-FIRST_PAUSE)
    return pace


def noted(pace: Pace, start: float, end: float, *, every: float = 2.0) -> list[float]:
    """Return when samples are noted that are taken `every` so many seconds."""
    times = [start + number * every for number in range(int((end - start) / every))]
    return [time for time in times if pace.is_due(time)]


def test_a_day_in_which_nothing_happens_is_little_to_read() -> None:
    times = noted(begun(), 0.0, 86_400.0)
    assert times[:7] == [0.0, 2.0, 6.0, 14.0, 30.0, 62.0, 122.0]
    assert times[-1] - times[-2] == LAST_PAUSE
    assert len(times) < 1500


def test_what_happens_has_its_surroundings_in_full() -> None:
    pace = begun()
    noted(pace, 0.0, 1000.0)
    pace.changed(1001.0)
    assert noted(pace, 1001.0, 1020.0) == [1003.0, 1005.0, 1009.0, 1017.0]


def test_a_sample_that_comes_a_little_early_counts() -> None:
    assert len(noted(begun(), 0.0, 8.0, every=1.99)) == 3
