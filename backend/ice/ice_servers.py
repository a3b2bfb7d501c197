"""The ICE configuration file: TOML, checked strictly at the start, so that a typing error is found then and there.

Every mistake is one line: file, entry, rule; all that are found come together. No secret and no credential stands in an
error or a repr. A file that is called `….json` is a list of servers as providers hand them out (`shapes.py`).
"""

import contextlib
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from backend.access.configured import ConfiguredAccess, read_access, read_limits
from backend.access.limits import Limits
from backend.ice.shapes import ShapeError, read_named
from backend.ice.urls import LeftOut, sort_out
from backend.settings import StartError
from pyapp.protocol.ice import parse_ice_url
from pyapp.protocol.signaling import LONGEST_HOLD

DEFAULT_TTL = 3600
"""Seconds that ephemeral credentials are good for."""

_SECRETS = ("secret", "secret_env", "secret_file")
_TOP_KEYS = ("standby", "hold")
_TABLES = ("access", "limits")
_KEYS = ("name", "urls", *_SECRETS, "ttl", "username", "credential")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredServer:
    """A `[[server]]`, or the half of it whose URIs are all `stun:`, or all `turn:` and `turns:`.

    A TURN server has either a shared `secret`, and `ttl` in seconds, or a fixed `username` and `credential`.
    """

    name: str = ""
    urls: tuple[str, ...]
    secret: str = field(default="", repr=False)
    ttl: int = DEFAULT_TTL
    username: str = ""
    credential: str = field(default="", repr=False)

    @property
    def is_turn(self) -> bool:
        """Whether this server can relay."""
        return parse_ice_url(self.urls[0]).is_turn


@dataclass(frozen=True, slots=True)
class ConfiguredIce:
    """The file: its servers in their order, and whether pages keep a standby path (`pyapp/core/path/standby.py`).

    `hold` is how long, in seconds, a place is kept for who has lost the server; None if the file does not say.
    """

    servers: tuple[ConfiguredServer, ...] = ()
    standby: bool = False
    hold: float | None = None
    access: ConfiguredAccess = field(default_factory=ConfiguredAccess)
    limits: Limits | None = None
    """None if the file changes none."""
    left_out: tuple[LeftOut, ...] = ()
    """URLs in it that no browser would use."""


