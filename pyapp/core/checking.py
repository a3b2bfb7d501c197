"""The check of the network, as the session sees it. The check itself is imported when the first one begins."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from pyapp.core import events
from pyapp.core.commands import Command
from pyapp.core.diagnostics.path_report import is_private
from pyapp.core.path.reach import Address, is_symmetric
from pyapp.core.peers import PeerIds
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.signaling import HeldPlace

if TYPE_CHECKING:
    from pyapp.core.check.check import Check

Output: TypeAlias = Command | Entry


@dataclass(frozen=True, slots=True)
class Occasion:
    """What the session knows when a check begins.

    `theirs` is where the other side can be reached without a relay, None with nobody there; `path` is the one in use.
    `is_relay_only` is this page's policy. `unix` is Unix time, seconds.
    """

    session: str
    unix: float
    place: HeldPlace | None = None
    theirs: frozenset[Address] | None = None
    path: Literal["direct", "relay", ""] = ""
    is_relay_only: bool = False


@dataclass(slots=True)
class Checking:
    """At most one check at a time; the last one stays to be looked at."""

    names: PeerIds
    check: "Check | None" = None
    _number: int = field(init=False, default=0)
    _is_over: bool = field(init=False, default=False)
    """Whether the journal has the end of it."""

    def begin(self, occasion: Occasion, now: float) -> list[Output]:
        """Begin a check, unless one is under way."""
        # Most visits check nothing: none of this belongs to the start of the page.
        from pyapp.core.check.check import Check  # noqa: PLC0415
        from pyapp.core.check.findings import TheirFacts  # noqa: PLC0415

        if self.check is not None and self.check.state != "done":
            return []
        self._number += 1
        theirs = occasion.theirs
        them = None
        if theirs is not None:
            has_udp = any(not is_private(address) for address, _ in theirs)
            them = TheirFacts(has_udp, is_symmetric(theirs), occasion.path, occasion.is_relay_only)
        self._is_over = False
        self.check = Check(self._number, self.names, occasion.session, occasion.place, occasion.unix, them)
        return [entries.Check("begun"), *self.check.begin(now)]

    def receive(self, event: events.CheckEvent | events.OfPeer, now: float) -> list[Output]:
        """Handle an answer, an event of one of its connections, or a request to stop."""
        if self.check is None:
            return []
        if isinstance(event, events.CheckStopRequested):
            return self._told(self.check, self.check.stop(now))
        return self._told(self.check, self.check.receive(event, now))

    def tick(self, now: float) -> list[Output]:
        """Go on (timer `CheckTimer.TICK`)."""
        return self._told(self.check, self.check.tick(now)) if self.check is not None else []

    def owns(self, event: events.OfPeer) -> bool:
        """Whether it is an event of a connection of the check."""
        return self.check is not None and self.check.owns(event)

    def _told(self, check: "Check", done: list[Command]) -> list[Output]:
        """Add what came of it, once it is over, to the journal."""
        if check.state != "done" or self._is_over:
            return [*done]
        self._is_over = True
        if check.verdict is None:
            return [*done, entries.Check("stopped")]
        problems = " ".join(f"{problem.rule}@{problem.host}" for problem in check.verdict.problems)
        took = round(check.found.took * 1000)
        over = entries.Checked(check.verdict.rule, problems, took)
        return [*done, over]
