"""Who came and went, in words."""

from pyapp.core.company import Company
from pyapp.view.company import words


def test_who_comes_second_joined_the_other() -> None:
    there = Company()
    there.arrived("tab", "", was_first=False, place=0)
    assert words(there.happenings[0]) == "You joined at {time}"
