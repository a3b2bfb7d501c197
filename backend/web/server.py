"""HTTP: the page and its assets, `GET /ice`, `GET /ws`, `GET /healthz`."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http import RawRequestMessage

from backend.access.callers import host_name, is_loopback, is_own_origin
from backend.access.configured import ConfiguredAccess
from backend.access.control import Access
from backend.access.invitations import Grant, InvitationError
from backend.access.limits import Buckets
from backend.access.proxies import Caller, caller
from backend.cost.accounts import Accounts
from backend.cost.telling import Telling
from backend.ice.chain import Chain
from backend.ice.choosing import check_configuration, ice_configuration
from backend.ice.ice_servers import ConfiguredIce, read_ice_servers
from backend.ice.local_turn import LocalTurn
from backend.journal.writer import Journal
from backend.metrics.gauges import Gauges, Now
from backend.metrics.meters import Meters
from backend.seldom import Seldom
from backend.settings import Settings, StartError
from backend.signaling.endpoint import CheckJoin, Signaling
from backend.web import checks, invitations, sessions
from backend.web.assets import Assets, choose_encoding
from backend.web.certificates import Certificates
from backend.web.front import Front
from backend.web.hearing import Hearing
from backend.web.listening import listen
from backend.web.metrics import HOW_TO_ALLOW, exposition, may_ask
from backend.web.reaching import other_addresses
from backend.web.reloading import Current, Reloader
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.access import Access as AccessTold
from pyapp.protocol.check import CheckServers
from pyapp.protocol.names import check_session_name, session_name
from pyapp.protocol.signaling import PLACE_HEADER, Error, HeldPlace, Join
from pyapp.protocol.wire import MessageError, encode

_log = logging.getLogger("ice_console.http")

_T = TypeVar("_T")

SETTINGS = web.AppKey("SETTINGS", Settings)
ASSETS = web.AppKey("ASSETS", Assets)
CURRENT = web.AppKey("CURRENT", Current)
JOURNAL = web.AppKey("JOURNAL", Journal)
ACCESS = web.AppKey("ACCESS", Access)
SIGNALING = web.AppKey("SIGNALING", Signaling)
CHAIN = web.AppKey("CHAIN", Chain)
ACCOUNTS = web.AppKey("ACCOUNTS", Accounts)
TELLING = web.AppKey("TELLING", Telling)
SESSIONS = web.AppKey("SESSIONS", sessions.Sessions)
CHECKING = web.AppKey("CHECKING", Buckets)
METERS = web.AppKey("METERS", Meters)
CALLER = web.RequestKey("CALLER", Caller)
"""The client of a request, as our proxies report it."""
LOCAL_TURN = web.AppKey("LOCAL_TURN", LocalTurn)
RELOADER = web.AppKey("RELOADER", Reloader)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; style-src 'self';"
    " img-src 'self' data:; font-src 'self'; media-src 'self' blob: mediastream:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self),"
    " clipboard-write=(self), fullscreen=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=(),"
    " serial=(), hid=(), midi=(), browsing-topics=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"
_REVOKED_WITHIN = 0.5
"""Seconds."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104
"""The loopback address for a server that listens on every address."""

# Not left to the system's MIME tables: browsers refuse modules and WebAssembly of any other type.
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".marshal": "application/octet-stream",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}


