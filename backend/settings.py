"""The command line's settings, and the exception that stops a start."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backend.access.limits import Limits

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the repository: the page, `pyapp`, `static` and `node_modules` are in it."""


class StartError(Exception):
    """The server cannot start as asked: the message has a line for each mistake, and no secret."""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong with a configuration: a line for each mistake."""

    lines: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep the mistake that ends the block, and continue after it."""
        try:
            yield
        except StartError as error:
            self.lines.append(str(error))

    def stop_if_any(self) -> None:
        """Raise `StartError` with all of them."""
        if self.lines:
            raise StartError("\n".join(self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate chain and its private key, both PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one run of the server needs to know.

    `hosts` are names or addresses to listen on; `::` is every address. `port` 0 takes a free one. `turn` says whether
    a local coturn may be started, and `turn_host` is what pages are told of it, if not the host that they asked for.
    `open_to_all` lets in whoever reaches the server, without an invitation. `hold` is how long, in seconds, a place is
    kept for a participant whose socket was lost. `drain` is how long a server that was told to stop waits for its
    sessions to end. `hsts`: browsers are to come by https alone from now on. `checks` says whether STUN and TURN
    servers may be asked how they are. `origin_trials` are the tokens of browsers' trials that the page takes part in.
    `keep_addresses`: the record holds people's whole addresses.
    """

    journal: Path
    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = 8080
    config: Path | None = None
    tls: TlsFiles | None = None
    turn: bool = True
    turn_host: str = ""
    open_to_all: bool = False
    keep_addresses: bool = False
    origin_trials: tuple[str, ...] = ()
    hold: float = 30.0
    drain: float = 0.0
    hsts: bool = False
    checks: bool = True
    root: Path = ROOT
    limits: Limits = field(default_factory=Limits)
