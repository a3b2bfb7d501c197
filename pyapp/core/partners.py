"""The peer's page loads: what each has acknowledged of the conversation, and who is here now."""

from dataclasses import dataclass, field
from typing import Any

from pyapp.core.congestion import Window
from pyapp.core.delivery import Delivery
from pyapp.protocol.channel import MAX_TEXT_BYTES, NOTHING_SHARED, MediaShared, Piece

MOST_PARTNERS = 16
"""How many page loads of the peer's keep their numbering; the peer can reload any number of times."""


@dataclass(slots=True)
class Thread:
    """The numbered conversation with one partner, kept in case the partner returns, who has kept its numbers."""

    pieces: Delivery[Piece] = field(default_factory=lambda: Delivery(window=Window()))
    media: Delivery[MediaShared] = field(default_factory=lambda: Delivery(window=Window()))
    begun: list[str] = field(default_factory=list)
    """The pieces so far of an incomplete message of theirs."""
    place_of: dict[int, int] = field(default_factory=dict)
    """Our unacknowledged pieces: the place of their message in the conversation, by number."""
    waiting: dict[int, int] = field(default_factory=dict)
    """How many pieces of each message are unacknowledged, by its place."""
    told: MediaShared = NOTHING_SHARED
    """What we last told the partner that we share."""
    tab: str = ""
    """The partner's browser tab."""

    def __post_init__(self) -> None:
        """Share one RTT estimate: both use the same path."""
        self.media.round_trip = self.pieces.round_trip

    @property
    def both(self) -> tuple[Delivery[Any], Delivery[Any]]:
        """Both deliveries; what is shared comes first."""
        return self.media, self.pieces

    def keep(self, pieces: list[Piece], place: int) -> None:
        """Queue the message at `place`, even if it was already sent to another partner."""
        for piece in pieces:
            self.place_of[self.pieces.keep(piece, size=len(piece.text.encode()))] = place
        self.waiting[place] = len(pieces)

    def confirmed(self, number: int) -> int | None:
        """Count a piece as acknowledged: return the place of its message if that is now complete."""
        place = self.place_of.pop(number)
        self.waiting[place] -= 1
        if self.waiting[place]:
            return None
        del self.waiting[place]
        return place

    def whole(self, piece: Piece) -> str | None:
        """Take their next piece: return the message if it is complete. One that is too long is shown in parts."""
        self.begun.append(piece.text)
        if piece.more and sum(map(len, self.begun)) <= MAX_TEXT_BYTES:
            return None
        text = "".join(self.begun)
        self.begun.clear()
        return text


@dataclass(slots=True)
class Partners:
    """The threads of a page load, by participant; the empty name holds what was said before anybody came."""

    present: str = field(init=False, default="")
    """The participant who is here, or was here last."""
    threads: dict[str, Thread] = field(init=False, default_factory=lambda: {"": Thread()})

    @property
    def thread(self) -> Thread:
        """The thread with the present partner."""
        return self.threads[self.present]

    def meet(self, participant: str, tab: str) -> list[Thread]:
        """Continue with `participant` in browser tab `tab`.

        Returns the threads whose unacknowledged messages are for this partner as well: those with earlier page loads of
        the same tab, and the one from before anybody came.
        """
        self.present = participant
        thread = self.threads.setdefault(participant, Thread(tab=tab))
        for known in list(self.threads)[:-MOST_PARTNERS]:
            if known not in ("", participant):
                del self.threads[known]
        earlier = [
            other for name, other in self.threads.items() if other is not thread and (not name or other.tab == tab)
        ]
        self.threads.pop("", None)
        return earlier
