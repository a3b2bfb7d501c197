"""The window of RFC 9002, section 7."""

import pytest

from pyapp.core.congestion import INITIAL, LEAST, PACKET, Window


def test_doubles_in_a_round_trip_at_first() -> None:
    window = Window()
    for _ in range(INITIAL // PACKET):
        window.acknowledged(PACKET, 0.0, is_full=True)
    assert window.size == 2 * INITIAL


def test_does_not_grow_by_what_did_not_need_it() -> None:
    window = Window()
    window.acknowledged(PACKET, 0.0, is_full=False)
    assert window.size == INITIAL


def test_is_halved_once_for_all_that_was_on_its_way() -> None:
    window = Window()
    for sent_at in (0.1, 0.2, 0.3):
        window.lost(sent_at, now=0.3)
    assert window.size == INITIAL / 2
    window.lost(0.31, now=0.5)
    assert window.size == INITIAL / 4


def test_grows_by_a_packet_in_a_round_trip_after_a_loss_and_only_by_what_was_sent_since() -> None:
    window = Window()
    window.lost(0.1, now=0.2)
    window.acknowledged(PACKET, 0.15, is_full=True)
    assert window.size == INITIAL / 2
    for _ in range(INITIAL // 2 // PACKET):
        window.acknowledged(PACKET, 0.3, is_full=True)
    assert window.size == pytest.approx(INITIAL / 2 + PACKET, rel=0.1)


def test_has_a_least_and_a_most() -> None:
    window = Window(most=20_000)
    for _ in range(100):
        window.acknowledged(PACKET, 0.0, is_full=True)
    assert window.size == 20_000
    for number in range(1, 20):
        window.lost(number, now=number)
    assert window.size == LEAST


def test_is_the_least_after_a_silence_and_then_doubles_up_to_half_of_what_it_was() -> None:
    window = Window(size=10 * LEAST)
    window.silent(1.0)
    window.silent(2.0)
    assert window.size == LEAST
    for _ in range(12):
        window.acknowledged(PACKET, 3.0, is_full=True)
    assert 5 * LEAST <= window.size < 6 * LEAST
