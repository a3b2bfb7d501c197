"""`GET /sessions` and `GET /sessions/ID`: what was recorded. The page is for anybody, what it shows for operators.

A browser that navigates sends no `X-Invitation`, so it gets an empty page, which asks for the same address as JSON
with the invitation that the tab holds. `?format=` gives a session in the formats of `export`.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from backend.cost.prices import Prices
from backend.journal.account import Account, account
from backend.journal.checks import search_checks
from backend.journal.export import CONTENT_TYPES, FORMATS, exported
from backend.journal.reading import Recorded, Told, listed, numbered, recorded
from backend.journal.relayed import month_of, over_relays, this_month
from backend.journal.schema import open_to_read
from pyapp.protocol.entries import MARKED, SAMPLES
from pyapp.protocol.wire import MessageError

FILES = {"sessions.mjs": "text/javascript", "sessions.css": "text/css"}
"""What the page loads, from the folder `record_page`."""
MOST_POINTS = 1500
"""Samples of each page load in the charts: more than a screen has pixels."""
MOST_MARKS = 1000
"""Marks of each page load in the charts."""
MOST_ENTRIES = 2000
"""Entries in the log of a session; the beginning and the end of more."""
WITHOUT_PRICES = Prices()
_MOST_LISTED = 50
_MOST_SEARCH = 100
_KEPT = 512
"""Accounts that are remembered, so that the list need not read every session each time."""

_FOLDER = Path(__file__).parent / "record_page"
_NO_STORE = {"Cache-Control": "no-store"}
_CHARTED = (
    *("round_trip_ms", "jitter_ms", "loss_in", "loss_out", "bits_in", "bits_out", "frames_in", "frames_out"),
    *("frozen_ms", "available"),
)


class Sessions:
    """Reads the record at `path`. Blocking, but for `page` and `file`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._accounts: OrderedDict[tuple[int, float], dict[str, Any]] = OrderedDict()

    def list(self, *, search: str, offset: int, prices: Prices = WITHOUT_PRICES) -> dict[str, Any]:
        """Return the list as JSON. Raises `sqlite3.Error`."""
        if not self._path.exists():
            return {"sessions": [], "more": False, "relayed": None, "checks": []}
        with open_to_read(self._path) as connection:
            found = listed(connection, search=search, offset=offset, most=_MOST_LISTED + 1)
            rows = [self._row(connection, one.id, one.heard) for one in found[:_MOST_LISTED]]
            relayed = this_month(connection, now=time.time())
            reports = search_checks(connection, search) if search and not offset else []
            rows = [row | _cost(connection, row, prices) for row in rows if row]
        cost, expected = prices.of_month(relayed.bytes), prices.of_month(relayed.forecast)
        return {
            "sessions": rows,
            "more": len(found) > _MOST_LISTED,
            "relayed": asdict(relayed) | {"cost": cost, "expected": expected, "currency": prices.currency},
            "checks": [one.to_json() for one in reports],
        }

    def one(self, identifier: int, *, prices: Prices = WITHOUT_PRICES) -> dict[str, Any] | None:
        """Return a session as JSON, or None. Raises `sqlite3.Error`."""
        if not self._path.exists():
            return None
        with open_to_read(self._path) as connection:
            if (session := recorded(connection, identifier, most_samples=MOST_POINTS)) is None:
                return None
            whole = account(session)
            summary = _summary(session, whole, over_relays(connection, identifier))
            summary |= _cost(connection, summary, prices) | {"currency": prices.currency}
        entries = session.told
        names = {one.id: one.name or f"Guest {number}" for number, one in enumerate(session.participants, start=1)}
        log = [one for one in entries if one.event not in SAMPLES]
        if len(log) > MOST_ENTRIES:
            log = [*log[: MOST_ENTRIES // 2], *log[-MOST_ENTRIES // 2 :]]
        return summary | {
            "leftOut": session.left_out,
            "account": [asdict(one) for one in whole.sentences],
            "pages": [
                {"id": one, "name": name} | _charts([each for each in entries if each.participant == one])
                for one, name in names.items()
            ],
            "log": [[round(one.at, 3), names[one.participant], one.event, one.data, one.text] for one in log],
        }

    def answer(self, identifier: int, form: str, *, prices: Prices = WITHOUT_PRICES) -> web.Response | None:
        """Return a session in a format, or as JSON if that is empty; None without one.

        Raises `sqlite3.Error`, and `MessageError` for another format.
        """
        if form:
            session = self.read(identifier)
            return _in_format(session, form) if session else None
        found = self.one(identifier, prices=prices)
        return told(found) if found else None

    def read(self, identifier: int) -> Recorded | None:
        """Return a session, or None. Raises `sqlite3.Error`."""
        if not self._path.exists():
            return None
        with open_to_read(self._path) as connection:
            return recorded(connection, identifier)

    def _row(self, connection: sqlite3.Connection, identifier: int, heard: float) -> dict[str, Any] | None:
        key = (identifier, heard)
        row = self._accounts.pop(key, None)
        if row is None:
            session = recorded(connection, identifier, in_short=True)
            row = _summary(session, account(session), over_relays(connection, identifier)) if session else None
        if row is not None:
            self._accounts[key] = row
            if len(self._accounts) > _KEPT:
                self._accounts.popitem(last=False)
        return row


def _summary(session: Recorded, of_it: Account, relayed: Mapping[str, int]) -> dict[str, Any]:
    """Return what the list says of a session. `relayed` is the meter's, which misses no sample that was thinned."""
    return {
        "id": session.id,
        "name": session.name,
        "began": session.began,
        "ended": session.heard,
        "people": list(dict.fromkeys(one.name or f"Guest {n}" for n, one in enumerate(session.participants, start=1))),
        "outcome": of_it.outcome,
        "connectSeconds": of_it.connect_seconds,
        "bestSeconds": of_it.best_seconds,
        "paths": of_it.paths,
        "outages": [{"at": one.began, "seconds": one.seconds} for one in of_it.outages],
        "relayBytes": relayed,
    }


def _charts(told: Sequence[Told]) -> dict[str, Any]:
    """Return what the charts of a page load show: samples, and what is marked on the time axis."""
    marks = [{"at": round(one.at, 1), "kind": MARKED[one.event]} for one in told if one.event in MARKED]
    return {"samples": _columns(told), "marks": marks[:MOST_MARKS]}


def _cost(connection: sqlite3.Connection, summary: dict[str, Any], prices: Prices) -> dict[str, Any]:
    """Return what a session costs, by the month in which it began."""
    relayed: dict[str, int] = summary["relayBytes"]
    if not relayed or not prices.tariffs:
        return {"cost": None}
    return {"cost": prices.of_part(relayed, month_of(connection, at=summary["began"]))}


def _columns(told: Sequence[Told]) -> dict[str, list[Any]]:
    """Return the samples as columns, at most `MOST_POINTS` of them, evenly chosen."""
    samples = [one for one in told if one.event in SAMPLES]
    step = max(1, -(-len(samples) // MOST_POINTS))
    samples = samples[::step]
    return {"at": [round(one.at, 1) for one in samples]} | {
        name: [one.data.get(name) for one in samples] for name in _CHARTED
    }


def wants_page(request: web.Request) -> bool:
    """Return whether a browser navigates here, rather than a program asking for JSON."""
    return "text/html" in request.headers.get("Accept", "")


def page(groups: Mapping[str, str], *, is_list: bool) -> web.Response:
    """Return the empty page. It loads the charts from the `groups` of assets when a session is opened."""
    text = (_FOLDER / "sessions.html").read_text(encoding="utf-8")
    text = text.replace("{below}", "sessions/" if is_list else "").replace("{above}", "" if is_list else "../")
    for name in ("charts", "uplot"):
        text = text.replace(f"{{{name}}}", groups.get(name, ""))
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-cache"})


def file(name: str) -> web.Response:
    """Return what the page loads."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=FILES[name], headers={"Cache-Control": "no-cache"})


def asked(request: web.Request) -> tuple[str, int]:
    """Return what is searched for, and how many are passed over. Raises `MessageError`."""
    search = request.query.get("q", "")
    if len(search) > _MOST_SEARCH:
        raise MessageError("q", f"at most {_MOST_SEARCH} characters")
    offset = numbered(request.query.get("offset", "0"))
    if offset is None:
        raise MessageError("offset", "a whole number from 0")
    return search, offset


def told(found: dict[str, Any]) -> web.Response:
    """Return an answer as JSON, compressed: of a long session the names and the digits repeat, and it is 20 times less.

    Nothing in it is a secret of the reader's that its length could give away (BREACH).
    """
    answer = web.Response(body=msgspec.json.encode(found), content_type="application/json", headers=_NO_STORE)
    answer.charset = "utf-8"
    answer.enable_compression()
    return answer


def _in_format(session: Recorded, wanted: str) -> web.Response:
    """Return a session as a file in one of `FORMATS`. Raises `MessageError`."""
    for form, extension in zip(FORMATS, ("jsonl", "txt", "json"), strict=True):
        if form == wanted:
            disposition = f'attachment; filename="session-{session.id}.{extension}"'
            return web.Response(
                text="".join(exported(session, form)),
                content_type=CONTENT_TYPES[form],
                headers=_NO_STORE | {"Content-Disposition": disposition},
            )
    raise MessageError("format", f"one of {', '.join(FORMATS)}")
