"""The link to share: whether it can be shared, the invitation in it, and the list of invitations.

An operator's page has an invitation issued for its session. A guest's page passes on its own, which is valid for both
sides. On an open server the link needs none. The page learns from the server which case it is.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core import commands, events
from pyapp.core.commands import Command
from pyapp.protocol import entries
from pyapp.protocol.access import Access, Invitation, expiry_of, invited_session
from pyapp.protocol.entries import Entry
from pyapp.protocol.names import check_session_name
from pyapp.protocol.wire import MessageError

Output: TypeAlias = Command | Entry


@dataclass(frozen=True, slots=True)
class InvitingFailure:
    """A request that the server refused or did not answer: `request` as in `events.InvitingFailed`."""

    request: events.InvitingRequest
    code: str
    reason: str


@dataclass(slots=True)
class Inviting:
    """`own` is the page's own invitation, `page` its URL without query and fragment."""

    own: str = field(default="", repr=False)
    page: str = ""
    session: str = ""
    """The session that the link leads to: the name in the field."""
    access: Access | None = None
    """What we may do, once the server has answered."""
    listed: tuple[Invitation, ...] = ()
    """The issued invitations that the server lists, oldest first."""
    failure: InvitingFailure | None = None
    address: str = ""
    """The address of the page that the person chose for links, or empty."""
    is_panel_open: bool = False
    issued: dict[str, Invitation] = field(default_factory=dict)
    """The newest invitation issued to us, by session."""
    _is_asking: bool = field(init=False, default=False)
    _is_wanted: bool = field(init=False, default=False)
    """Whether to get an invitation for the link as soon as we know what we may do."""
    issuing: set[str] = field(default_factory=set)
    """The sessions for which an invitation is requested."""

    @property
    def is_operators(self) -> bool:
        """Whether the page's invitation claims to be an operator's."""
        return bool(self.own) and not invited_session(self.own)

    @property
    def may_issue(self) -> bool:
        """Whether we are an operator where invitations are needed."""
        return self.access is not None and self.access.role == "operator" and not self.access.is_open

    @property
    def token(self) -> str:
        """The invitation in the link, or empty."""
        if issued := self.issued.get(self.session):
            return issued.token
        return self.own if self.own and invited_session(self.own) == self.session else ""

    @property
    def expires(self) -> int | None:
        """When the link stops working (Unix time, seconds), if it does."""
        return expiry_of(self.token) if self.token else None

    @property
    def is_ready(self) -> bool:
        """Whether the link can be shared: an operator's link needs its invitation first."""
        if self.token or not _can_name(self.session):
            return bool(self.session)
        return not (self.may_issue or (self.access is None and self.is_operators))

    @property
    def is_settled(self) -> bool:
        """Whether the link will no longer change by itself: what we may do is known, or cannot be known."""
        return self.failure is not None or (self.access is not None and self.is_ready)

    @property
    def base(self) -> str:
        """The page's address that links begin with."""
        if self.address:
            return self.address
        return self.others[0] if self.others and self.is_local else self.page

    @property
    def others(self) -> tuple[str, ...]:
        """The server's addresses for other machines.

        A page that came over https from a server without TLS has a proxy between them: whoever set that up wants nobody
        to go around it.
        """
        addresses = self.access.addresses if self.access else ()
        is_secure = self.page.startswith("https:")
        return tuple(address for address in addresses if address.startswith("https:") or not is_secure)

    @property
    def is_local(self) -> bool:
        """Whether the page's own address leads to this machine only (RFC 6761, section 6.3; RFC 1122, 3.2.1.3)."""
        host = self.page.partition("://")[2].partition("/")[0]
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        return name in ("localhost", "[::1]") or name.endswith(".localhost") or name.startswith("127.")

    def receive(self, event: events.InvitingEvent) -> list[Output]:
        """Handle a request of the person's, or an answer of the server's."""
        match event:
            case events.InviteOpened():
                self.is_panel_open = True
                return [*self._want(), *self._list()]
            case events.InviteClosed():
                self.is_panel_open, self.failure = False, None
                return []
            case events.LinkWanted():
                return self._want()
            case events.InvitationRequested(name, ttl):
                return self._issue(name=name, ttl=ttl, anew=True) if self.may_issue else []
            case events.RevocationRequested(identifier):
                return [commands.RevokeInvitation(identifier)]
            case events.AddressChosen(address):
                self.address = address
                return []
            case events.AccessTold(access):
                return self._told(access)
            case events.InvitationIssued(session, invitation):
                self.failure = None
                self.issuing.discard(session)
                self.issued[session] = invitation
                return [entries.Invited(session, invitation.id), *self._list()]
            case events.InvitationsListed(invitations):
                self.listed = invitations
                return self._forget_revoked()
            case events.InvitationRevoked(identifier):
                self.failure = None
                return [entries.Revoked(identifier), *self._list()]
            case events.InvitingFailed():
                return self._failed(event)

    def invited(self, own: str) -> list[Output]:
        """Take another invitation of ours, with which we may be allowed other things."""
        self.own, self.access, self.failure, self._is_asking = own, None, None, False
        return self._want() if self.is_operators or self.is_panel_open else []

    def expected(self, session: str) -> list[Output]:
        """Prepare the link of the page's first session, if we are an operator."""
        self.session = session
        return self._want() if self.is_operators else []

    def _want(self) -> list[Output]:
        if self.access is None:
            self._is_wanted = True
            if self._is_asking:
                return []
            self._is_asking = True
            return [commands.AskAccess()]
        return self._issue() if self.may_issue and not self.token else []

    def _told(self, access: Access) -> list[Output]:
        self.access, self._is_asking, self.failure = access, False, None
        wanted, self._is_wanted = self._is_wanted, False
        return [*(self._want() if wanted else []), *self._list()]

    def _issue(self, *, name: str = "", ttl: int | None = None, anew: bool = False) -> list[Output]:
        if self.session in self.issuing or not _can_name(self.session):
            return []
        self.issuing.add(self.session)
        return [commands.IssueInvitation(self.session, name, ttl, anew)]

    def _list(self) -> list[Output]:
        return [commands.ListInvitations()] if self.may_issue and self.is_panel_open else []

    def _forget_revoked(self) -> list[Output]:
        """Replace a revoked invitation in the link, wherever it was revoked."""
        revoked = {one.id for one in self.listed if one.is_revoked}
        gone = [session for session, one in self.issued.items() if one.id in revoked]
        for session in gone:
            del self.issued[session]
        return self._issue(anew=True) if self.session in gone else []

    def _failed(self, event: events.InvitingFailed) -> list[Output]:
        if not (self.failure and self.failure.request == "issue" and event.request == "list"):  # the link matters more
            self.failure = InvitingFailure(event.request, event.code, event.reason)
        self._is_asking = False
        self.issuing.clear()
        if event.request == "issue" and event.code == "operators-only":
            self.access = Access(role="guest")
        return [entries.InvitingFailed(event.request, event.reason, event.code)]


def _can_name(session: str) -> bool:
    try:
        check_session_name(session)
    except MessageError:
        return False
    return True
