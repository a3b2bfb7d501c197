"""Who asks, and what they may ask: the caller, its origin, its invitation, its place."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage

from backend.access.callers import is_own_origin
from backend.access.configured import ConfiguredAccess
from backend.access.invitations import Grant, InvitationError
from backend.access.proxies import Caller, caller
from backend.web.keys import ACCESS, CALLER, COMPLAINTS, CURRENT, SIGNALING
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.signaling import PLACE_HEADER, Error, HeldPlace
from pyapp.protocol.wire import encode

_NOTHING = """404: ICE Console has nothing here.
A proxy that serves it under a path must take that path off. In nginx, both addresses end with a slash:
location /console/ { proxy_pass http://127.0.0.1:8080/; }
"""


@web.middleware
async def know_caller(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Attach the client's address and host, as a trusted proxy reports them, to the request."""
    access = request.app[CURRENT].configured.access
    if access.proxies:
        who = caller_of(request.app, request, request.remote or "", request.host)
        request[CALLER] = who
        request = request.clone(remote=who.address, host=who.host)
    return await handler(request)


@web.middleware
async def explain_missing(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Say what is wrong, most of the time, where there is nothing."""
    if isinstance(request.match_info.http_exception, web.HTTPNotFound):
        raise web.HTTPNotFound(text=_NOTHING)
    return await handler(request)


def caller_of(app: web.Application, request: web.Request | RawRequestMessage, peer: str, host: str) -> Caller:
    """Return who asks `request`, which came from `peer` for `host`, as a trusted proxy reports it."""
    access = app[CURRENT].configured.access
    who = caller(
        peer,
        host=host,
        headers={name.lower(): request.headers.getall(name) for name in request.headers},
        proxies=access.proxies,
        identity_header=access.identity_header,
    )
    if who.has_identities:
        app[COMPLAINTS].warn(
            "identities",
            f"{access.identity_header} came from the proxy {who.proxy} more than once, with different values: none is"
            " believed. Have the proxy overwrite what clients send ([access] identity_header)",
        )
    return who


def identity(request: web.Request) -> str:
    """Return the name that a single sign-on in front gives the caller, or empty."""
    return request[CALLER].identity if CALLER in request else ""


def check_origin(request: web.Request, named: str | None = None) -> None:
    """Answer 403 to a page of another origin: the request's `Origin`, or what the page has `named` without one."""
    origin = request.headers.get(hdrs.ORIGIN, named)
    if is_allowed(origin, request.host, request.app[CURRENT].configured.access):
        return
    proxy = request[CALLER].proxy if CALLER in request else ""
    advice = (
        f"Have the proxy {proxy} send the host and port that the browser asked for as X-Forwarded-Host (nginx:"
        " $http_host), or name"
        if proxy
        else "Behind a proxy, name it in [access] proxies, so that its X-Forwarded-Host is believed, or"
    )
    rule = (
        f"The page is of {origin:.200}, and this server was asked as {request.host:.200}."
        f" {advice} the page's origin in [access] origins."
    )
    request.app[COMPLAINTS].warn("foreign-origin", rule)
    raise problem(web.HTTPForbidden, Error("foreign-origin", rule))


def is_allowed(origin: str | None, host: str, access: ConfiguredAccess) -> bool:
    """Return whether a page of `origin` may ask this server as `host`."""
    return is_own_origin(origin, host=host) or str(origin).lower() in access.origins


async def grant_of(request: web.Request, session: str = "") -> Grant:
    """Return what the caller's invitation grants; answers 401 if that is nothing."""
    try:
        token = request.headers.get(INVITATION_HEADER, "").strip()
        return request.app[ACCESS].check(token, session, address=request.remote or "", identity=identity(request))
    except InvitationError as error:
        await asyncio.sleep(error.pause.delay)
        headers = {"WWW-Authenticate": "Invitation"}  # a 401 has one (RFC 9110, section 15.5.2)
        if error.pause.retry_after:
            headers["Retry-After"] = str(math.ceil(error.pause.retry_after))  # section 10.2.3: whole seconds
        raise problem(web.HTTPUnauthorized, Error(error.code, error.message), headers) from None


async def operator_of(request: web.Request) -> Grant:
    """Return the grant of a caller who is an operator; answers 401 or 403 to anybody else."""
    check_origin(request)
    grant = await grant_of(request)
    if grant.role != "operator":
        raise problem(web.HTTPForbidden, Error("operators-only", "Only an operator may do this."))
    return grant


def held_place(request: web.Request, session: str) -> HeldPlace | None:
    """Return the place in `session` that the caller proves to hold, even after its invitation has expired, or None."""
    if not (text := request.headers.get(PLACE_HEADER)):
        return None
    place = HeldPlace.from_header(text)
    is_held = session in ("", place.session) and request.app[SIGNALING].holds(place)
    return place if is_held else None


def problem(kind: type[web.HTTPException], error: Error, headers: Mapping[str, str] | None = None) -> web.HTTPException:
    """Return an answer that carries `error`."""
    return kind(
        text=encode(error), content_type="application/json", headers={"Cache-Control": "no-store"} | dict(headers or {})
    )