def create_app(settings: Settings, certificates: Certificates | None = None) -> web.Application:
    """Return the application, whose sockets use `certificates`. Raises `StartError` if it cannot be served."""
    assets = Assets(settings.root)
    with contextlib.suppress(OSError):  # which whoever asks for the page is told of
        assets.document()  # pages that come back after an upgrade may join before anybody asks for the new one
    configured = read_ice_servers(settings.config) if settings.config else ConfiguredIce()
    _tell_left_out(configured)
    limits = configured.limits or settings.limits
    app = web.Application(middlewares=[_know_caller])
    app[SETTINGS] = settings
    app[ASSETS] = assets
    app[CURRENT] = Current(configured)
    app[JOURNAL] = Journal(settings.journal, limits=limits, keep_addresses=settings.keep_addresses)
    app[ACCESS] = Access(settings)
    app[CHECKING] = Buckets()
    hold = configured.hold or settings.hold
    app[SIGNALING] = Signaling(
        hold=hold, limits=limits, journal=app[JOURNAL], audit=app[ACCESS].audit, build=lambda: assets.build
    )
    app[CHAIN] = Chain(configured, is_live=app[SIGNALING].is_live, checks=settings.checks)
    app[ACCOUNTS] = Accounts(
        configured.prices,
        configured.budget,
        app[ACCESS].audit,
        is_live=app[SIGNALING].is_live,
        hosts=app[CHAIN].provider_hosts,
    )
    app[TELLING] = Telling(app[ACCOUNTS], app[JOURNAL], app[SIGNALING])
    app[SESSIONS] = sessions.Sessions(app[JOURNAL].path)
    app[METERS] = Meters(app[CHAIN].hosts)
    app[METERS].registry.register(Gauges(lambda: _now(app)))
    app[SIGNALING].listener = Hearing(app[CHAIN], app[METERS], app[ACCOUNTS])
    app[LOCAL_TURN] = LocalTurn(settings.hosts, name=settings.turn_host, tls=settings.tls)
    app[RELOADER] = Reloader(
        app[CURRENT],
        config=settings.config,
        certificates=certificates,
        apply=partial(_put_in_force, app),
        certificate_changed=app[LOCAL_TURN].renew_certificate,
    )
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/assets/{path:.+}", _asset),
            web.get("/ice", _ice),
            web.get("/ws", _signaling),
            web.delete("/place", _give_up_place),
            web.post("/checks", _keep_check),
            web.get("/checks/{id}", _find_check),
            web.post("/invitations", _invite),
            web.get("/invitations", _invitations),
            web.get("/access", _access),
            web.delete("/invitations/{id}", _revoke),
            web.get("/sessions", _sessions),
            web.get(r"/sessions/{id:\d{1,18}}", _session),
            web.get(r"/sessions/{file:sessions\.(?:mjs|css)}", _sessions_file),
            web.get("/healthz", _health),
            web.get("/readyz", _ready),
            web.get("/metrics", _metrics),
        ]
    )
    app.on_response_prepare.append(_add_security_headers)
    app.on_shutdown.append(_close_signaling)
    app.cleanup_ctx.append(_run_journal)
    app.cleanup_ctx.append(_run_telling)
    app.cleanup_ctx.append(_run_access)
    app.cleanup_ctx.append(_run_local_turn)
    app.cleanup_ctx.append(_run_chain)
    app.cleanup_ctx.append(_run_reloader)
    return app


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server. `address` ends with a slash; `port` is the actual one."""

    address: str
    port: int
    app: web.Application

    @property
    def operator_address(self) -> str:
        """The address for whoever started the server: with an operator's invitation, unless it is open to all."""
        invitation = self.app[ACCESS].operator_invitation()
        return f"{self.address}#invite={invitation}" if invitation else self.address


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Serving]:
    """Serve until the end of the block. Raises `StartError` if the server cannot start."""
    certificates = _certificates(settings)
    with contextlib.ExitStack() as opened:
        sockets = await asyncio.to_thread(listen, settings.hosts, settings.port)
        for each in sockets:
            opened.callback(each.close)
        app = create_app(settings, certificates)
        # Sockets are told to close and coturn to stop; whatever else still runs gets two seconds.
        # Sockets are pinged, and a silent HTTP connection is closed; TCP need not ask as well.
        runner = web.AppRunner(app, access_log_class=AccessLog, shutdown_timeout=2.0, tcp_keepalive=False)
        unread: set[Front] = set()
        servers: list[asyncio.Server] = []
        try:
            await runner.setup()
            http = cast("web.Server", runner.server)  # which it has after its setup
            upgrade = partial(_upgrade, app)
            context = certificates.context if certificates else None
            for each in sockets:
                listening = asyncio.get_running_loop().create_server(
                    lambda: Front(http, upgrade, unread), sock=each, ssl=context
                )
                servers.append(await listening)
            port: int = sockets[0].getsockname()[1]
            host = _ANY.get(settings.hosts[0], settings.hosts[0])
            host = f"[{host}]" if ":" in host else host
            yield Serving(f"{'https' if certificates else 'http'}://{host}:{port}/", port, app)
        finally:
            for server in servers:
                server.close()
            for front in list(unread):  # what nobody has asked anything on yet is closed like the others
                front.pass_on(b"")
            await runner.cleanup()


