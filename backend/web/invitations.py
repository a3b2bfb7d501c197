"""`POST /invitations`, `GET /invitations`, `DELETE /invitations/ID`: for operators. `GET /access`: who one is here."""

import time
from dataclasses import asdict
from functools import partial
from typing import Any

from aiohttp import web

from backend.access.control import Access
from backend.access.invitations import DEFAULT_TTL, Grant, Invitation
from backend.settings import StartError
from pyapp.protocol.access import Access as AccessTold
from pyapp.protocol.wire import MessageError, parse

MOST_BYTES = 4096
"""Largest request body, in bytes."""

_NO_STORE = {"Cache-Control": "no-store"}


async def invite(request: web.Request, access: Access, by: Grant) -> web.Response:
    """Answer with a new invitation. Raises `MessageError`."""
    if (request.content_length or 0) > MOST_BYTES:
        raise MessageError("body", f"at most {MOST_BYTES} bytes")
    body = parse((await request.content.read(MOST_BYTES)).decode("utf-8", "replace"))
    if not isinstance(body, dict) or not body.keys() <= {"session", "name", "ttl"}:
        raise MessageError("body", "an object with session, and, if wanted, name and ttl")
    session, name, ttl = body.get("session", ""), body.get("name", ""), body.get("ttl", DEFAULT_TTL)
    if not isinstance(session, str) or not session or not isinstance(name, str) or type(ttl) is not int:
        raise MessageError("body", "session: text; name: text; ttl: a whole number of seconds")
    try:
        invitation, token = access.invite(session, name=name, ttl=ttl, by=by.name or by.id)
    except StartError as error:
        raise MessageError("body", str(error)) from None
    return web.json_response(_json(invitation) | {"invitation": token}, status=201, headers=_NO_STORE)


def told(access: AccessTold) -> web.Response:
    """Return what the caller may do."""
    return web.json_response(access.to_json(), headers=_NO_STORE)


def listed(access: Access) -> web.Response:
    """Return the invitations, without their tokens."""
    now = time.time()
    current = [_json(one) for one in access.store.all() if one.expires > now]
    return web.json_response({"invitations": current}, headers=_NO_STORE)


def revoke(identifier: str, access: Access, by: Grant) -> web.Response:
    """Have an invitation revoked; `revoking` puts that into force."""
    note = partial(access.audit.note, "revoked", id=identifier, by=by.name or by.id)
    if not access.store.revoke(identifier, now=time.time(), note=note):
        return web.json_response({"code": "unknown", "message": "No such invitation."}, status=404, headers=_NO_STORE)
    return web.Response(status=204, headers=_NO_STORE)


def _json(invitation: Invitation) -> dict[str, Any]:
    return asdict(invitation)
