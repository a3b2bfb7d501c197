"""Session names and links as people type, dictate and paste them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol.names import check_session_name, decoded, display_name, encoded, session_name
from pyapp.protocol.wire import MessageError


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("calm-otter-417", "calm-otter-417"),
        ("  Calm Otter 417 ", "calm-otter-417"),
        ("calm\u00a0otter\t417", "calm-otter-417"),
        ("CALM\u2013OTTER\u2014417", "calm-otter-417"),
        ("calm--otter - 417", "calm-otter-417"),
        ("calm\u200b-otter\ufeff-417", "calm-otter-417"),
        (unicodedata.normalize("NFD", "Café Zoë"), "café-zoë"),
        ("\uff43\uff41\uff4c\uff4d\uff14\uff11\uff17", "calm417"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("日本 会議", "日本-会議"),
        ("हिन्दी", "हिन्दी"),
        ("a.b_c", "a.b_c"),
    ],
)
def test_two_who_mean_the_same_session_meet(typed: str, meant: str) -> None:
    assert session_name(typed) == meant
    assert check_session_name(meant) == meant


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "a/b", "a b", "A", "cafe\u0301", "a" * 65, "日" * 65, "\U0001d538", "😀", "a\n"]
)
def test_what_names_no_session_as_it_stands(name: str) -> None:
    with pytest.raises(MessageError) as caught:
        check_session_name(name)
    assert caught.value.field == "session"


@given(st.text(max_size=80))
def test_what_was_meant_stays_what_it_is(text: str) -> None:
    name = session_name(text)
    assert session_name(name) == name


@given(st.text())
def test_what_was_encoded_is_decoded_to_the_same(text: str) -> None:
    assert decoded(encoded(text)) == text
    assert encoded(text).isascii()


def test_texts_are_encoded_as_rfc_3986_says() -> None:
    assert encoded("a-b_c.d~e") == "a-b_c.d~e"
    assert encoded("a b&#ü") == "a%20b%26%23%C3%BC"
    assert decoded("%zz%ff") == "%zz\ufffd"


@pytest.mark.parametrize(
    ("given_name", "shown"), [("  Anna \n Bell ", "Anna Bell"), ("x" * 50, "x" * 40), ("\u202eevil", "evil"), ("", "")]
)
def test_a_display_name_is_one_line(given_name: str, shown: str) -> None:
    assert display_name(given_name) == shown
