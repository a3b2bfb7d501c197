"""Frames and heartbeats on the data channels: short, and checked where they arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol.channel import (
    MAX_BEAT_DUE,
    MAX_BEAT_HELD,
    MAX_HELD,
    MAX_PIECE_BYTES,
    MAX_TEXT_BYTES,
    Beat,
    Body,
    Frame,
    MediaShared,
    Piece,
    decode_beat,
    decode_frame,
    encode_frame,
    split,
)
from pyapp.protocol.wire import MessageError

WHOLE = st.integers(0, 10**14)
HELD, DUE = st.integers(0, MAX_BEAT_HELD), st.integers(0, MAX_BEAT_DUE)
BEATS = st.builds(
    Beat, st.integers(1, 10**14), WHOLE, HELD, DUE, WHOLE, wants_echo=st.booleans(), is_deaf=st.booleans()
)


class TestABeat:
    @given(BEATS)
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
            f"1 0 {MAX_BEAT_HELD + 1} 100 0 0",
            f"1 0 0 {MAX_BEAT_DUE + 1} 0 0",
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


def ranges(ack: int, steps: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges above `ack`: so many missing, so many there."""
    result, last = [], ack
    for missing, there in steps:
        result.append((last + missing + 1, last + missing + there))
        last += missing + there
    return tuple(result)


STEPS = st.tuples(st.integers(1, 100), st.integers(1, 100))


class TestFrames:
    @given(
        st.integers(0, 2**53 - 1 - 10**4),
        st.builds(Piece, st.text(max_size=MAX_PIECE_BYTES // 4), st.booleans())
        | st.builds(MediaShared, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
        st.integers(0, 2**53 - 1 - 10**4),
        st.lists(STEPS, max_size=MAX_HELD),
        st.integers(0, 2**53 - 1 - 10**4),
    )
    def test_come_through_unchanged(
        self, number: int, body: Body, ack: int, held: list[tuple[int, int]], media_ack: int
    ) -> None:
        frame = Frame(number, body if number else None, ack, ranges(ack, held), media_ack)
        assert decode_frame(encode_frame(frame)) == frame

    def test_are_short(self) -> None:
        assert encode_frame(Frame(0, None, 7)) == '{"a":7}'
        assert encode_frame(Frame(1, Piece("hé"), 7, ((9, 9),))) == '{"a":7,"h":[2,2],"n":1}\nhé'
        assert encode_frame(Frame(2, Piece("a\nb", more=True), 0, (), 3)) == '{"a":0,"s":3,"n":2,"c":true}\na\nb'
        assert encode_frame(Frame(1, MediaShared(audio=True, video=False), 7)) == '{"a":7,"n":1,"m":[true,false]}'
        muted = MediaShared(audio=True, video=True, video_muted=True)
        assert encode_frame(Frame(1, muted, 7)) == '{"a":7,"n":1,"m":[true,true],"u":[false,true]}'

    def test_fit_one_packet_with_room_for_an_acknowledgement_of_sctp(self) -> None:
        held = ranges(1_000_000, [(30, 30)] * MAX_HELD)
        longest = Frame(9_999_999, Piece("x" * MAX_PIECE_BYTES, more=True), 1_000_000, held, 999)
        assert 12 + 16 + len(encode_frame(longest).encode()) <= 1191 - 80

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
            ('{"a":1,"n":1}', "n"),
            ('{"a":1}\nx', "n"),
            ('{"a":1,"n":0}\nx', "n"),
            ('{"a":1,"n":1,"m":[true,true]}\nx', "m"),
            ('{"a":1,"n":1}\n' + "x" * (MAX_PIECE_BYTES + 1), "frame"),
            ('{"a":1,"s":-1}', "s"),
            ('{"a":1,"n":1,"m":[true]}', "m"),
            ('{"a":1,"n":1,"m":[1,0]}', "m"),
            ('{"a":1,"n":1,"m":{"audio":true}}', "m"),
            ('{"a":1,"h":5}', "h"),
            ('{"a":1,"h":["2","2"]}', "h"),
            ('{"a":1,"h":[true,true]}', "h"),
            ('{"a":1,"h":[2]}', "h"),
            ('{"a":1,"h":[1,2]}', "h"),
            ('{"a":1,"h":[3,2]}', "h"),
            ('{"a":1,"h":[2,3,4,5]}', "h"),
            (f'{{"a":1,"h":{list(range(2, 4 * MAX_HELD + 6, 2))}}}', "h"),
            (f'{{"a":{10**400}}}', "a"),
            (f'{{"a":1,"n":{10**400}}}\nx', "n"),
            (f'{{"a":1,"h":[2,{10**400}]}}', "h"),
        ],
    )
    def test_that_are_none_are_refused(self, text: str, field_name: str) -> None:
        with pytest.raises(MessageError) as caught:
            decode_frame(text)
        assert caught.value.field == field_name


class TestPieces:
    @given(st.text(), st.integers(0, 3))
    def test_are_the_text_and_each_fits(self, text: str, factor: int) -> None:
        text *= 10**factor
        pieces = split(text)
        assert "".join(piece.text for piece in pieces) == text
        assert [piece.more for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        assert all(len(piece.text.encode()) <= MAX_PIECE_BYTES for piece in pieces)

    @pytest.mark.parametrize("character", ["x", "\u00fc", "\u20ac", "\U0001f600"])
    def test_are_as_few_as_they_can_be(self, character: str) -> None:
        assert len(split(character * (MAX_PIECE_BYTES // len(character.encode())))) == 1
        longest = character * (MAX_TEXT_BYTES // len(character.encode()))
        assert len(split(longest)) == -(-MAX_TEXT_BYTES // MAX_PIECE_BYTES)
