"""`[budget]`, and the prices in `[[server]]` and `[[provider]]`, of the configuration file."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from backend.cost.budget import LOWERED_VIDEO, SCOPES, STEPS, Allowance, Budget
from backend.cost.prices import DEFAULT_CURRENCY, Prices, Tariff
from backend.ice.tables import FileMistakes, Table, entry_name
from backend.settings import Mistakes
from pyapp.protocol.ice import LEAST_VIDEO, MOST_VIDEO, IceError, parse_ice_url
from pyapp.protocol.names import check_session_name, session_name
from pyapp.protocol.wire import MessageError

PRICE_KEYS = ("price_per_gb", "free_gb")
"""What a `[[server]]` or a `[[provider]]` may have."""

_MOST = 1e9
_ALLOWANCES = tuple(f"{scope}_{unit}" for scope in SCOPES for unit in ("gb", "cost"))
_KEYS = ("currency", *_ALLOWANCES, *STEPS, "video", "sessions")

Fail = Callable[[str], NoReturn]
"""Raises `StartError` with the rule that was broken."""


def read_prices(document: Mapping[str, Any], mistakes: FileMistakes) -> Prices:
    """Return the prices in the file; each mistake is kept in `mistakes`. What is no table is told of by others."""
    tariffs: list[Tariff] = []
    seen: dict[str, str] = {}
    for kind in ("server", "provider"):
        tables = document.get(kind, [])
        for number, table in enumerate(tables if isinstance(tables, list) else [], start=1):
            if not isinstance(table, dict) or not any(key in table for key in PRICE_KEYS):
                continue
            reader = Table(mistakes, entry_name(kind, number, table), table, {})
            with mistakes.collecting():
                price, free = (_amount(table, key, reader.fail) for key in PRICE_KEYS)
                if price is None:
                    reader.fail("free_gb: without price_per_gb")
                name = str(table.get("name") or table.get("kind") or "") if kind == "provider" else ""
                hosts = frozenset(_turn_hosts(table)) if kind == "server" else frozenset()
                if kind == "server" and not hosts:
                    reader.fail("price_per_gb: only a TURN server relays")
                for host in sorted(hosts):
                    if host in seen:
                        reader.fail(f"price_per_gb: {host} has the price of {seen[host]} already")
                    seen[host] = reader.entry
                tariffs.append(Tariff(price, free or 0.0, hosts, name))
    table = document.get("budget", {})
    currency = table.get("currency", DEFAULT_CURRENCY) if isinstance(table, Mapping) else ""
    return Prices(tuple(tariffs), currency if isinstance(currency, str) else "")


def read_budget(table: Any, fail: Fail, *, has_prices: bool) -> Budget:
    """Return what is in `[budget]`. Raises `StartError` with a line for each mistake, as `fail` writes it."""
    if not isinstance(table, Mapping):
        fail("'budget' must be written as [budget]")
    mistakes = Mistakes()
    for key in table:
        with mistakes.collecting():
            if key not in _KEYS:
                fail(f"[budget]: unknown key {key!r}; known are {', '.join(_KEYS)}")

    def told(rule: str) -> NoReturn:
        fail(f"[budget] {rule}")

    amounts: dict[str, float | None] = dict.fromkeys(_ALLOWANCES)
    for key in _ALLOWANCES:
        with mistakes.collecting():
            amounts[key] = _amount(table, key, told)
            if amounts[key] == 0:
                told(f"{key}: must be above 0")
            if key.endswith("_cost") and key in table and not has_prices:
                told(f"{key}: no [[server]] and no [[provider]] has a price_per_gb")
    with mistakes.collecting():
        if not re.fullmatch("[A-Z]{3}", str(table.get("currency", DEFAULT_CURRENCY))):
            told("currency: must be a code of ISO 4217, such as 'EUR'")
    steps = dict(Budget().steps)
    for name in STEPS:
        with mistakes.collecting():
            if (share := _amount(table, name, told)) is not None:
                steps[name] = share
    shares = [steps[name] for name in STEPS]
    with mistakes.collecting():
        if shares[0] <= 0 or shares != sorted(shares):
            told(f"{', '.join(STEPS)}: must be shares of the budget above 0, such as 0.8, each at least the one before")
    video = table.get("video", LOWERED_VIDEO)
    with mistakes.collecting():
        if type(video) is not int or not LEAST_VIDEO <= video <= MOST_VIDEO:
            told(f"video: must be a whole number of kbit/s, from {LEAST_VIDEO} to {MOST_VIDEO}")
    sessions: frozenset[str] = frozenset()
    with mistakes.collecting():
        sessions = _sessions(table.get("sessions", []), told)
    mistakes.stop_if_any()
    allowances = {scope: Allowance(amounts[f"{scope}_gb"], amounts[f"{scope}_cost"]) for scope in SCOPES}
    return Budget(allowances, steps, video, sessions)


def _amount(table: Mapping[str, Any], key: str, fail: Fail) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < _MOST:  # what is not a number compares with none
        fail(f"{key}: must be a number from 0")
    return float(value)


def _sessions(names: Any, fail: Fail) -> frozenset[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        fail("sessions: must be a list of texts")
    try:
        return frozenset(check_session_name(session_name(name)) for name in names)
    except MessageError as error:
        fail(f"sessions: each must be a session's name, which has {error.rule}")


def _turn_hosts(table: Mapping[str, Any]) -> Iterator[str]:
    urls = table.get("urls", [])
    for url in urls if isinstance(urls, list) else []:
        try:
            parsed = parse_ice_url(str(url))
        except IceError:
            continue  # told of with the entry
        if parsed.is_turn:
            yield parsed.host
