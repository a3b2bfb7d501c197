"""What is asked of the server about invitations: `GET /access` and `/invitations`. Callbacks translate and emit."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

from js import JSON, AbortSignal, Date, encodeURIComponent, window
from pyodide.ffi import JsException

from pyapp.browser.ffi import OnError, jsobj, plain, promise_of, when_settled
from pyapp.core import commands
from pyapp.core.commands import InvitingCommand
from pyapp.core.events import (
    AccessTold,
    Event,
    InvitationIssued,
    InvitationRevoked,
    InvitationsListed,
    InvitingFailed,
    InvitingRequest,
)
from pyapp.protocol.access import INVITATION_HEADER, Access, Invitation, invitations_from_json
from pyapp.protocol.wire import MessageError

DEADLINE = 8000
"""Milliseconds for an answer."""
GOOD_FOR = 3600.0
"""Seconds that an invitation which this tab had issued before must still be good for, to be given away again."""
_KEPT = "ice-console-invited"


class Invitations:
    """Performs `InvitingCommand`s. `invitation` is the page's own, which goes into a header."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError, *, invitation: str) -> None:
        self._emit = emit
        self._on_error = on_error
        self.invitation = invitation

    def perform(self, command: InvitingCommand) -> None:
        """Begin what `command` says."""
        match command:
            case commands.AskAccess():
                self._ask("access", "GET", "access", lambda body: self._emit(AccessTold(Access.from_json(body))))
            case commands.ListInvitations():
                self._ask(
                    "list",
                    "GET",
                    "invitations",
                    lambda body: self._emit(InvitationsListed(invitations_from_json(body))),
                )
            case commands.RevokeInvitation(identifier):
                self._ask(
                    "revoke",
                    "DELETE",
                    f"invitations/{encodeURIComponent(identifier)}",
                    lambda _: self._emit(InvitationRevoked(identifier)),
                )
            case commands.IssueInvitation():
                self._issue(command)

    def _issue(self, command: commands.IssueInvitation) -> None:
        if not command.anew and (kept := _kept(command.session)):
            self._emit(InvitationIssued(command.session, kept))
            return

        def issued(body: Any) -> None:
            invitation = Invitation.from_json(body)
            _keep(command.session, body)
            self._emit(InvitationIssued(command.session, invitation))

        wanted: dict[str, Any] = {"session": command.session, "name": command.name}
        if command.ttl is not None:
            wanted["ttl"] = command.ttl
        self._ask("issue", "POST", "invitations", issued, wanted)

    def _ask(
        self,
        request: InvitingRequest,
        method: str,
        path: str,
        done: Callable[[Any], None],
        body: dict[str, Any] | None = None,
    ) -> None:
        headers = {INVITATION_HEADER: self.invitation} if self.invitation else {}
        options = jsobj({"method": method, "headers": headers, "cache": "no-store"})
        options.signal = AbortSignal.timeout(DEADLINE)
        if body is not None:
            options.body = JSON.stringify(jsobj(body))

        def failed(error: Any) -> None:
            self._emit(InvitingFailed(request, "no-answer", str(error)))

        def answered(response: Any) -> None:
            def read(text: Any) -> None:
                self._read(request, response, str(text), done)

            when_settled(promise_of(response, "text"), read, failed, self._on_error)

        when_settled(promise_of(window, "fetch", path, options), answered, failed, self._on_error)

    def _read(self, request: InvitingRequest, response: Any, text: str, done: Callable[[Any], None]) -> None:
        try:
            value = json.loads(text) if text else None
        except ValueError:  # a proxy's page
            self._emit(InvitingFailed(request, "not-json", f"HTTP status {response.status}"))
            return
        if not response.ok:
            problem = value if isinstance(value, dict) else {}
            reason = str(problem.get("message", f"HTTP status {response.status}"))
            self._emit(InvitingFailed(request, str(problem.get("code", "")), reason))
            return
        try:
            done(value)
        except MessageError as error:
            self._emit(InvitingFailed(request, "", str(error)))


def _kept(session: str) -> Invitation | None:
    """Return the invitation that this tab had issued to `session` last, if it is good for a while: it was reloaded."""
    with contextlib.suppress(JsException, ValueError, KeyError, TypeError):  # MessageError is a ValueError
        stored = plain(window.sessionStorage.getItem(_KEPT))
        invitation = Invitation.from_json(json.loads(stored or "")[session])
        if invitation.token and invitation.expires > Date.now() / 1000 + GOOD_FOR:
            return invitation
    return None


def _keep(session: str, body: Any) -> None:
    with contextlib.suppress(JsException):  # the person lets this site store nothing
        window.sessionStorage.setItem(_KEPT, json.dumps({session: body}))
