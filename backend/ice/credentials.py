"""Ephemeral TURN credentials, as coturn's `use-auth-secret` checks them."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TurnCredentials:
    """A user name that carries its expiry, and the password that proves it."""

    username: str
    credential: str = field(repr=False)


def turn_credentials(secret: str, *, name: str, expires: int) -> TurnCredentials:
    """Return credentials that a TURN server with this shared secret accepts until `expires` (Unix time, seconds).

    The TURN REST convention (draft-uberti-behave-turn-rest-00, section 2.2): the user name is
    `<expiry>:<name>`, the password the base64 of its HMAC-SHA1 under the secret.
    """
    username = f"{expires}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return TurnCredentials(username, base64.b64encode(digest).decode())
