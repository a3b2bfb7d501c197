"""Who is in which session, since when and on which path, for the audit log."""

from collections.abc import Iterable
from dataclasses import dataclass

from backend.access.audit import Audit
from backend.access.callers import site
from backend.access.invitations import Grant
from backend.access.refusals import Refusals
from backend.signaling.rooms import Departed
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.signaling import HeldPlace, Join

_LONGEST_PATH = 64


@dataclass(slots=True)
class _Stay:
    """A participant's stay in a session. `since` is when it came; bytes as its page counted them."""

    since: float
    grant: Grant
    has_lines: bool = True
    """Whether it stands in the audit log: whoever nobody has invited has only so many lines."""
    path: str = ""
    sent: int = 0
    received: int = 0


class Stays:
    """Every stay, by session and participant. Times are seconds of a clock that does not go back."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._stays: dict[tuple[str, str], _Stay] = {}
        self._strangers = Refusals()

    def is_operator(self, join: Join) -> bool:
        """Whether the participant came in as an operator."""
        stay = self._stays.get((join.session, join.participant))
        return stay is not None and stay.grant.role == "operator"

    def has_come(self, join: Join, grant: Grant, *, address: str, now: float) -> None:
        """Record that a participant has come from `address`."""
        is_stranger = not grant.id and not grant.name  # `--open` let them in
        has_lines = not is_stranger or self._strangers.has_line(site(address), now=now)
        self._stays[join.session, join.participant] = _Stay(now, grant, has_lines)
        if not has_lines:
            return
        self._audit.note(
            "came",
            session=join.session,
            participant=join.participant,
            address=address,
            role=grant.role,
            invitation=grant.id,
            name=grant.name,
        )

    def heard(self, join: Join | HeldPlace, entries: Iterable[JournalEntry]) -> None:
        """Learn the path of a participant, and its bytes, from what its page reports."""
        if (stay := self._stays.get((join.session, join.participant))) is None:
            return
        for entry in entries:
            if entry.event in ("pair", "sample"):
                stay.path = str(entry.data.get("path", ""))[:_LONGEST_PATH]
                sent, received = entry.data.get("bytes_sent"), entry.data.get("bytes_received")
                stay.sent = sent if isinstance(sent, int) else stay.sent
                stay.received = received if isinstance(received, int) else stay.received

    def has_departed(self, departed: Departed, *, now: float) -> None:
        """Record that a participant has gone, and how long it was here."""
        stay = self._stays.pop((departed.session, departed.participant), None)
        if stay and stay.has_lines:
            self._audit.note(
                "left",
                session=departed.session,
                participant=departed.participant,
                how=departed.how,
                invitation=stay.grant.id,
                name=stay.grant.name,
                seconds=round(now - stay.since, 1),
                path=stay.path,
                bytes_sent=stay.sent,
                bytes_received=stay.received,
            )

    def sum_up(self, *, now: float) -> None:
        """Note how many stays of strangers had no lines of their own, of callers whose time is over at `now`."""
        for caller, more in self._strangers.rest(now=now):
            self._audit.note("came", address=caller, more=more)
