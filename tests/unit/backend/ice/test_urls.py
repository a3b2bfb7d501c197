"""STUN and TURN URLs as people write them: what a page gets of them, and why it does not get the others."""

import pytest

from backend.ice.urls import sort_out, tidy
from pyapp.protocol.ice import IceError, UnusableUrlError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" stun:s.example \n", "stun:s.example"),
        ("STUN:s.example:3478", "stun:s.example:3478"),
        ("stun:s.example?transport=udp", "stun:s.example"),
        ("stun:s.example:3479?transport=UDP", "stun:s.example:3479"),
        ("Turn:T.example?Transport=TCP", "turn:T.example?transport=tcp"),
        ("turns:[2001:DB8::1]:443?transport=tcp", "turns:[2001:DB8::1]:443?transport=tcp"),
    ],
)
def test_a_url_is_written_as_every_browser_takes_it(text: str, url: str) -> None:
    assert tidy(text) == url
    assert tidy(url) == url


@pytest.mark.parametrize("text", ["stun:s.example?transport=tcp", "stuns:s.example", "turns:t.example?transport=udp"])
def test_what_is_valid_and_of_no_use_is_told_from_what_is_wrong(text: str) -> None:
    with pytest.raises(UnusableUrlError):
        tidy(text)


@pytest.mark.parametrize(
    "text", ["", "s.example", "stun", "stun:", "stun :s.example", "stun:s.example?transport=sctp", "http://s.example"]
)
def test_what_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(IceError) as raised:
        tidy(text)
    assert not isinstance(raised.value, UnusableUrlError)


class TestAList:
    def test_of_nothing_is_nothing(self) -> None:
        found = sort_out([])
        assert (found.urls, found.left_out, found.errors) == ((), (), ())

    def test_keeps_its_order_and_the_first_of_those_that_are_the_same(self) -> None:
        found = sort_out(["turn:b.example", "turn:a.example", " turn:B.example:3478?transport=udp"])
        assert found.urls == ("turn:b.example", "turn:a.example")
        (same,) = found.left_out
        assert same.url == "turn:B.example:3478?transport=udp", "without the spaces around it"
        assert same.why == "it is the same as 'turn:b.example'"

    def test_has_each_server_once_for_each_transport(self) -> None:
        urls = ("turn:t.example", "turn:t.example?transport=tcp", "turns:t.example:3478", "stun:t.example")
        assert sort_out(urls).urls == urls

    def test_says_why_without_naming_the_url_twice(self) -> None:
        (one,) = sort_out([" stun:s.example?transport=tcp"]).left_out
        assert one.url == "stun:s.example?transport=tcp"
        assert one.url not in one.why

    def test_with_mistakes_still_has_what_is_right(self) -> None:
        found = sort_out(["nonsense", "stun:s.example", "turn:t.example:0", "turn:t.example:53"])
        assert found.urls == ("stun:s.example",)
        assert ["nonsense" in str(error) for error in found.errors] == [True, False]
        assert [one.url for one in found.left_out] == ["turn:t.example:53"]

    def test_may_be_read_once_alone(self) -> None:
        assert sort_out(iter(["stun:s.example", "stun:s.example"])).urls == ("stun:s.example",)
