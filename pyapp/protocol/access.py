"""How an invitation is transported, what a page can read in it without verifying it, and what the caller may do."""

import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyapp.protocol.wire import MessageError

INVITATION_HEADER = "X-Invitation"
"""The request header of an invitation. `Authorization` is left to a proxy in front of the server."""

ORIGIN_HEADER = "X-Page-Origin"
"""The request header of the page's own origin, where it asks why no WebSocket opens: with a same-origin GET browsers
send no `Origin` (Fetch Standard, "append a request `Origin` header")."""

MOST_INVITATION = 4096
"""Longest invitation, in characters."""

MOST_NAME = 128
"""Longest name of an invitation, in characters."""

Role: TypeAlias = Literal["operator", "guest", ""]


_INVITATION = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""The compact serialization of a JWS (RFC 7515, section 7.1)."""


def is_invitation(text: str) -> bool:
    """Return whether `text` has the form of an invitation: cut off or mistyped ones mostly do not."""
    return len(text) <= MOST_INVITATION and bool(_INVITATION.fullmatch(text)) and bool(claims_of(text))


def claims_of(invitation: str) -> dict[str, Any]:
    """Return the claims of `invitation`, a JWT (RFC 7519); empty if it is malformed.

    They prove nothing: only the server can verify the signature.
    """
    claims = "".join(invitation.split(".")[1:2]).replace("-", "+").replace("_", "/")
    try:
        value = json.loads(binascii.a2b_base64(claims + "=="))
    except ValueError:  # binascii.Error is one
        return {}
    return value if isinstance(value, dict) else {}


def invited_session(invitation: str) -> str:
    """Return the session that `invitation` is for; empty if it is an operator's, or malformed."""
    session = claims_of(invitation).get("aud")
    return session if isinstance(session, str) else ""


def expiry_of(invitation: str) -> int | None:
    """Return when `invitation` expires (Unix time, seconds), or None if it does not say."""
    expires = claims_of(invitation).get("exp")
    return expires if type(expires) is int else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The answer to `GET /access`: what the caller may do.

    `role` is empty for a caller who may do nothing. `is_open` means that nobody needs an invitation. `addresses` are
    the page's addresses at which other machines can reach the server, each with a slash at its end.
    """

    role: Role = ""
    is_open: bool = False
    addresses: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"role": self.role, "open": self.is_open, "addresses": list(self.addresses)}

    @classmethod
    def from_json(cls, value: Any) -> "Access":
        """Return the `Access` in the body of an answer, or raise `MessageError`."""
        if not isinstance(value, dict):
            raise MessageError("access", "an object")
        role, is_open, addresses = value.get("role"), value.get("open"), value.get("addresses")
        if role not in ("operator", "guest", ""):
            raise MessageError("role", "operator, guest, or empty")
        if type(is_open) is not bool:
            raise MessageError("open", "true or false")
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise MessageError("addresses", "a list of texts")
        return cls(role=role, is_open=is_open, addresses=tuple(addresses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation, as operators see it. Times are Unix time, seconds. `session` is empty for an operator's.

    `token` is present only in the answer to its issue.
    """

    id: str
    session: str
    name: str
    expires: int
    issued: int = 0
    """0 if the server does not say."""
    is_revoked: bool = False
    token: str = field(default="", repr=False)

    @classmethod
    def from_json(cls, value: Any) -> "Invitation":
        """Return the invitation in an object of `POST /invitations` or `GET /invitations`; or raise `MessageError`."""
        if not isinstance(value, dict):
            raise MessageError("invitation", "an object")
        texts = {name: value.get(name, "") for name in ("id", "session", "name", "invitation")}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise MessageError(name, "text")
        expires = value.get("expires")
        if type(expires) is not int:
            raise MessageError("expires", "a whole number of seconds")
        issued = value.get("issued", 0)
        if type(issued) is not int:
            raise MessageError("issued", "a whole number of seconds")
        return cls(
            id=texts["id"],
            session=texts["session"],
            name=texts["name"],
            expires=expires,
            issued=issued,
            is_revoked=value.get("revoked") is not None,
            token=texts["invitation"],
        )


def invitations_from_json(value: Any) -> tuple[Invitation, ...]:
    """Return the invitations in the body of `GET /invitations`, or raise `MessageError`."""
    entries = value.get("invitations") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise MessageError("invitations", "a list")
    return tuple(Invitation.from_json(entry) for entry in entries)
