"""Admission: the one place that evaluates invitations, `--open` and a trusted proxy's identity header."""

import logging
import math
import secrets
import time

from backend.access.audit import Audit
from backend.access.callers import is_loopback, site
from backend.access.invitations import (
    LONGEST_TTL,
    Grant,
    Invitation,
    InvitationError,
    check_invitation,
    existing_key,
    key_made_if_missing,
    new_invitation,
    sign,
)
from backend.access.refusals import Refusals
from backend.access.store import Store
from backend.access.throttle import NO_PAUSE, Throttle
from backend.seldom import Seldom
from backend.settings import Settings, StartError

_log = logging.getLogger("ice_console.access")


class Access:
    """The rules of one run of the server."""

    def __init__(self, settings: Settings) -> None:
        if not settings.open_to_all:
            existing_key()  # a key that is too short stops the start, not the first guest
        self._run = secrets.token_hex(8)
        self.is_open = settings.open_to_all
        """Whether nobody needs an invitation."""
        self._is_loopback = all(is_loopback(host) for host in settings.hosts)
        self.store = Store(settings.journal)
        self.audit = Audit(settings.journal)
        self._throttle = Throttle()
        self._refusals = Refusals()
        self._told = Seldom()
        if self.is_open and not self._is_loopback:
            _log.warning("! --open: whoever reaches this server may use its sessions, and its TURN servers")

    def operator_invitation(self) -> str:
        """Return an operator's invitation that is good for as long as this server runs; empty if none is needed."""
        if self.is_open:
            return ""
        invitation = new_invitation("", name="printed at the start", ttl=LONGEST_TTL, now=time.time())
        return sign(invitation, key=key_made_if_missing(), run=self._run)

    def check(self, token: str, session: str, *, address: str, identity: str = "") -> Grant:
        """Return what the caller at `address` may do, who wants into `session`, or anywhere if that is empty.

        `identity` is who it is by the word of a proxy that is believed: an operator. Raises `InvitationError`. There
        is no exception for this machine: what a header does not say proves nothing.
        """
        if self.is_open:
            return Grant(role="operator" if self._is_loopback else "guest", session=session)
        if identity:
            return Grant(role="operator", name=identity)
        caller = site(address)
        try:
            grant = self._check(token, session)
        except InvitationError as error:
            now = time.monotonic()
            pause = self._throttle.wrong(caller, now=now) if error.code == "invitation-invalid" else NO_PAUSE
            if self._refusals.has_line(caller, now=now):
                self.audit.note("refused", code=error.code, session=session, address=address)
            if error.code == "invitation-invalid" and self._throttle.has_tried_enough(caller, now=now):
                raise InvitationError("invitation-invalid", "Too many wrong invitations.", pause) from None
            raise InvitationError(error.code, error.message, pause) from None
        return grant

    def invite(self, session: str, *, name: str, ttl: float, by: str) -> tuple[Invitation, str]:
        """Issue an invitation, remember it, and return it with its token. Raises `StartError`."""
        invitation = new_invitation(session, name=name, ttl=ttl, now=time.time())
        token = sign(invitation, key=key_made_if_missing())
        self.store.add(invitation)
        self.audit.note("invited", id=invitation.id, session=session, role=invitation.role, name=name, by=by)
        return invitation, token

    def sum_up_refusals(self, *, now: float) -> None:
        """Note how many refusals had no line of their own, of callers whose time is over at `now` (monotonic)."""
        for caller, more in self._refusals.rest(now=now):
            self.audit.note("refused", address=caller, more=more)

    def close(self) -> None:
        """Close the files."""
        self.sum_up_refusals(now=math.inf)
        self.store.close()
        self.audit.close()

    def _check(self, token: str, session: str) -> Grant:
        try:
            key = existing_key()
        except StartError as error:
            self._tell(error)
            key = None
        grant = check_invitation(token, session=session, key=key, now=time.time(), run=self._run)
        try:
            is_revoked = self.store.is_revoked(grant.id)
        except StartError as error:
            self._tell(error)
            raise InvitationError("unavailable", "Invitations cannot be checked now. Try again.") from None
        if is_revoked:
            raise InvitationError("invitation-revoked", "This invitation was taken back.")
        return grant

    def _tell(self, error: StartError) -> None:
        if self._told.is_due(time.monotonic()):  # whoever asks is in its way
            _log.error("! %s", error)
