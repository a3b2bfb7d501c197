"""A sample as an entry of the journal: short, and read back as it was."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol.entries.sample import Sample, read_sample
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import MessageError, Scalar, encode

USUAL = Sample(
    seconds=2.0,
    path="relay",
    round_trip_ms=24.0,
    jitter_ms=3.2,
    loss_in=0.0,
    loss_out=0.0039,
    bits_in=1_512_340,
    bits_out=48_200,
    frames_in=29.9,
    width_in=1280,
    height_in=720,
    available=2_400_000,
    local_type="relay",
    relay_protocol="tls",
    server="turns:turn.example.org:443?transport=tcp",
    pair="CPabcdefgh_ijklmnop",
    ufrag="a1b2",
    pair_sent=123_456_789,
    pair_received=987_654_321,
    bytes_sent=123_456_789,
    bytes_received=987_654_321,
)


def test_it_is_read_back_as_it_was() -> None:
    assert read_sample(USUAL.data()) == USUAL
    bare = Sample(1.0)
    assert bare.data() == {"seconds": 1.0, "path": "direct"}
    assert read_sample(bare.data()) == bare


def test_it_is_an_entry_and_a_day_of_them_is_small() -> None:
    entry = JournalEntry(1, 1.7e12, Sample.event, USUAL.data())
    a_day = 2 * 24 * 60 * len(encode(entry))  # one a minute, from both ends
    assert a_day < 2_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", None),
        ("path", "carrier pigeon"),
        ("loss_in", 1.5),
        ("loss_out", "much"),
        ("bits_in", -1),
        ("bits_in", 10**400),
        ("round_trip_ms", math.nan),
        ("bits_out", 0.5),
        ("freezes", True),
        ("server", "x" * 200),
        ("pair", 5),
    ],
)
def test_what_is_none_is_refused_by_its_field(name: str, value: Scalar) -> None:
    with pytest.raises(MessageError) as refused:
        read_sample({**USUAL.data(), name: value})
    assert refused.value.field == name


def test_without_its_duration_it_is_none_and_newer_fields_are_passed_over() -> None:
    with pytest.raises(MessageError, match="seconds"):
        read_sample({})
    assert read_sample({"seconds": 1.0, "of_the_future": 3}) == Sample(1.0)


@given(st.floats(0, 1), st.integers(0, 2**40))
def test_any_is_read_back_from_json(loss: float, count: int) -> None:
    one = replace(USUAL, loss_in=loss, bytes_sent=count)
    assert read_sample(json.loads(json.dumps(one.data()))) == one
