"""User names of ephemeral TURN credentials (draft-uberti-behave-turn-rest-00, section 2.2)."""

import re

NEAR = 366 * 86400
"""Seconds: how near to now the time of a bare user name is, unless it is something else, such as a phone number."""

_UNTIL = re.compile(r"(\d{10})(:.*)?", re.ASCII | re.DOTALL)


def expiry(username: str, *, now: float) -> int | None:
    """Return until when a user name says that it is good, or None: it says nothing. Times are Unix time in seconds.

    It is `timestamp:user` or a bare `timestamp`. Ten digits without a user may as well be a fixed user's name.
    """
    match = _UNTIL.fullmatch(username)
    if match is None:
        return None
    until = int(match[1])
    return until if match[2] or abs(until - now) <= NEAR else None
