"""What `make bench-boot` makes of its measurements: medians, ratios, and which targets are missed."""

import pytest

from tests.bench.boot import PAGES, VISITS, Row, Visit, compare, report


def visits(**of_the_console: float) -> dict[tuple[str, str], list[Visit]]:
    """Return three visits of each kind, one of them disturbed: the console's as given, the others' 1 s and 100 kB."""
    found = {}
    for kind in VISITS:
        for page in PAGES:
            given = {"cpu": 1.0, "wall": 1000.0, "paint": 1000.0, "received": 100_000}
            given |= of_the_console if page == "console" else {}
            usual, disturbed = (
                Visit(
                    given["cpu"] * by, given["wall"] * by, given["paint"] * by, {"a": int(given["received"] * by)}, {}
                )
                for by in (1, 9)
            )
            found[page, kind] = [usual, disturbed, usual]
    return found


def row(rows: list[Row], kind: str, label: str) -> Row:
    return next(row for row in rows if (row.kind, row.label) == (kind, label))


def test_a_page_within_every_target_misses_none() -> None:
    found = visits(cpu=0.3, wall=400, paint=1300, received=50_000)
    rows = compare(found)
    assert [row for row in rows if row.missed] == []
    assert "MISSED" not in report(rows, found)


@pytest.mark.parametrize(
    ("value", "missed"),
    [
        ({"cpu": 0.31}, [("warm", "main thread, ms"), ("restart", "main thread, ms")]),
        ({"wall": 490.0}, [("cold", "ready, ms"), ("warm", "ready, ms")]),
        ({"paint": 1310.0}, [(kind, "paint, ms") for kind in VISITS]),
        ({"received": 51_000}, [("warm", "received, kB")]),
    ],
)
def test_what_is_missed_is_marked(value: dict[str, float], missed: list[tuple[str, str]]) -> None:
    found = visits(**({"cpu": 0.3, "wall": 400.0, "paint": 1300.0, "received": 50_000} | value))
    rows = compare(found)
    assert [(row.kind, row.label) for row in rows if row.missed] == missed
    marked = [line for line in report(rows, found).splitlines() if line.endswith(" MISSED")]
    assert all(line.startswith(kind) and label in line for line, (kind, label) in zip(marked, missed, strict=True))


def test_what_is_compared_is_the_median() -> None:
    rows = compare(visits(cpu=0.2, paint=500.0))
    cpu, paint = (row(rows, "cold", label) for label in ("main thread, ms", "paint, ms"))
    assert (cpu.medians, cpu.ratio) == ((200, 1000, 1000), 0.2)
    assert paint.ratio == 0.5
