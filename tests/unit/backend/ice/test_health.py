"""Which URLs are left out, for what, and when they are back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ice.health import IN_A_ROW, PAGES, REMEMBERED, Change, Check, Health

ONE, TWO = "turn:one.example:3478?transport=udp", "turn:two.example:3478?transport=udp"
TLS = "turns:one.example:443?transport=tcp"
GOOD, DEAD = Check(seconds=0.01), Check("no answer")


def health(*urls: str) -> Health:
    known = Health()
    known.keep(list(urls or (ONE, TWO, TLS)))
    return known


def told(known: Health, now: float, **checks: Check) -> list[Change]:
    for name, check in checks.items():
        known.checked({"one": ONE, "two": TWO, "tls": TLS}[name], check, now)
    return known.review(now)


def test_nothing_is_left_out_that_was_not_asked() -> None:
    known = health()
    assert known.review(0.0) == []
    assert not known.is_left_out(ONE)
    assert not known.is_left_out("turn:unknown.example")
    assert known.left_out() == {}


def test_two_bad_checks_leave_a_url_out_and_two_good_ones_bring_it_back() -> None:
    known = health()
    assert told(known, 0.0, one=DEAD, two=GOOD) == []
    assert known.is_unsettled
    assert told(known, 30.0, one=DEAD, two=GOOD) == [Change(ONE, "no answer")]
    assert known.is_left_out(ONE)
    assert known.is_left_out("turn:ONE.example")
    assert known.left_out() == {ONE: "no answer"}
    assert told(known, 60.0, one=GOOD, two=GOOD) == []
    assert told(known, 90.0, one=DEAD, two=GOOD) == []
    assert told(known, 120.0, one=GOOD, two=GOOD) == []
    assert told(known, 150.0, one=GOOD, two=GOOD) == [Change(ONE, "")]
    assert not known.is_unsettled
    assert known.left_out() == {}


def test_one_bad_check_between_good_ones_is_nothing() -> None:
    known = health()
    for now in range(0, 600, 60):
        assert told(known, now, one=GOOD, two=GOOD) == []
        assert told(known, now + 30, one=DEAD, two=GOOD) == []


def test_what_the_server_reaches_nothing_over_says_nothing() -> None:
    known = health()
    for now in (0.0, 30.0, 60.0):
        assert told(known, now, one=DEAD, two=DEAD, tls=GOOD) == []
    # Once it reaches one of them, the other is what is wrong.
    assert told(known, 90.0, one=DEAD, two=GOOD) == [Change(ONE, "no answer")]


def test_a_page_with_an_answer_keeps_a_url_in() -> None:
    known = health()
    told(known, 0.0, one=DEAD, two=GOOD)
    known.heard("page", "net", "turn:one.example:3478?transport=udp", answered=True, now=10.0)
    assert told(known, 30.0, one=DEAD, two=GOOD) == []
    assert told(known, 600.0, one=DEAD, two=GOOD) == []
    assert told(known, 10.0 + REMEMBERED, one=DEAD, two=GOOD) == [Change(ONE, "no answer")]


def test_an_answer_before_it_died_does_not() -> None:
    known = health()
    told(known, 0.0, one=GOOD, two=GOOD)
    known.heard("page", "net", ONE, answered=True, now=10.0)
    told(known, 30.0, one=DEAD, two=GOOD)
    assert told(known, 60.0, one=DEAD, two=GOOD) == [Change(ONE, "no answer")]


def test_pages_of_several_networks_say_what_the_server_cannot() -> None:
    known = health()
    for number in range(PAGES):
        known.heard(f"page{number}", "office", ONE, answered=False, now=1.0)
    assert known.review(1.0) == []  # all of one network, which may block it
    known.heard("home", "home", ONE, answered=False, now=2.0)
    assert known.review(2.0) == [Change(ONE, "no page had an answer")]
    assert known.review(2.0 + REMEMBERED) == [Change(ONE, "")]  # it is tried again


def test_pages_do_not_overrule_a_server_that_has_an_answer() -> None:
    known = health()
    told(known, 0.0, one=GOOD)
    for number in range(PAGES + 1):
        known.heard(f"page{number}", f"net{number}", ONE, answered=False, now=1.0)
    assert known.review(1.0) == []


def test_an_error_beside_an_answer_is_noise() -> None:
    known = health()
    for number in range(PAGES + 1):
        known.heard(f"page{number}", f"net{number}", ONE, answered=True, now=1.0)
        known.heard(f"page{number}", f"net{number}", ONE, answered=False, now=1.1)
    assert known.review(2.0) == []


def test_what_pages_say_of_others_is_nothing() -> None:
    known = health()
    for url in ("", "what", "turn:elsewhere.example", "stun:one.example"):
        known.heard("page", "net", url, answered=False, now=0.0)
    assert known.review(0.0) == []


def test_the_shortest_round_trip_of_a_host() -> None:
    known = health()
    assert known.seconds("one.example") is None
    told(known, 0.0, one=Check(seconds=0.05), tls=Check(seconds=0.02))
    assert known.seconds("one.example") == pytest.approx(0.02)
    told(known, 0.0, tls=Check(seconds=0.12))
    assert known.seconds("one.example") == pytest.approx(0.05)


def test_what_is_no_longer_configured_is_forgotten() -> None:
    known = health()
    told(known, 0.0, one=DEAD, two=GOOD)
    told(known, 1.0, one=DEAD, two=GOOD)
    known.keep([TWO])
    assert known.left_out() == {}


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "tls"]), st.booleans()), max_size=60))
def test_whatever_happens_something_is_left_and_every_change_is_told(checks: list[tuple[str, bool]]) -> None:
    known = health()
    out: set[str] = set()
    for now, (name, is_good) in enumerate(checks):
        for change in told(known, float(now), **{name: GOOD if is_good else DEAD}):
            assert (change.url in out) != bool(change.problem)
            out ^= {change.url}
        assert set(known.left_out()) == out
        assert out != {ONE, TWO, TLS}


def test_two_in_a_row_is_what_the_documents_say() -> None:
    assert IN_A_ROW == 2