def _certificates(settings: Settings) -> Certificates | None:
    """Return what the sockets use. Raises `StartError`, with the mistakes of the configuration file as well."""
    try:
        return Certificates(settings.tls) if settings.tls else None
    except StartError as error:
        lines = [str(error)]
        if settings.config:
            try:
                read_ice_servers(settings.config)
            except StartError as another:
                lines.append(str(another))
        raise StartError("\n".join(lines)) from None


class AccessLog(AbstractAccessLogger):
    """One short line per request, without the query: `< 200 GET /ice 127.0.0.1 3 ms`."""

    @property
    def enabled(self) -> bool:
        """Whether anybody reads it."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line; `time` is in seconds."""
        method, path, peer = (
            request.method,
            request.rel_url.raw_path,
            request[CALLER].address if CALLER in request else request.remote,
        )
        _log.info("< %s %s %.200s %s %.0f ms", response.status, method, path, peer, time * 1000)


# Files.


async def _page(request: web.Request) -> web.StreamResponse:
    document = await asyncio.to_thread(request.app[ASSETS].document)
    # Never stale: the browser caches it, but revalidates each time, and it is not sent again if unchanged.
    # No transformation: the security policy would block what a proxy inserts, and the tag would be wrong.
    headers = {"Cache-Control": "no-cache, no-transform", "Vary": "Accept-Encoding"}
    if tokens := request.app[SETTINGS].origin_trials:
        headers["Origin-Trial"] = ", ".join(tokens)
    encoding = choose_encoding(_accepted(request), document.compressed)
    etag = f"{document.tag}-{encoding}" if encoding else document.tag
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        headers |= {"Content-Type": _CONTENT_TYPES[".html"]} | ({"Content-Encoding": encoding} if encoding else {})
        response = web.Response(body=document.compressed[encoding] if encoding else document.body, headers=headers)
    response.etag = etag
    return response


