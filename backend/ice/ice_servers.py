"""The ICE configuration file: TOML, checked strictly at the start, so that a typo is found at once.

Every mistake is one line: file, entry, rule; all mistakes are reported together. No secret and no credential appears in
an error or a repr. A file named `….json` is a list of servers as providers return them (`shapes.py`).
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.access.configured import ConfiguredAccess, read_access, read_limits
from backend.access.limits import Limits
from backend.cost.budget import Budget
from backend.cost.configured import PRICE_KEYS, read_budget, read_prices
from backend.cost.prices import Prices
from backend.ice.providers.configured import ConfiguredProvider, read_providers
from backend.ice.shapes import ShapeError, read_named
from backend.ice.tables import FileMistakes, Table, entry_name
from backend.ice.urls import LeftOut, sort_out
from backend.settings import StartError
from pyapp.protocol.ice import LEAST_VIDEO, MOST_VIDEO, RELAY_VIDEO, parse_ice_url
from pyapp.protocol.signaling import LONGEST_HOLD

DEFAULT_TTL = 3600
"""Lifetime of ephemeral credentials, in seconds."""

_SECRETS = ("secret", "secret_env", "secret_file")
_TOP_KEYS = ("standby", "hold", "checks", "relay_video")
_TABLES = ("access", "limits", "budget")
_KEYS = ("name", "urls", *_SECRETS, "ttl", "username", "credential", *PRICE_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredServer:
    """A `[[server]]`, or the half of it whose URIs are all `stun:`, or all `turn:` and `turns:`.

    A TURN server has either a shared `secret`, and `ttl` in seconds, or a fixed `username` and `credential`, which a
    provider issued until `expires` (Unix time, seconds) if that is not None.
    """

    name: str = ""
    urls: tuple[str, ...]
    secret: str = field(default="", repr=False)
    ttl: int = DEFAULT_TTL
    username: str = ""
    credential: str = field(default="", repr=False)
    expires: float | None = None

    @property
    def is_turn(self) -> bool:
        """Whether this server can relay."""
        return parse_ice_url(self.urls[0]).is_turn


@dataclass(frozen=True, slots=True)
class ConfiguredIce:
    """The file: its servers and providers, each in their order, and whether pages keep a standby path (`standby.py`).

    `hold` is how long, in seconds, a place is held after its socket was lost; None if the file does not say.
    """

    servers: tuple[ConfiguredServer, ...] = ()
    standby: bool = False
    hold: float | None = None
    access: ConfiguredAccess = field(default_factory=ConfiguredAccess)
    limits: Limits | None = None
    """None if the file changes none."""
    providers: tuple[ConfiguredProvider, ...] = ()
    providers_first: bool = False
    """Whether the first `[[provider]]` stands before the first `[[server]]`: links of one chain, in this order."""
    checks: bool = True
    """Whether the servers' health is checked (`watch.py`); if not, pages get all of them, in the file's order."""
    left_out: tuple[LeftOut, ...] = ()
    """URLs in it that no browser would use."""
    relay_video: int = RELAY_VIDEO
    """The most video that a page sends over a relay, in kbit/s."""
    prices: Prices = field(default_factory=Prices)
    budget: Budget = field(default_factory=Budget)


def read_ice_servers(path: Path, *, environ: Mapping[str, str] = os.environ) -> ConfiguredIce:
    """Return what is in the file at `path`, or raise `StartError` with a line for each mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path}: is not UTF-8 text") from None
    if "\0" in text:  # UTF-16 without its mark
        raise StartError(f"{path}: is not UTF-8 text")
    if path.suffix.lower() == ".json":
        return _read_json(path, text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser quotes at most one character of the file, never a value.
        raise StartError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise StartError(f"{path}: is not TOML: nested too deeply") from None
    mistakes = FileMistakes(path=path)
    configured = _read_document(document, mistakes, environ)
    mistakes.stop_if_any()
    return configured


def _read_json(path: Path, text: str) -> ConfiguredIce:
    try:
        named = read_named(json.loads(text))
    except json.JSONDecodeError as error:  # its message quotes nothing
        raise StartError(f"{path}: is not JSON: {error}") from None
    except RecursionError:
        raise StartError(f"{path}: is not JSON: nested too deeply") from None
    except ShapeError as error:
        raise StartError(f"{path}: {error}") from None
    servers = (
        ConfiguredServer(urls=server.urls, username=server.username, credential=server.credential)
        for server in named.servers
    )
    return ConfiguredIce(tuple(servers), left_out=named.left_out)


def _read_document(document: Mapping[str, Any], mistakes: FileMistakes, environ: Mapping[str, str]) -> ConfiguredIce:
    configured = ConfiguredIce()
    for key in document:
        if key not in ("server", "provider", *_TOP_KEYS, *_TABLES):
            known = ", ".join((*_TOP_KEYS, *(f"[{name}]" for name in _TABLES)))
            with mistakes.collecting():
                mistakes.fail(f"unknown key {key!r}; the file has {known}, [[server]] and [[provider]] entries")
    with mistakes.collecting():
        configured = replace(configured, access=read_access(document.get("access", {}), mistakes.fail))
    with mistakes.collecting():
        if "limits" in document:
            configured = replace(configured, limits=read_limits(document["limits"], Limits(), mistakes.fail))
    with mistakes.collecting():
        if not isinstance(standby := document.get("standby", False), bool):
            mistakes.fail("standby: must be true or false")
        configured = replace(configured, standby=standby)
    with mistakes.collecting():
        if not isinstance(checks := document.get("checks", True), bool):
            mistakes.fail("checks: must be true or false")
        configured = replace(configured, checks=checks)
    with mistakes.collecting():
        hold = document.get("hold")
        if hold is not None and (type(hold) not in (int, float) or not 1 <= hold <= LONGEST_HOLD):
            mistakes.fail(f"hold: must be seconds, from 1 to {LONGEST_HOLD:.0f}")
        configured = replace(configured, hold=hold)
    with mistakes.collecting():
        relay_video = document.get("relay_video", RELAY_VIDEO)
        if type(relay_video) is not int or not LEAST_VIDEO <= relay_video <= MOST_VIDEO:
            mistakes.fail(f"relay_video: must be a whole number of kbit/s, from {LEAST_VIDEO} to {MOST_VIDEO}")
        configured = replace(configured, relay_video=relay_video)
    prices = read_prices(document, mistakes)
    configured = replace(configured, prices=prices)
    with mistakes.collecting():
        budget = read_budget(document.get("budget", {}), mistakes.fail, has_prices=bool(prices.tariffs))
        configured = replace(configured, budget=budget)
    with mistakes.collecting():
        servers, left_out = _read_servers(document.get("server", []), mistakes, environ)
        configured = replace(configured, servers=servers, left_out=left_out)
    with mistakes.collecting():
        providers = read_providers(document.get("provider", []), mistakes, environ, _TOP_KEYS)
        order = [key for key in document if key in ("server", "provider")]
        return replace(configured, providers=providers, providers_first=order[:1] == ["provider"])
    return configured


def _read_servers(
    tables: Any, mistakes: FileMistakes, environ: Mapping[str, str]
) -> tuple[tuple[ConfiguredServer, ...], tuple[LeftOut, ...]]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        mistakes.fail("'server' must be written as [[server]]")
    seen: dict[str, str] = {}
    servers: list[ConfiguredServer] = []
    left_out: list[LeftOut] = []
    for number, table in enumerate(tables, start=1):
        entry = entry_name("server", number, table)
        reader = _Entry(mistakes, entry, table, environ)
        found, others = reader.read()
        left_out += others
        for url in (url for server in found for url in server.urls):
            with mistakes.collecting():
                if url in seen:
                    reader.fail(f"urls: {url!r} stands in {seen[url]} already")
            seen.setdefault(url, entry)
        servers += found
    return tuple(servers), tuple(left_out)


class _Entry(Table):
    """One `[[server]]` table on its way to a `ConfiguredServer` for STUN, one for TURN, or both."""

    __slots__ = ()

    def read(self) -> tuple[list[ConfiguredServer], tuple[LeftOut, ...]]:
        """Return the servers, and the URLs that no browser would use."""
        name = ""
        urls: tuple[str, ...] = ()
        left_out: tuple[LeftOut, ...] = ()
        self.check_keys(_KEYS, _TOP_KEYS)
        with self.mistakes.collecting():
            name = self.text("name")
        with self.mistakes.collecting():
            urls, left_out = self._urls()
        stun = tuple(url for url in urls if not parse_ice_url(url).is_turn)
        turn = tuple(url for url in urls if parse_ice_url(url).is_turn)
        servers = [ConfiguredServer(name=name, urls=stun)] if stun else []
        with self.mistakes.collecting():
            if turn:
                servers.append(self._turn(name, turn))
            elif stun and not any(one.url.lower().startswith("turn") for one in left_out):
                self._check_no_credentials()
        return servers, left_out

    def _check_no_credentials(self) -> None:
        for key in (*_SECRETS, "username", "credential", "ttl"):
            if key in self.table:
                self.fail(f"{key}: a STUN server takes no credentials")

    def _turn(self, name: str, urls: tuple[str, ...]) -> ConfiguredServer:
        given = [key for key in (*_SECRETS, "username", "credential") if key in self.table]
        secrets = [key for key in given if key in _SECRETS]
        if not given:
            self.fail("a TURN server needs credentials: secret, secret_env, secret_file, or username and credential")
        if len(secrets) > 1:
            self.fail(f"{secrets[0]} and {secrets[1]}: give one of them")
        if secrets and len(given) > 1:
            self.fail(f"{secrets[0]} and {given[1]}: give a shared secret, or username and credential, not both")
        if secrets:
            ttl = self.seconds("ttl", DEFAULT_TTL, 366 * 86400)
            return ConfiguredServer(name=name, urls=urls, secret=self.secret(secrets[0]), ttl=ttl)
        if "ttl" in self.table:
            self.fail("ttl: is for a shared secret; a fixed user does not expire")
        for key, other in (("username", "credential"), ("credential", "username")):
            if key not in self.table:
                self.fail(f"{other} without {key}")
        return ConfiguredServer(
            name=name, urls=urls, username=self.filled("username"), credential=self.filled("credential")
        )

    def _urls(self) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
        if "urls" not in self.table:
            self.fail("urls: is missing")
        urls = self.table["urls"]
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            self.fail("urls: must be a list of texts")
        if not urls:
            self.fail("urls: is empty")
        found = sort_out(urls)
        for error in found.errors:
            with self.mistakes.collecting():
                self.fail(f"urls: {error}")
        return found.urls, found.left_out
