"""Invitations: what the person asks for, and the server's answers."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.protocol.access import Access, Invitation

InvitingRequest: TypeAlias = Literal["access", "issue", "list", "revoke"]


@dataclass(frozen=True, slots=True)
class InviteOpened:
    """The person has opened the panel with the link and the invitations issued so far."""


@dataclass(frozen=True, slots=True)
class InviteClosed:
    """The person has closed that panel."""


@dataclass(frozen=True, slots=True)
class LinkWanted:
    """The link is about to be shared."""


@dataclass(frozen=True, slots=True)
class InvitationRequested:
    """The person asks for another invitation, named `name` (may be empty) and valid for `ttl` seconds."""

    name: str
    ttl: int


@dataclass(frozen=True, slots=True)
class RevocationRequested:
    """The person revokes an invitation."""

    identifier: str


@dataclass(frozen=True, slots=True)
class AddressChosen:
    """The person has chosen the page's address that links begin with."""

    address: str


@dataclass(frozen=True, slots=True)
class AccessTold:
    """`GET /access` answered."""

    access: Access


@dataclass(frozen=True, slots=True)
class InvitationIssued:
    """`POST /invitations` answered, or an earlier answer for `session` is still valid."""

    session: str
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class InvitationsListed:
    """`GET /invitations` answered."""

    invitations: tuple[Invitation, ...]


@dataclass(frozen=True, slots=True)
class InvitationRevoked:
    """`DELETE /invitations/ID` answered."""

    identifier: str


@dataclass(frozen=True, slots=True)
class InvitingFailed:
    """The server did not answer in time (`no-answer`), answered with no JSON (`not-json`), or refused with `code`."""

    request: InvitingRequest
    code: str
    reason: str


InvitingEvent: TypeAlias = (
    InviteOpened
    | InviteClosed
    | LinkWanted
    | InvitationRequested
    | RevocationRequested
    | AddressChosen
    | AccessTold
    | InvitationIssued
    | InvitationsListed
    | InvitationRevoked
    | InvitingFailed
)
