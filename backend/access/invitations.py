"""Invitations: signed tokens that let somebody who is not on this machine into one session for a while.

A JWT (RFC 7519) with HMAC-SHA256: `aud` is the session. The key lives in the environment or in a file, so that
`server.py invite` in another process signs what the running server takes, and a restart invalidates nothing.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import jwt

from backend.settings import StartError
from pyapp.protocol.signaling import check_session_name
from pyapp.protocol.wire import MessageError

KEY_VARIABLE = "ICE_CONSOLE_INVITATION_KEY"
DEFAULT_TTL = 86400
"""Seconds that an invitation is good for."""

_ISSUER = "ice-console"
_MIN_KEY = 32  # RFC 7518, section 3.2: a key at least as long as the hash


class InvitationError(Exception):
    """An invitation does not let its bearer in. `code` is one of `messages.FATAL_CODES`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def existing_key(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the signing key if there is one yet, else None: then no invitation was ever signed.

    Raises `StartError` if the key is too short or cannot be read.
    """
    if (key := environ.get(KEY_VARIABLE)) is not None:
        return _checked(key.strip(), KEY_VARIABLE)
    path = _key_file(environ)
    try:
        return _checked(path.read_text(encoding="ascii").strip(), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise StartError(f"{path}: the key for invitations cannot be read") from None


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
            # A link appears whole or not at all, and never replaces: of two first uses at once, one key wins.
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


def issue_invitation(session: str, *, key: str, ttl: float, now: float) -> str:
    """Return an invitation to `session`, good for `ttl` seconds from `now` (Unix time, seconds).

    Raises `StartError` if nothing could be called `session` or `ttl` is not positive.
    """
    try:
        check_session_name(session)
    except MessageError as error:
        raise StartError(str(error)) from None
    if not 0 < ttl <= 366 * 86400:
        raise StartError("--ttl: must be from 1 second to a year")
    return jwt.encode({"iss": _ISSUER, "aud": session, "iat": int(now), "exp": int(now + ttl)}, key, algorithm="HS256")


def check_invitation(token: str, *, session: str, key: str | None, now: float) -> str:
    """Return the session that `token` is for, at `now` (Unix time, seconds), or raise `InvitationError`.

    With an empty `session` an invitation to any session will do.
    """
    if not token:
        raise InvitationError("invitation-required", "An invitation is needed to join from here.")
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
            },
        )
    except (jwt.PyJWTError, UnicodeEncodeError):  # a header may hold bytes that are no text
        raise InvitationError("invitation-invalid", "This invitation was not signed by this server.") from None
    audience, expiry = claims["aud"], claims["exp"]
    if not isinstance(audience, str) or not isinstance(expiry, int):
        raise InvitationError("invitation-invalid", "This invitation is not complete.")
    if session and audience != session:
        raise InvitationError("invitation-invalid", "This invitation is for another session.")
    if expiry <= now:
        raise InvitationError("invitation-expired", "This invitation has expired. Ask for a new one.")
    return audience


def _key_file(environ: Mapping[str, str]) -> Path:
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "ice-console" / "invitation.key"


def _checked(key: str, source: str) -> str:
    if len(key) < _MIN_KEY:
        raise StartError(f"{source}: the key for invitations must have at least {_MIN_KEY} characters")
    return key
