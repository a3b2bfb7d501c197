"""How a page proves over HTTP that it holds a place in a session: one header, never a part of an address."""

from dataclasses import dataclass, field

from pyapp.protocol.signaling import check_session_name
from pyapp.protocol.wire import MessageError, check_identifier, check_length

PLACE_HEADER = "X-Place"
"""Of `GET /ice`: whoever holds a place needs no fresh invitation. Where it proves nothing, the invitation counts."""

_LONGEST = 64 + 2 * 33


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """A place as `Join` took it: `key` proves that the caller is who joined."""

    session: str
    participant: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no `Join` could say."""
        check_session_name(self.session)
        check_identifier("participant", self.participant)
        check_identifier("key", self.key)

    def encode(self) -> str:
        """Return the value of the header `PLACE_HEADER`."""
        return f"{self.session}:{self.participant}:{self.key}"


def decode_place(value: str) -> HeldPlace:
    """Return the place in the value of the header, or raise `MessageError`."""
    check_length(PLACE_HEADER, value, _LONGEST)
    parts = value.split(":")  # which stands in none of them
    if len(parts) != 3:
        raise MessageError(PLACE_HEADER, "session, participant and key, joined by ':'")
    return HeldPlace(*parts)
