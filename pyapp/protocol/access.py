"""How an invitation travels, and what a page may read in one without being able to check it."""

import binascii
import json

INVITATION_HEADER = "X-Invitation"
"""The request header of an invitation. Not `Authorization`, which belongs to whatever stands in front of the server."""


def invited_session(invitation: str) -> str:
    """Return the session that `invitation`, a JWT (RFC 7519), is for; empty for an operator's, or what is none.

    Nothing is proven by it: only the server can check the signature.
    """
    claims = "".join(invitation.split(".")[1:2]).replace("-", "+").replace("_", "/")
    try:
        value = json.loads(binascii.a2b_base64(claims + "=="))
    except ValueError:  # binascii.Error is one
        return ""
    session = value.get("aud") if isinstance(value, dict) else None
    return session if isinstance(session, str) else ""
