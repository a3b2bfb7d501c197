"""How an invitation travels, what a page may read in one without being able to check it, and what it may do here."""

import binascii
import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyapp.protocol.wire import MessageError

INVITATION_HEADER = "X-Invitation"
"""The request header of an invitation. Not `Authorization`, which belongs to whatever stands in front of the server."""

MOST_INVITATION = 4096
"""Characters of an invitation."""

MOST_NAME = 128
"""Characters of what an invitation is called."""

Role: TypeAlias = Literal["operator", "guest", ""]


def claims_of(invitation: str) -> dict[str, Any]:
    """Return what `invitation`, a JWT (RFC 7519), says; nothing if it is none.

    Nothing is proven by it: only the server can check the signature.
    """
    claims = "".join(invitation.split(".")[1:2]).replace("-", "+").replace("_", "/")
    try:
        value = json.loads(binascii.a2b_base64(claims + "=="))
    except ValueError:  # binascii.Error is one
        return {}
    return value if isinstance(value, dict) else {}


def invited_session(invitation: str) -> str:
    """Return the session that `invitation` is for; empty for an operator's, or what is none."""
    session = claims_of(invitation).get("aud")
    return session if isinstance(session, str) else ""


def expiry_of(invitation: str) -> int | None:
    """Return when `invitation` expires (Unix time, seconds), or None if it does not say."""
    expires = claims_of(invitation).get("exp")
    return expires if type(expires) is int else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The answer to `GET /access`: what the caller may do.

    `role` is empty for who may do nothing. `is_open` means that nobody needs an invitation. `addresses` are those of
    the page, each with a slash at its end, under which the server can be reached from other machines.
    """

    role: Role = ""
    is_open: bool = False
    addresses: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"role": self.role, "open": self.is_open, "addresses": list(self.addresses)}

    @classmethod
    def from_json(cls, value: Any) -> "Access":
        """Return what the body of an answer says, or raise `MessageError`."""
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
    """An invitation, as operators are told of it. Times are Unix time, seconds. `session` is empty for an operator's.

    `token` is there only in the answer to who had it issued.
    """

    id: str
    session: str
    name: str
    expires: int
    is_revoked: bool = False
    token: str = field(default="", repr=False)

    @classmethod
    def from_json(cls, value: Any) -> "Invitation":
        """Return the invitation that an object of `POST /invitations` or `GET /invitations` says; or `MessageError`."""
        if not isinstance(value, dict):
            raise MessageError("invitation", "an object")
        texts = {name: value.get(name, "") for name in ("id", "session", "name", "invitation")}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise MessageError(name, "text")
        expires = value.get("expires")
        if type(expires) is not int:
            raise MessageError("expires", "a whole number of seconds")
        return cls(
            id=texts["id"],
            session=texts["session"],
            name=texts["name"],
            expires=expires,
            is_revoked=value.get("revoked") is not None,
            token=texts["invitation"],
        )


def invitations_from_json(value: Any) -> tuple[Invitation, ...]:
    """Return the invitations in the body of `GET /invitations`, or raise `MessageError`."""
    entries = value.get("invitations") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise MessageError("invitations", "a list")
    return tuple(Invitation.from_json(entry) for entry in entries)
