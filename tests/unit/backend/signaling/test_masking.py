"""Following a client's frames, to see whether they are masked (RFC 6455, section 5.1)."""

import pytest

from backend.signaling.masking import Masking


def frame(size: int, *, masked: bool = True) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((0x81, bit | size))
    elif size < 1 << 16:
        head = bytes((0x81, bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((0x81, bit | 127)) + size.to_bytes(8)
    return head + b"\xff\x00\xff\x00" * masked + bytes(size)


MASKED = b"".join(frame(size) for size in (0, 1, 125, 126, 300, 65535, 65536, 0))


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 130, 4096, len(MASKED)])
def test_masked_frames_are_followed_however_they_are_cut(pieces: int) -> None:
    masking = Masking()
    assert all(masking.unmasked(MASKED[at : at + pieces]) is None for at in range(0, len(MASKED), pieces))
    assert masking.unmasked(frame(5, masked=False)) == 0


@pytest.mark.parametrize("size", [0, 5, 126, 65536])
def test_what_is_before_an_unmasked_frame_is_good(size: int) -> None:
    good = frame(3) + frame(200)
    assert Masking().unmasked(good + frame(size, masked=False) + frame(3)) == len(good)


def test_an_unmasked_frame_is_found_when_only_its_first_byte_came_before() -> None:
    masking = Masking()
    bad = frame(5, masked=False)
    assert masking.unmasked(frame(3) + bad[:1]) is None
    assert masking.unmasked(bad[1:]) == 0


def test_nothing_is_no_frame() -> None:
    masking = Masking()
    assert masking.unmasked(b"") is None
    assert masking.unmasked(frame(1)) is None
