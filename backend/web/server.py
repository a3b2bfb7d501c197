"""The application: its routes, its parts, and the sockets that it listens on."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from backend.access.callers import host_name, is_loopback
from backend.access.control import Access
from backend.access.limits import Buckets
from backend.access.proxies import Caller
from backend.cost.accounts import Accounts
from backend.cost.telling import Telling
from backend.ice.chain import Chain
from backend.ice.ice_servers import ConfiguredIce, read_ice_servers
from backend.ice.local_turn import LocalTurn
from backend.journal.writer import Journal
from backend.metrics.gauges import Gauges
from backend.metrics.meters import Meters
from backend.settings import Settings, StartError
from backend.signaling.endpoint import Signaling
from backend.web import sessions
from backend.web.admission import explain_missing, know_caller
from backend.web.asking import (
    find_check,
    invite,
    keep_check,
    list_invitations,
    list_sessions,
    one_session,
    revoke,
    sessions_file,
    tell_access,
)
from backend.web.assets import Assets
from backend.web.certificates import Certificates
from backend.web.complaints import Complaints
from backend.web.connecting import give_up_place, ice, signaling, upgrade
from backend.web.files import SECURITY_HEADERS, asset, page
from backend.web.front import Door
from backend.web.hearing import Hearing
from backend.web.keys import (
    ACCESS,
    ACCOUNTS,
    ASSETS,
    CALLER,
    CHAIN,
    CHECKING,
    COMPLAINTS,
    CURRENT,
    JOURNAL,
    LOCAL_TURN,
    METERS,
    RELOADER,
    SESSIONS,
    SETTINGS,
    SIGNALING,
    TELLING,
)
from backend.web.lifetime import (
    close_signaling,
    put_in_force,
    run_access,
    run_chain,
    run_journal,
    run_local_turn,
    run_reloader,
    run_telling,
    tell_left_out,
)
from backend.web.listening import listen
from backend.web.operating import health, metrics, now_of, ready
from backend.web.reloading import Current, Reloader

_log = logging.getLogger("ice_console.http")
_HSTS = "max-age=31536000"
_ANY = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104
"""The loopback address for a server that listens on every address."""


def create_app(settings: Settings, certificates: Certificates | None = None) -> web.Application:
    """Return the application, whose sockets use `certificates`. Raises `StartError` if it cannot be served."""
    assets = Assets(settings.root)
    with contextlib.suppress(OSError):  # which whoever asks for the page is told of
        assets.document()  # pages that come back after an upgrade may join before anybody asks for the new one
    configured = read_ice_servers(settings.config) if settings.config else ConfiguredIce()
    tell_left_out(configured)
    limits = configured.limits or settings.limits
    app = web.Application(middlewares=[know_caller, explain_missing])
    app[SETTINGS] = settings
    app[ASSETS] = assets
    app[CURRENT] = Current(configured)
    app[JOURNAL] = Journal(settings.journal, limits=limits, keep_addresses=settings.keep_addresses)
    app[ACCESS] = Access(settings)
    app[CHECKING] = Buckets()
    app[COMPLAINTS] = Complaints()
    hold = configured.hold or settings.hold
    app[SIGNALING] = Signaling(
        hold=hold, limits=limits, journal=app[JOURNAL], audit=app[ACCESS].audit, build=lambda: assets.build
    )
    app[CHAIN] = Chain(configured, is_live=lambda holder: app[SIGNALING].has(*holder), checks=settings.checks)
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
    app[METERS].registry.register(Gauges(lambda: now_of(app)))
    app[SIGNALING].listener = Hearing(app[CHAIN], app[METERS], app[ACCOUNTS])
    app[LOCAL_TURN] = LocalTurn(settings.hosts, name=settings.turn_host, tls=settings.tls)
    app[RELOADER] = Reloader(
        app[CURRENT],
        config=settings.config,
        certificates=certificates,
        apply=partial(put_in_force, app),
        certificate_changed=app[LOCAL_TURN].renew_certificate,
    )
    app.add_routes(
        [
            web.get("/", page),
            web.get("/assets/{path:.+}", asset),
            web.get("/ice", ice),
            web.get("/ws", signaling),
            web.delete("/place", give_up_place),
            web.post("/checks", keep_check),
            web.get("/checks/{id}", find_check),
            web.post("/invitations", invite),
            web.get("/invitations", list_invitations),
            web.get("/access", tell_access),
            web.delete("/invitations/{id}", revoke),
            web.get("/sessions", list_sessions),
            web.get(r"/sessions/{id:\d{1,18}}", one_session),
            web.get(r"/sessions/{file:sessions\.(?:mjs|css)}", sessions_file),
            web.get("/healthz", health),
            web.get("/readyz", ready),
            web.get("/metrics", metrics),
        ]
    )
    app.on_response_prepare.append(_add_security_headers)
    app.on_shutdown.append(close_signaling)
    app.cleanup_ctx.append(run_journal)
    app.cleanup_ctx.append(run_telling)
    app.cleanup_ctx.append(run_access)
    app.cleanup_ctx.append(run_local_turn)
    app.cleanup_ctx.append(run_chain)
    app.cleanup_ctx.append(run_reloader)
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
        try:
            await runner.setup()
            http = cast("web.Server", runner.server)  # which it has after its setup
            context = certificates.context if certificates else None
            with contextlib.ExitStack() as doors:
                door = doors.enter_context(contextlib.closing(Door(http, partial(upgrade, app))))
                for each in sockets:
                    server = await asyncio.get_running_loop().create_server(door, sock=each, ssl=context)
                    doors.callback(server.close)
                port: int = sockets[0].getsockname()[1]
                host = _ANY.get(settings.hosts[0], settings.hosts[0])
                host = f"[{host}]" if ":" in host else host
                yield Serving(f"{'https' if certificates else 'http'}://{host}:{port}/", port, app)
        finally:
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


async def _add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    if not request.app[SETTINGS].hsts:
        return
    asked = request.get(CALLER) or Caller(request.remote or "", request.host)
    if (asked.scheme or request.scheme) == "https" and not is_loopback(host_name(asked.host)):
        response.headers["Strict-Transport-Security"] = _HSTS
