"""A full file: what stays, and what goes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from backend.journal.thinning import thin


def line(number: int, event: str = "sample", *, size: int = 100) -> bytes:
    value = {"time": number, "participant": "a", "number": number, "at": 1.0, "event": event, "data": {"x": "x" * size}}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def events(lines: list[bytes]) -> list[tuple[int, str]]:
    return [(entry["number"], entry["event"]) for entry in map(json.loads, lines)]


def test_the_beginning_the_end_and_every_outage_stay() -> None:
    lines = [line(number, "restart" if number % 50 == 0 else "sample") for number in range(1000)]
    size = sum(map(len, lines))
    kept = thin(lines, limit=size)
    assert sum(map(len, kept)) < 0.8 * size
    assert kept[:200] == lines[:200]
    assert kept[-200:] == lines[-200:]
    assert [one for one in kept if b"restart" in one] == [one for one in lines if b"restart" in one]


def test_it_says_how_many_are_missing_however_often_that_happens() -> None:
    lines = [line(number) for number in range(400)]
    missing = 0
    for _ in range(5):
        kept = thin(lines, limit=sum(map(len, lines)))
        [marker] = [json.loads(one) for one in kept if b"server-thinned" in one]
        missing += len(lines) - len([one for one in kept if b"server-thinned" not in one])
        missing -= sum(b"server-thinned" in one for one in lines)
        assert marker["data"] == {"entries": missing}
        lines = kept + [line(number) for number in range(100)]


def test_an_old_outage_goes_before_a_newer_one_if_there_are_too_many() -> None:
    lines = [line(number, "restart") for number in range(100)]
    kept = thin(lines, limit=sum(map(len, lines)))
    numbers = [number for number, event in events(kept) if event == "restart"]
    assert numbers[:20] == list(range(20))
    assert numbers[-45:] == list(range(55, 100))


def test_a_line_that_was_cut_off_by_a_full_disk_is_no_error() -> None:
    lines = [line(1), *[b'{"time":1{"event":"sample"}\n'] * 100, line(2)]
    assert len(thin(lines, limit=1000)) < len(lines)


@given(
    st.lists(st.tuples(st.sampled_from(["sample", "state", "restart"]), st.integers(0, 300)), min_size=1),
    st.integers(200, 4000),
)
def test_what_stays_is_in_order_and_fits(entries: list[tuple[str, int]], limit: int) -> None:
    lines = [line(number, event, size=size) for number, (event, size) in enumerate(entries, start=1)]
    kept = thin(lines, limit=limit)
    numbers = [number for number, event in events(kept) if event != "server-thinned"]
    assert numbers == sorted(numbers)
    assert sum(map(len, kept)) <= 3 * (limit // 4) + 150
