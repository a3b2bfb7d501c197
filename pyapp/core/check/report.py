"""A check's findings as JSON, for the server's record. Never credentials, and no addresses but the servers' own."""

from typing import Any

from pyapp.core.check.findings import Findings, UrlFinding
from pyapp.core.check.verdict import Verdict


def report(found: Findings, verdict: Verdict) -> dict[str, Any]:
    """Return it. Times are milliseconds, rates bits per second."""
    return {
        "verdict": verdict.rule,
        "level": verdict.level,
        "forecast": verdict.forecast,
        "problems": [
            {"rule": one.rule, "who": one.who, "urls": list(one.urls), "server": one.host, "detail": one.detail}
            for one in verdict.problems
        ],
        "took": round(found.took * 1000),
        "websocket": found.websocket,
        "obstacle": None if found.obstacle is None else found.obstacle.kind,
        "udp": found.udp,
        "mapping": found.mapping,
        "families": sorted(found.families),
        "urls": [_url(one, found.seen.get(one.text)) for one in found.urls],
    }


def _url(one: UrlFinding, seen: str | None) -> dict[str, Any]:
    found = {
        "url": one.text,
        "answered": _ms(one.answered),
        "cause": one.cause,
        "errors": [{"code": e.code, "text": e.text[:200], "after": _ms(e.after)} for e in one.errors[:16]],
        "server_sees": seen,
    }
    if one.is_loop_open is None:
        return found
    return found | {
        "relays": one.is_loop_open,
        "connected": _ms(one.connected),
        "loop_errors": [{"code": e.code, "text": e.text[:200], "after": _ms(e.after)} for e in one.loop_errors[:16]],
        "rtt": _ms(one.round_trip),
        "jitter": _ms(one.jitter),
        "pings": one.pings,
        "echoes": len(one.trips),
        "bytes": one.received,
        "rate": None if one.rate is None else round(one.rate),
        "restart": _ms(one.restarted),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
