"""Invitations: signed tokens that let a guest into one session for a while, or an operator into any.

A JWT (RFC 7519) with HMAC-SHA256: `aud` is the guest's session, and empty for an operator; `jti` names the invitation,
so that it can be revoked (`store.py`); `run`, if it is there, is the run of the server that it is good for. The key
lives in the environment or in a file, so that `server.py invite` in another process signs what the running server
takes, and a restart invalidates nothing else.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import jwt

from backend.access.throttle import NO_PAUSE, Pause
from backend.settings import StartError
from backend.state import state_folder
from pyapp.protocol.names import check_session_name, session_name
from pyapp.protocol.wire import MessageError

KEY_VARIABLE = "ICE_CONSOLE_INVITATION_KEY"
DEFAULT_TTL = 86400
"""Lifetime of an invitation, in seconds."""
LONGEST_TTL = 366 * 86400

_ISSUER = "ice-console"
_MIN_KEY = 32  # RFC 7518, section 3.2: a key at least as long as the hash


Role: TypeAlias = Literal["operator", "guest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What an admitted caller may do: an operator anything, a guest enter `session`.

    `id` is that of the invitation, empty where none was needed; `name` is for the audit log.
    """

    role: Role
    session: str = ""
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """The claims of an invitation. Times are Unix time, seconds. `session` is empty for an operator."""

    id: str
    role: Role
    session: str
    name: str
    issued: int
    expires: int
    revoked: int | None = None


class InvitationError(Exception):
    """An invitation does not let its bearer in. `code` is one of `signaling.FATAL_CODES`."""

    def __init__(self, code: str, message: str, pause: Pause = NO_PAUSE) -> None:
        """`pause` is what it costs to have tried."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.pause = pause


def existing_key(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the signing key if there is one yet, else None: then no invitation was ever signed.

    Raises `StartError` if the key is too short or cannot be read.
    """
    if (key := environ.get(KEY_VARIABLE)) is not None:
        return _checked(key.strip(), KEY_VARIABLE)
    path = _key_file(environ)
    try:
        return _checked(path.read_text(encoding="utf-8-sig").strip(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(f"{path}: the key for invitations cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path}: the key for invitations must be text in UTF-8") from None


def key_made_if_missing(environ: Mapping[str, str] = os.environ) -> str:
    """Return the signing key, and make its file (mode 0600) on first use. Raises `StartError`."""
    if (key := existing_key(environ)) is not None:
        return key
    path = _key_file(environ)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        try:
            # A link is created atomically and replaces nothing: of two simultaneous first uses, one key wins.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise StartError(f"{path}: the key for invitations cannot be made: {error.strerror}") from None
    if (key := existing_key(environ)) is None:
        raise StartError(f"{path}: the key for invitations vanished")
    return key


def new_invitation(session: str, *, name: str = "", ttl: float = DEFAULT_TTL, now: float) -> Invitation:
    """Return an invitation to `session`, or an operator's if that is empty, for `ttl` seconds from `now` (Unix time).

    Raises `StartError` if nothing could be called so, or `ttl` is not positive.
    """
    if session:
        session = session_name(session)
        try:
            check_session_name(session)
        except MessageError as error:
            raise StartError(str(error)) from None
    if not 1 <= ttl <= LONGEST_TTL:
        raise StartError("--ttl: must be from 1 second to a year")
    if len(name) > 128 or not name.isprintable():
        raise StartError("--name: must be at most 128 printable characters")
    return Invitation(
        id=secrets.token_hex(8),
        role="guest" if session else "operator",
        session=session,
        name=name,
        issued=int(now),
        expires=int(now + ttl),
    )


def sign(invitation: Invitation, *, key: str, run: str = "") -> str:
    """Return the token of `invitation`, which is good for one `run` of the server if that is given."""
    claims = {
        "iss": _ISSUER,
        "aud": invitation.session,
        "role": invitation.role,
        "jti": invitation.id,
        "name": invitation.name,
        "iat": invitation.issued,
        "exp": invitation.expires,
    }
    return jwt.encode(claims | ({"run": run} if run else {}), key, algorithm="HS256")


def check_invitation(token: str, *, session: str, key: str | None, now: float, run: str = "") -> Grant:
    """Return what `token` lets its bearer do, at `now` (Unix time, seconds), or raise `InvitationError`.

    With an empty `session` any invitation is accepted. Revocation is checked elsewhere.
    """
    if not token:
        raise InvitationError("invitation-required", "An invitation is needed to join.")
    try:
        # The times are compared below, with the caller's clock.
        claims = jwt.decode(
            token,
            key or secrets.token_hex(_MIN_KEY),  # no key yet: nothing can be valid
            algorithms=["HS256"],
            issuer=_ISSUER,
            options={
                "require": ["iss", "aud", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_jti": False,
            },
        )
    except (jwt.PyJWTError, UnicodeEncodeError):  # a header may hold bytes that are no text
        raise InvitationError("invitation-invalid", "This invitation was not signed by this server.") from None
    audience, expiry, role = claims["aud"], claims["exp"], claims.get("role", "guest")
    texts = [claims.get(name, "") for name in ("jti", "name", "run")]
    if not all(isinstance(text, str) for text in (audience, *texts)) or not isinstance(expiry, int):
        raise InvitationError("invitation-invalid", "This invitation is not complete.")
    if role not in ("operator", "guest") or (role == "guest") != bool(audience):
        raise InvitationError("invitation-invalid", "This invitation is not complete.")
    if role == "guest" and session and session_name(audience) != session:
        raise InvitationError("invitation-invalid", "This invitation is for another session.")
    if expiry <= now:
        raise InvitationError("invitation-expired", "This invitation has expired. Ask for a new one.")
    identifier, name, good_for = texts
    if good_for and good_for != run:
        raise InvitationError("invitation-expired", "This invitation was for as long as the server ran. It prints one.")
    return Grant(role=role, session=session_name(audience), id=identifier, name=name)


def _key_file(environ: Mapping[str, str]) -> Path:
    try:
        return state_folder(environ) / "invitation.key"
    except RuntimeError:  # a user of a container, whom nobody has heard of
        rule = f"no HOME, so there is no place for the key for invitations: set XDG_STATE_HOME or {KEY_VARIABLE}"
        raise StartError(rule) from None


def _checked(key: str, source: str) -> str:
    if not key.isprintable():  # UTF-16, or several lines
        raise StartError(f"{source}: the key for invitations must be one line of text in UTF-8")
    if len(key) < _MIN_KEY:
        raise StartError(f"{source}: the key for invitations must have at least {_MIN_KEY} characters")
    return key