async def _asset(request: web.Request) -> web.StreamResponse:
    assets = request.app[ASSETS]
    path = assets.file(request.match_info["path"])
    if path is None or path.suffix not in _CONTENT_TYPES:
        raise web.HTTPNotFound
    headers = {
        "Content-Type": _CONTENT_TYPES[path.suffix],
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    compressed = assets.compressed(path)
    if encoding := choose_encoding(_accepted(request), compressed):
        path = compressed[encoding]
        headers["Content-Encoding"] = encoding
    return web.FileResponse(path, headers=headers)  # it answers conditional and partial requests


def _accepted(request: web.Request) -> str:
    return ",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _ready(request: web.Request) -> web.Response:
    """Tell a load balancer whether new sessions are accepted, and which ICE servers do not work."""
    is_ready = not request.app[SIGNALING].is_draining
    status = {"status": "ready" if is_ready else "draining", **request.app[CHAIN].problems()}
    return web.json_response(status, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


async def _metrics(request: web.Request) -> web.Response:
    """Return the metrics to Prometheus, if it calls from a configured network."""
    if not may_ask(request.remote or "", request.app[CURRENT].configured.access.metrics):
        raise web.HTTPForbidden(text=HOW_TO_ALLOW)
    return exposition(request, request.app[METERS].registry)


def _now(app: web.Application) -> Now:
    sessions, participants, sockets = app[SIGNALING].counts
    states = app[CHAIN].watch.health.states()
    budget_used, relay_cost = app[ACCOUNTS].used()
    return Now(
        sessions=sessions,
        participants=participants,
        sockets=sockets,
        journal_waiting=app[JOURNAL].waiting,
        draining=app[SIGNALING].is_draining,
        urls={url: is_up for url, (is_up, _) in states.items()},
        trips={url: seconds for url, (_, seconds) in states.items() if seconds is not None},
        providers={provider.configured.name: provider.is_well for provider in app[CHAIN].providers},
        budget_used=budget_used,
        relay_cost=relay_cost,
        currency=app[ACCOUNTS].prices.currency,
    )


# Who may call.


@web.middleware
async def _know_caller(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Attach the client's address and host, as a trusted proxy reports them, to the request."""
    access = request.app[CURRENT].configured.access
    if access.proxies:
        who = _caller(access, request, request.remote or "", request.host)
        request[CALLER] = who
        request = request.clone(remote=who.address, host=who.host)
    return await handler(request)


def _caller(access: ConfiguredAccess, request: web.Request | RawRequestMessage, peer: str, host: str) -> Caller:
    return caller(
        peer,
        host=host,
        headers={name.lower(): request.headers.getall(name) for name in request.headers},
        proxies=access.proxies,
        identity_header=access.identity_header,
    )


def _identity(request: web.Request) -> str:
    return request[CALLER].identity if CALLER in request else ""


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    if _is_allowed(origin, request.host, request.app[CURRENT].configured.access):
        return
    rule = (
        f"The page is of {origin:.200}, and this server was asked as {request.host:.200}. Behind a proxy, name it"
        " in [access] proxies, so that its X-Forwarded-Host is believed, or the page's origin in [access] origins."
    )
    _log.warning("! %s", rule)
    raise _error(web.HTTPForbidden, Error("foreign-origin", rule))


def _is_allowed(origin: str | None, host: str, access: ConfiguredAccess) -> bool:
    return is_own_origin(origin, host=host) or str(origin).lower() in access.origins


async def _grant(request: web.Request, session: str = "") -> Grant:
    """Return what the caller's invitation grants; answers 401 if that is nothing."""
    try:
        token = request.headers.get(INVITATION_HEADER, "").strip()
        return request.app[ACCESS].check(token, session, address=request.remote or "", identity=_identity(request))
    except InvitationError as error:
        await asyncio.sleep(error.delay)
        challenge = {"WWW-Authenticate": "Invitation"}  # a 401 has one (RFC 9110, section 15.5.2)
        raise _error(web.HTTPUnauthorized, Error(error.code, error.message), challenge) from None


async def _operator(request: web.Request) -> Grant:
    _check_origin(request)
    grant = await _grant(request)
    if grant.role != "operator":
        raise _error(web.HTTPForbidden, Error("operators-only", "Only an operator may do this."))
    return grant


def _held_place(request: web.Request, session: str) -> HeldPlace | None:
    """Return the place in `session` that the caller proves to hold, even after its invitation has expired, or None."""
    if not (text := request.headers.get(PLACE_HEADER)):
        return None
    place = HeldPlace.from_header(text)
    is_held = session in ("", place.session) and request.app[SIGNALING].holds(place)
    return place if is_held else None


def _error(kind: type[web.HTTPException], error: Error, headers: Mapping[str, str] | None = None) -> web.HTTPException:
    return kind(
        text=encode(error), content_type="application/json", headers={"Cache-Control": "no-store"} | dict(headers or {})
    )


# ICE and signaling.


async def _ice(request: web.Request) -> web.Response:
    _check_origin(request)
    try:
        session = await _asking_session(request)
    except MessageError as error:
        raise _error(web.HTTPBadRequest, Error("malformed", str(error))) from None
    configured = request.app[CURRENT].configured
    local = request.app[LOCAL_TURN].servers(request.host)
    if "check" in request.query:
        every = await request.app[CHAIN].every_server(session, local=local)
        asked = CheckServers(
            check_configuration(every, name=session or "console", now=time.time()),
            request.app[CHAIN].watch.health.seen() if configured.checks else {},
        )
        return web.json_response(asked.to_json(), headers={"Cache-Control": "no-store"})
    servers = await request.app[CHAIN].servers(session, address=request.remote or "", local=local)
    configuration = ice_configuration(
        servers,
        name=session or "console",
        now=time.time(),
        avoid=request.query.getall("avoid", ())[:8],
        standby=configured.standby,
    )
    accounts = request.app[ACCOUNTS]
    configuration = replace(configuration, relay_video=accounts.relay_video(session, configured.relay_video))
    if accounts.reached(session).step == "stop":
        configuration = configuration.without_relays()
    return web.json_response(configuration.to_json(), headers={"Cache-Control": "no-store"})


async def _asking_session(request: web.Request) -> str:
    """Return the session that the caller asks for, if it may; empty if an operator names none. Raises `MessageError`.

    Answers 401 to whoever may not.
    """
    given = request.query.get("session", "")
    session = check_session_name(session_name(given)) if given else ""
    place = _held_place(request, session)
    return place.session if place else (await _grant(request, session)).session or session


async def _signaling(request: web.Request) -> web.StreamResponse:
    _check_origin(request)
    check_join = _check_join(request.app, request.remote or "", _identity(request))
    return await request.app[SIGNALING].serve(request, check_join=check_join)


def _upgrade(app: web.Application, request: RawRequestMessage, transport: asyncio.Transport, rest: bytes) -> bool:
    """Serve a WebSocket whose handshake is its connection's first request; False if `_signaling` would refuse it."""
    access = app[CURRENT].configured.access
    host = request.headers.get(hdrs.HOST)
    if not host:
        return False
    who = Caller(_peer(transport), host)
    if access.proxies:
        who = _caller(access, request, who.address, host)
    if not _is_allowed(request.headers.get(hdrs.ORIGIN), who.host, access):
        return False
    check_join = _check_join(app, who.address, who.identity)
    is_taken = app[SIGNALING].adopt(transport, request.headers, address=who.address, check_join=check_join, rest=rest)
    if is_taken:
        _log.info("< 101 GET /ws %s", who.address)
    return is_taken


def _peer(transport: asyncio.Transport) -> str:
    name: tuple[str, ...] | None = transport.get_extra_info("peername")
    return name[0] if name else ""


def _check_join(app: web.Application, address: str, identity: str) -> CheckJoin:
    access = app[ACCESS]

    def check(join: Join) -> Grant:
        return access.check(join.invitation, join.session, address=address, identity=identity)

    return check


async def _give_up_place(request: web.Request) -> web.Response:
    """Let a page leave whose WebSocket may be dead. The answer does not tell whether there was such a place."""
    _check_origin(request)
    try:
        request.app[SIGNALING].give_up(HeldPlace.from_header(request.headers.get(PLACE_HEADER, "")))
    except MessageError as error:
        raise _error(web.HTTPBadRequest, Error("malformed", str(error))) from None
    return web.Response(status=204)


# The check of the network.


async def _keep_check(request: web.Request) -> web.Response:
    _check_origin(request)
    try:
        session = await _asking_session(request)
        return await checks.keep(request, request.app[JOURNAL], session, request.app[CHECKING])
    except MessageError as error:
        raise _error(web.HTTPBadRequest, Error("malformed", str(error))) from None


async def _find_check(request: web.Request) -> web.Response:
    await _operator(request)
    return await checks.find(request.match_info["id"], request.app[JOURNAL])


# Invitations.


async def _invite(request: web.Request) -> web.Response:
    operator = await _operator(request)
    try:
        return await invitations.invite(request, request.app[ACCESS], operator)
    except MessageError as error:
        raise _error(web.HTTPBadRequest, Error("malformed", str(error))) from None


async def _invitations(request: web.Request) -> web.Response:
    await _operator(request)
    return invitations.listed(request.app[ACCESS])


async def _access(request: web.Request) -> web.Response:
    """Return what the caller may do. The status is 200 even if that is nothing, since asking is not an error."""
    _check_origin(request)
    access = request.app[ACCESS]
    try:
        grant = access.check(
            request.headers.get(INVITATION_HEADER, "").strip(),
            "",
            address=request.remote or "",
            identity=_identity(request),
        )
    except InvitationError as error:
        await asyncio.sleep(error.delay)
        return invitations.told(AccessTold())
    addresses: tuple[str, ...] = ()
    if access.is_open or grant.role == "operator":  # a guest need not know this machine's networks
        settings, transport = request.app[SETTINGS], request.transport
        port = transport.get_extra_info("sockname")[1] if transport else settings.port
        addresses = await asyncio.to_thread(other_addresses, settings.hosts, port, is_secure=bool(settings.tls))
    return invitations.told(AccessTold(role=grant.role, is_open=access.is_open, addresses=addresses))


async def _revoke(request: web.Request) -> web.Response:
    operator = await _operator(request)
    return invitations.revoke(request.match_info["id"], request.app[ACCESS], request.app[SIGNALING], operator)


# What was recorded.


async def _sessions(request: web.Request) -> web.Response:
    if sessions.wants_page(request):
        return sessions.page(request.app[ASSETS].document().groups, is_list=True)
    await _operator(request)
    try:
        search, offset = sessions.asked(request)
    except MessageError as error:
        raise _error(web.HTTPBadRequest, Error("malformed", str(error))) from None
    prices = request.app[ACCOUNTS].current_prices()
    read = partial(request.app[SESSIONS].list, search=search, offset=offset, prices=prices)
    return sessions.told(await _from_record(read))


async def _session(request: web.Request) -> web.Response:
    if sessions.wants_page(request):
        return sessions.page(request.app[ASSETS].document().groups, is_list=False)
    await _operator(request)
    identifier = int(request.match_info["id"])
    prices = request.app[ACCOUNTS].current_prices()
    answer = partial(request.app[SESSIONS].answer, identifier, request.query.get("format", ""), prices=prices)
    try:
        response = await _from_record(answer)
    except MessageError as error:
        raise _error(web.HTTPBadRequest, Error("malformed", str(error))) from None
    if response is None:
        raise _error(web.HTTPNotFound, Error("unknown", "No such session is recorded."))
    return response


async def _sessions_file(request: web.Request) -> web.Response:
    return sessions.file(request.match_info["file"])


async def _from_record(read: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(read)
    except sqlite3.Error as error:
        _log.error("! the record cannot be read: %s", error)
        raise _error(web.HTTPServiceUnavailable, Error("unavailable", "The record cannot be read now.")) from None


# What belongs to the application's life.


async def _add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    if not request.app[SETTINGS].hsts:
        return
    asked = request.get(CALLER) or Caller(request.remote or "", request.host)
    if (asked.scheme or request.scheme) == "https" and not is_loopback(host_name(asked.host)):
        response.headers["Strict-Transport-Security"] = _HSTS


async def _close_signaling(app: web.Application) -> None:
    await app[SIGNALING].close()


async def _run_journal(app: web.Application) -> AsyncIterator[None]:
    async with app[JOURNAL].running():
        yield


async def _run_telling(app: web.Application) -> AsyncIterator[None]:
    async with app[TELLING].running():
        yield


async def _run_access(app: web.Application) -> AsyncIterator[None]:
    told = Seldom()

    async def watch() -> None:
        while True:  # a revocation on the command line takes effect within a second
            await asyncio.sleep(_REVOKED_WITHIN)
            try:
                app[SIGNALING].revoke(app[ACCESS].store.newly_revoked())
            except StartError as error:
                if told.is_due(time.monotonic()):
                    _log.error("! %s", error)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
    await asyncio.wait([watching])
    app[ACCESS].close()


async def _run_local_turn(app: web.Application) -> AsyncIterator[None]:
    async with app[LOCAL_TURN].running(is_wanted=_wants_local_turn(app[SETTINGS], app[CURRENT].configured)):
        yield


async def _run_chain(app: web.Application) -> AsyncIterator[None]:
    async with app[CHAIN].running():
        yield


async def _run_reloader(app: web.Application) -> AsyncIterator[None]:
    async with app[RELOADER].watching():
        yield


def _wants_local_turn(settings: Settings, configured: ConfiguredIce) -> bool:
    return settings.turn and not any(server.is_turn for server in configured.servers)


async def _put_in_force(app: web.Application, configured: ConfiguredIce) -> None:
    """Put a new configuration into force."""
    settings = app[SETTINGS]
    limits = configured.limits or settings.limits
    app[JOURNAL].limits = limits
    app[SIGNALING].change(hold=configured.hold or settings.hold, limits=limits)
    await app[LOCAL_TURN].want(is_wanted=_wants_local_turn(settings, configured))
    await app[CHAIN].replace(configured)
    await app[TELLING].configure(configured.prices, configured.budget)
    _tell_left_out(configured)


def _tell_left_out(configured: ConfiguredIce) -> None:
    for one in configured.left_out:
        _log.warning("! no page gets %s: %s", one.url, one.why)
