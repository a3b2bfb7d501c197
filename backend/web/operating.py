"""`GET /healthz`, `GET /readyz`, `GET /metrics`: for whoever operates the server."""

from aiohttp import web

from backend.metrics.gauges import Now
from backend.web.admission import check_origin
from backend.web.keys import ACCOUNTS, CHAIN, CURRENT, JOURNAL, METERS, SIGNALING
from backend.web.metrics import HOW_TO_ALLOW, exposition, may_ask
from pyapp.protocol.access import ORIGIN_HEADER


async def health(request: web.Request) -> web.Response:
    """Say that the server is alive; and to a page whose WebSockets do not open, if that is because of its origin."""
    check_origin(request, request.headers.get(ORIGIN_HEADER))
    return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def ready(request: web.Request) -> web.Response:
    """Tell a load balancer whether new sessions are accepted, and which ICE servers do not work."""
    is_ready = not request.app[SIGNALING].is_draining
    status = {"status": "ready" if is_ready else "draining", **request.app[CHAIN].problems()}
    return web.json_response(status, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


async def metrics(request: web.Request) -> web.Response:
    """Return the metrics to Prometheus, if it calls from a configured network."""
    if not may_ask(request.remote or "", request.app[CURRENT].configured.access.metrics):
        raise web.HTTPForbidden(text=HOW_TO_ALLOW)
    return exposition(request, request.app[METERS].registry)


def now_of(app: web.Application) -> Now:
    """Return the gauges' present values."""
    sessions, participants, sockets = app[SIGNALING].counts
    states = app[CHAIN].watch.health.states()
    budget_used, relay_cost = app[ACCOUNTS].used()
    return Now(
        sessions=sessions,
        participants=participants,
        sockets=sockets,
        journal_waiting=app[JOURNAL].waiting,
        journal_lag=app[JOURNAL].lag,
        journal_lost=app[JOURNAL].lost,
        draining=app[SIGNALING].is_draining,
        urls={url: is_up for url, (is_up, _) in states.items()},
        trips={url: seconds for url, (_, seconds) in states.items() if seconds is not None},
        providers={provider.configured.name: provider.is_well for provider in app[CHAIN].providers},
        budget_used=budget_used,
        relay_cost=relay_cost,
        currency=app[ACCOUNTS].prices.currency,
    )
