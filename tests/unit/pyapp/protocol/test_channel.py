"""Frames and heartbeats on the data channels: short, and checked where they arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol.channel import (
    MAX_HELD,
    MAX_TEXT_BYTES,
    Beat,
    Body,
    Frame,
    MediaShared,
    decode_beat,
    decode_frame,
    encode_frame,
)
from pyapp.protocol.wire import MessageError

WHOLE = st.integers(0, 10**14)


class TestABeat:
    @given(st.builds(Beat, st.integers(1, 10**14), WHOLE, WHOLE, WHOLE, WHOLE, wants_echo=st.booleans()))
    def test_comes_through_unchanged(self, beat: Beat) -> None:
        assert decode_beat(beat.encode()) == beat

    def test_is_short(self) -> None:
        assert len(Beat(123_456, 123_455, 99, 100, 3).encode()) <= 28

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1",
            "1 2 3 4 5",
            "1 2 3 4 5 6 7",
            "0 0 0 100 0 0",
            "1 -2 3 4 5 0",
            "1 2.5 3 4 5 0",
            "1 2 3 4 5 x",
            "1  2 3 4 5",
            "1 2 3 4 5 0\n",
            "\u0661 2 3 4 5 0",
            "1" * 16 + " 2 3 4 5 0",
            '{"number":1}',
        ],
    )
    def test_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(MessageError):
            decode_beat(text)

    @given(st.text(st.sampled_from("0123456789 -.x"), max_size=40))
    def test_is_taken_or_refused_and_nothing_else(self, text: str) -> None:
        try:
            beat = decode_beat(text)
        except MessageError:
            return
        assert decode_beat(beat.encode()) == beat


class TestFrames:
    @given(
        st.integers(0, 2**53 - 1),
        st.text() | st.builds(MediaShared, st.booleans(), st.booleans()),
        st.integers(0, 2**53 - 1),
        st.lists(st.integers(0, 2**53 - 1), max_size=MAX_HELD),
    )
    def test_come_through_unchanged(self, number: int, body: Body, ack: int, held: list[int]) -> None:
        frame = Frame(number, body if number else None, ack, tuple(held))
        assert decode_frame(encode_frame(frame)) == frame

    def test_are_short(self) -> None:
        assert encode_frame(Frame(0, None, 7)) == '{"a":7}'
        assert encode_frame(Frame(1, "hé", 7, (9,))) == '{"a":7,"h":[9],"n":1,"t":"hé"}'
        assert encode_frame(Frame(1, MediaShared(audio=True, video=False), 7)) == '{"a":7,"n":1,"m":[true,false]}'

    @pytest.mark.parametrize(
        ("text", "field_name"),
        [
            ("", "frame"),
            ("hello", "frame"),
            ("[" * 100_000, "frame"),
            ("[1]", "frame"),
            ("null", "frame"),
            ("{}", "a"),
            ('{"a":-1}', "a"),
            ('{"a":1.0}', "a"),
            ('{"a":true}', "a"),
            ('{"a":"1"}', "a"),
            ('{"a":1,"n":-1}', "n"),
            ('{"a":1,"n":true}', "n"),
            ('{"a":1,"n":null}', "n"),
            ('{"a":1,"n":1,"t":5}', "t"),
            ('{"a":1,"n":1,"t":null}', "t"),
            ('{"a":1,"n":1}', "n"),
            ('{"a":1,"t":"x"}', "n"),
            ('{"a":1,"n":0,"t":"x"}', "n"),
            ('{"a":1,"n":1,"m":[true]}', "m"),
            ('{"a":1,"n":1,"m":[1,0]}', "m"),
            ('{"a":1,"n":1,"m":{"audio":true}}', "m"),
            ('{"a":1,"h":5}', "h"),
            ('{"a":1,"h":["2"]}', "h"),
            ('{"a":1,"h":[true]}', "h"),
            ('{"a":1,"h":[-1]}', "h"),
            (f'{{"a":{10**400}}}', "a"),
            (f'{{"a":1,"n":{10**400},"t":"x"}}', "n"),
            (f'{{"a":1,"h":[{10**400}]}}', "h"),
            (f'{{"a":1,"n":1,"t":"{"x" * (MAX_TEXT_BYTES + 1)}"}}', "t"),
            (f'{{"a":1,"h":{list(range(MAX_HELD + 1))}}}', "h"),
        ],
    )
    def test_that_are_none_are_refused(self, text: str, field_name: str) -> None:
        with pytest.raises(MessageError) as caught:
            decode_frame(text)
        assert caught.value.field == field_name
