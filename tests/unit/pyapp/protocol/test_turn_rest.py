"""Until when a TURN user name says that it is good."""

import pytest

from pyapp.protocol.turn_rest import NEAR, expiry

NOW = 1_795_800_000


@pytest.mark.parametrize(
    ("username", "until"),
    [
        (f"{NOW + 3600}:demo", NOW + 3600),
        (f"{NOW + 3600}:", NOW + 3600),
        (f"{NOW + 3600}", NOW + 3600),
        (f"{NOW - 86400}", NOW - 86400),
        ("1500000000:long ago", 1_500_000_000),
        (f"{NOW + NEAR}", NOW + NEAR),
        (f"{NOW + NEAR + 1}", None),
        ("2125550123", None),  # a phone number in New York
        ("1512345678", None),  # one in Germany, without its 0
        ("8005550199", None),
        ("demo", None),
        ("demo:1795803600", None),
        ("17958036000", None),
        ("\u0661795803600", None),
        ("", None),
    ],
)
def test_a_name_says_until_when_it_is_good_or_nothing(username: str, until: int | None) -> None:
    assert expiry(username, now=NOW) == until