def read_ice_servers(path: Path, *, environ: Mapping[str, str] = os.environ) -> ConfiguredIce:
    """Return what is in the file at `path`, or raise `StartError` with a line for each mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path}: is not UTF-8 text") from None
    if path.suffix.lower() == ".json":
        return _read_json(path, text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser quotes at most one character of the file, never a value.
        raise StartError(f"{path}: is not TOML: {error}") from None
    mistakes = Mistakes(path)
    configured = _read_document(document, mistakes, environ)
    mistakes.stop_if_any()
    return configured


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong with the file at `path`: a line for each."""

    path: Path
    lines: list[str] = field(default_factory=list)

    def fail(self, rule: str) -> NoReturn:
        """Leave the innermost `collecting` with this mistake."""
        raise StartError(f"{self.path}: {rule}")

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep the mistake that ends the block, and go on behind it."""
        try:
            yield
        except StartError as error:
            self.lines.append(str(error))

    def stop_if_any(self) -> None:
        """Raise `StartError` with all of them."""
        if self.lines:
            raise StartError("\n".join(self.lines))


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


def _read_document(document: Mapping[str, Any], mistakes: Mistakes, environ: Mapping[str, str]) -> ConfiguredIce:
    configured = ConfiguredIce()
    for key in document:
        if key not in ("server", *_TOP_KEYS, *_TABLES):
            known = ", ".join((*_TOP_KEYS, *(f"[{name}]" for name in _TABLES)))
            with mistakes.collecting():
                mistakes.fail(f"unknown key {key!r}; the file has {known} and [[server]] entries")
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
        hold = document.get("hold")
        if hold is not None and (type(hold) not in (int, float) or not 1 <= hold <= LONGEST_HOLD):
            mistakes.fail(f"hold: must be seconds, from 1 to {LONGEST_HOLD:.0f}")
        configured = replace(configured, hold=hold)
    with mistakes.collecting():
        servers, left_out = _read_servers(document.get("server", []), mistakes, environ)
        return replace(configured, servers=servers, left_out=left_out)
    return configured  # not used: a mistake was kept


def _read_servers(
    tables: Any, mistakes: Mistakes, environ: Mapping[str, str]
) -> tuple[tuple[ConfiguredServer, ...], tuple[LeftOut, ...]]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        mistakes.fail("'server' must be written as [[server]]")
    seen: dict[str, str] = {}
    servers: list[ConfiguredServer] = []
    left_out: list[LeftOut] = []
    for number, table in enumerate(tables, start=1):
        name = table.get("name")
        entry = f"[[server]] {number}" + (f' "{name}"' if isinstance(name, str) and name else "")
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


@dataclass(frozen=True, slots=True)
class _Entry:
    """One `[[server]]` table on its way to a `ConfiguredServer` for STUN, one for TURN, or both."""

    mistakes: Mistakes
    entry: str
    table: Mapping[str, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def fail(self, rule: str) -> NoReturn:
        self.mistakes.fail(f"{self.entry}: {rule}")

    def read(self) -> tuple[list[ConfiguredServer], tuple[LeftOut, ...]]:
        """Return the servers, and the URLs that no browser would use."""
        name = ""
        urls: tuple[str, ...] = ()
        left_out: tuple[LeftOut, ...] = ()
        for key in self.table:
            with self.mistakes.collecting():
                if key in _TOP_KEYS:  # to TOML, what stands below [[server]] is a key of it
                    self.fail(f"{key}: must stand before the first [[server]]")
                if key not in _KEYS:
                    self.fail(f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        with self.mistakes.collecting():
            name = self._text("name")
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
            return ConfiguredServer(name=name, urls=urls, secret=self._secret(secrets[0]), ttl=self._ttl())
        if "ttl" in self.table:
            self.fail("ttl: is for a shared secret; a fixed user does not expire")
        for key, other in (("username", "credential"), ("credential", "username")):
            if key not in self.table:
                self.fail(f"{other} without {key}")
        return ConfiguredServer(
            name=name, urls=urls, username=self._filled("username"), credential=self._filled("credential")
        )

    def _text(self, key: str) -> str:
        value = self.table.get(key, "")
        if not isinstance(value, str):
            self.fail(f"{key}: must be text")
        return value

    def _filled(self, key: str) -> str:
        value = self._text(key)
        if not value.strip():
            self.fail(f"{key}: is empty")
        return value

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

    def _ttl(self) -> int:
        ttl = self.table.get("ttl", DEFAULT_TTL)
        if type(ttl) is not int:  # a bool is an int to Python, and none to TOML
            self.fail("ttl: must be a whole number of seconds")
        if not 0 < ttl <= 366 * 86400:
            self.fail("ttl: must be from 1 second to a year")
        return ttl

    def _secret(self, key: str) -> str:
        source = self._filled(key)
        readers: dict[str, Callable[[str], str]] = {
            "secret": lambda text: text,
            "secret_env": self._secret_from_environment,
            "secret_file": self._secret_from_file,
        }
        return readers[key](source)

    def _secret_from_environment(self, variable: str) -> str:
        if variable not in self.environ:
            self.fail(f"secret_env: the environment has no variable {variable!r}")
        if not (secret := self.environ[variable].strip()):
            self.fail(f"secret_env: the environment variable {variable!r} is empty")
        return secret

    def _secret_from_file(self, name: str) -> str:
        path = self.mistakes.path.parent / name
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            self.fail(f"secret_file: {path}: cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self.fail(f"secret_file: {path}: is not UTF-8 text")
        if not secret:
            self.fail(f"secret_file: {path}: is empty")
        return secret
