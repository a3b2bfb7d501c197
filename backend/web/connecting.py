"""`GET /ice`, `GET /ws`, `DELETE /place`: what a page needs to connect."""

import asyncio
import logging
import time
from dataclasses import replace

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage

from backend.access.invitations import Grant
from backend.access.proxies import Caller
from backend.ice.choosing import check_configuration, ice_configuration
from backend.signaling.connections import CheckJoin
from backend.signaling.socket import Upgraded, handshake_answer
from backend.web.admission import caller_of, check_origin, grant_of, held_place, identity, is_allowed, problem
from backend.web.keys import ACCESS, ACCOUNTS, CHAIN, COMPLAINTS, CURRENT, LOCAL_TURN, SIGNALING
from pyapp.protocol.check import CheckServers
from pyapp.protocol.journal import Journal, JournalEntry
from pyapp.protocol.names import check_session_name, session_name
from pyapp.protocol.signaling import MAX_FRAME_BYTES, PLACE_HEADER, Error, HeldPlace, Join, decode_client
from pyapp.protocol.wire import MessageError, encode

_log = logging.getLogger("ice_console.http")

_NO_UPGRADE = (
    "A WebSocket was asked for without 'Upgrade: websocket': a proxy in between has not passed it on. nginx needs"
    " proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and proxy_set_header Connection upgrade."
)


async def ice(request: web.Request) -> web.Response:
    """Return the caller's `RTCConfiguration`, or with `?check` every URL and what the server found at each."""
    check_origin(request)
    try:
        grant = await asker(request)
    except MessageError as error:
        raise problem(web.HTTPBadRequest, Error("malformed", str(error))) from None
    session, invitation = grant.session, grant.id
    configured = request.app[CURRENT].configured
    local = request.app[LOCAL_TURN].servers(request.host)
    if "check" in request.query:
        every = await request.app[CHAIN].every_server(session, invitation=invitation, local=local)
        asked = CheckServers(
            check_configuration(every, name=session or "console", now=time.time()),
            request.app[CHAIN].watch.health.seen() if configured.checks else {},
        )
        return web.json_response(asked.to_json(), headers={"Cache-Control": "no-store"})
    servers = await request.app[CHAIN].servers(
        session, invitation=invitation, address=request.remote or "", local=local
    )
    configuration = ice_configuration(
        servers,
        name=session or "console",
        now=time.time(),
        avoid=request.query.getall("avoid", ())[:8],
        standby=configured.standby,
    )
    configuration = request.app[CHAIN].watch.with_relayed(configuration)
    accounts = request.app[ACCOUNTS]
    configuration = replace(configuration, relay_video=accounts.relay_video(session, configured.relay_video))
    if accounts.reached(session).step == "stop":
        configuration = configuration.without_relays()
    return web.json_response(configuration.to_json(), headers={"Cache-Control": "no-store"})


async def asker(request: web.Request) -> Grant:
    """Return what lets the caller ask for the session that it names, which is empty if an operator names none.

    Raises `MessageError`. Answers 401 to whoever may not.
    """
    given = request.query.get("session", "")
    session = check_session_name(session_name(given)) if given else ""
    place = held_place(request, session)
    if place:
        return Grant(role="guest", session=place.session, id=request.app[SIGNALING].invitation_of(place))
    grant = await grant_of(request, session)
    return replace(grant, session=grant.session or session)


async def signaling(request: web.Request) -> web.StreamResponse:
    """Serve a WebSocket that aiohttp has read the handshake of."""
    check_origin(request)
    endpoint, address = request.app[SIGNALING], request.remote or ""
    if refusal := endpoint.refusal(address):
        return web.Response(
            status=503, headers={"Retry-After": "5"}, text=encode(refusal), content_type="application/json"
        )
    if hdrs.UPGRADE not in request.headers:
        request.app[COMPLAINTS].warn("no-upgrade", _NO_UPGRADE)
    answer = handshake_answer(request.headers)
    transport = request.transport
    if transport is None or transport.is_closing():  # the page left before it was answered
        return web.Response(status=400)
    check_join = _check_join(request.app, address, identity(request))
    endpoint.open(transport, address, check_join).take_over(request.protocol, answer)
    return Upgraded()


def upgrade(app: web.Application, request: RawRequestMessage, transport: asyncio.Transport, rest: bytes) -> bool:
    """Serve a WebSocket whose handshake is its connection's first request; False if `signaling` would refuse it."""
    host = request.headers.get(hdrs.HOST)
    if not host:
        return False
    who = Caller(_peer(transport), host)
    access = app[CURRENT].configured.access
    if access.proxies:
        who = caller_of(app, request, who.address, host)
    if not is_allowed(request.headers.get(hdrs.ORIGIN), who.host, access):
        return False
    try:
        answer = handshake_answer(request.headers)
    except web.HTTPException:
        return False
    if app[SIGNALING].refusal(who.address):
        return False
    check_join = _check_join(app, who.address, who.identity)
    app[SIGNALING].open(transport, who.address, check_join).begin(answer, rest)
    _log.info("< 101 GET /ws %s", who.address)
    return True


def _peer(transport: asyncio.Transport) -> str:
    name: tuple[str, ...] | None = transport.get_extra_info("peername")
    return name[0] if name else ""


def _check_join(app: web.Application, address: str, identity: str) -> CheckJoin:
    access = app[ACCESS]

    def check(join: Join) -> Grant:
        return access.check(join.invitation, join.session, address=address, identity=identity)

    return check


async def _rest(request: web.Request) -> tuple[JournalEntry, ...]:
    body = await request.read()
    if not body:
        return ()
    if len(body) > MAX_FRAME_BYTES:
        raise MessageError("body", f"at most {MAX_FRAME_BYTES} bytes")
    message = decode_client(body.decode("utf-8", "replace"))
    if not isinstance(message, Journal):
        raise MessageError("kind", "must be 'journal'")
    return message.entries


async def give_up_place(request: web.Request) -> web.Response:
    """Let a page leave whose WebSocket may be dead. The answer does not tell whether there was such a place.

    The body, if there is one, is a `Journal` frame: what could not be said on that socket.
    """
    check_origin(request)
    try:
        place = HeldPlace.from_header(request.headers.get(PLACE_HEADER, ""))
        request.app[SIGNALING].give_up(place, await _rest(request), address=request.remote or "")
    except MessageError as error:
        raise problem(web.HTTPBadRequest, Error("malformed", str(error))) from None
    return web.Response(status=204)
