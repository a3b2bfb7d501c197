from pyapp.core.partners import MOST_PARTNERS, Partners
from pyapp.protocol.channel import Piece


def test_keeps_so_many_page_loads_and_always_the_one_that_is_here() -> None:
    partners = Partners()
    for number in range(10 * MOST_PARTNERS):
        partners.meet(f"{number}", f"tab {number}")
        partners.meet("usual", "tab")
        assert "usual" in partners.threads
    assert len(partners.threads) <= MOST_PARTNERS + 1


def test_what_was_said_before_anybody_came_is_for_the_first_who_comes() -> None:
    partners = Partners()
    before = partners.thread
    assert partners.meet("a", "tab") == [before]
    assert partners.meet("b", "another tab") == []


def test_what_an_earlier_page_load_of_the_tab_never_confirmed_is_for_the_next() -> None:
    partners = Partners()
    partners.meet("a", "tab")
    first = partners.thread
    first.keep([Piece("x")], place=0)
    partners.meet("b", "another tab")
    assert partners.meet("c", "tab") == [first]
    assert partners.thread.waiting == {}


class TestAThread:
    def test_confirms_a_message_with_its_last_piece(self) -> None:
        thread = Partners().thread
        thread.keep([Piece("x", more=True), Piece("y")], place=7)
        assert thread.confirmed(2) is None
        assert thread.waiting == {7: 1}
        assert thread.confirmed(1) == 7
        assert thread.waiting == {}

    def test_puts_a_message_together_from_its_pieces(self) -> None:
        thread = Partners().thread
        assert thread.whole(Piece("x", more=True)) is None
        assert thread.whole(Piece("y")) == "xy"
        assert thread.whole(Piece("z")) == "z"
