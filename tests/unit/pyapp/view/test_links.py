"""Addresses in a text become links; nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.view.links import Span, spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("no address here", [Span("no address here")]),
        ("https://example.org", [Span("https://example.org", "https://example.org")]),
        (
            "see http://example.org/a?b=c#d.",
            [Span("see "), Span("http://example.org/a?b=c#d", "http://example.org/a?b=c#d"), Span(".")],
        ),
        ("HTTPS://EXAMPLE.ORG", [Span("HTTPS://EXAMPLE.ORG", "HTTPS://EXAMPLE.ORG")]),
        ("www.example.org,", [Span("www.example.org", "https://www.example.org"), Span(",")]),
        ("(https://e.org/a_(b))", [Span("("), Span("https://e.org/a_(b)", "https://e.org/a_(b)"), Span(")")]),
        ("<https://e.org>", [Span("<"), Span("https://e.org", "https://e.org"), Span(">")]),
        ("mailto:a@example.org", [Span("mailto:a@example.org", "mailto:a@example.org")]),
        (
            "请看 https://例子.中国/路径。",
            [Span("请看 "), Span("https://例子.中国/路径", "https://例子.中国/路径"), Span("。")],
        ),
        ("http://[2001:db8::1]:8080/", [Span("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080/")]),
        (
            "https://a.org https://b.org",
            [Span("https://a.org", "https://a.org"), Span(" "), Span("https://b.org", "https://b.org")],
        ),
    ],
)
def test_addresses_become_links(text: str, expected: list[Span]) -> None:
    assert spans(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "data:text/html,<b>",
        "file:///etc/passwd",
        "blob:https",
        "ftp://example.org",
        "https://",
        "http:///path",
        "www.",
        "www.example",
        "mailto:nobody",
        "xhttps://example.org",
        "awww.example.org",
        "somebody@www.example.org",
    ],
)
def test_nothing_else_does(text: str) -> None:
    assert [span.href for span in spans(text)] == [""]


def test_an_address_ends_where_the_direction_of_writing_is_changed() -> None:
    assert spans("https://e.org/\u202egpj.exe") == [Span("https://e.org/", "https://e.org/"), Span("\u202egpj.exe")]


@given(st.text() | st.lists(st.sampled_from(["https://", "www.", "a.b", ").", " ", "javascript:", "@"])).map("".join))
def test_no_text_is_lost_and_every_scheme_is_safe(text: str) -> None:
    found = spans(text)
    assert "".join(span.text for span in found) == text
    assert all(span.href.lower().startswith(("https://", "http://", "mailto:")) for span in found if span.href)
