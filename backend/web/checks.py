"""`POST /checks`: a page's report on its network. `GET /checks/ID`: what an operator reads of it."""

import logging
import math
import sqlite3
import time
from typing import Any

from aiohttp import web

from backend.access.callers import site
from backend.access.limits import Buckets
from backend.ice.watch import Watch
from backend.journal.checks import Check
from backend.journal.writer import Journal
from pyapp.protocol.check import MAX_REPORT_BYTES
from pyapp.protocol.wire import MessageError, parse

_log = logging.getLogger("ice_console.http")
_NO_STORE = {"Cache-Control": "no-store"}
_MOST_DEPTH = 6


async def keep(request: web.Request, journal: Journal, watch: Watch, session: str, buckets: Buckets) -> web.Response:
    """Keep the report in the body, learn which servers answered, and answer with its id. Raises `MessageError`.

    `buckets` are the callers': whoever sends more than anybody checks would push the reports of others out.
    """
    limits = journal.limits
    rate = limits.checks_per_minute / 60
    if not buckets.take(site(request.remote or ""), rate=rate, burst=limits.check_burst, now=time.monotonic()):
        rule = f"At most {limits.checks_per_minute:g} reports of checks a minute from one address."
        answer = _problem(429, "limit", rule, limit="checks-per-minute")
        answer.headers["Retry-After"] = str(math.ceil(1 / rate))
        return answer
    report = parse((await _read(request)).decode("utf-8", "replace"))
    if not isinstance(report, dict) or not isinstance(report.get("verdict"), str):
        raise MessageError("body", "an object with a verdict")
    if _is_deeper(report, _MOST_DEPTH):
        raise MessageError("body", f"at most {_MOST_DEPTH} levels")
    report["browser"] = request.headers.get("User-Agent", "")[:256]
    try:
        check = Check(time.time(), report, session)
    except ValueError as error:
        raise MessageError("body", str(error)) from None
    try:
        await journal.keep_check(check)
    except (sqlite3.Error, OSError) as error:
        _log.error("! the report of a check cannot be kept: %s", error)
        return _problem(503, "unavailable", "Reports cannot be kept now.")
    watch.tested(request.remote or "", report)
    # The text is the page's own: shortened, and never more than a line.
    _log.info("= check %s: %.40r", check.id, report["verdict"])
    return web.json_response({"id": check.id}, status=201, headers=_NO_STORE)


async def find(identifier: str, journal: Journal) -> web.Response:
    """Return the report."""
    try:
        found = await journal.find_check(identifier)
    except (sqlite3.Error, OSError) as error:
        _log.error("! the reports of checks cannot be read: %s", error)
        return _problem(503, "unavailable", "Reports cannot be read now.")
    if found is None:
        return _problem(404, "unknown", "No such report.")
    return web.json_response(found.to_json(), headers=_NO_STORE)


def _problem(status: int, code: str, message: str, **more: str) -> web.Response:
    return web.json_response({"code": code, "message": message, **more}, status=status, headers=_NO_STORE)


async def _read(request: web.Request) -> bytes:
    rule = f"at most {MAX_REPORT_BYTES} bytes"
    if (request.content_length or 0) > MAX_REPORT_BYTES:
        raise MessageError("body", rule)
    body = bytearray()
    async for chunk in request.content.iter_chunked(MAX_REPORT_BYTES):
        body += chunk
        if len(body) > MAX_REPORT_BYTES:
            raise MessageError("body", rule)
    return bytes(body)


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and objects are nested in more than `levels`."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return levels < 0 or any(_is_deeper(one, levels - 1) for one in inner)
