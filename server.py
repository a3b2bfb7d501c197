"""ICE Console's server: `python server.py` serves the page, `python server.py invite SESSION` prints an invitation."""

import argparse
import asyncio
import base64
import contextlib
import gc
import io
import json
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import uvloop

from backend.access.audit import Audit
from backend.access.invitations import DEFAULT_TTL, key_made_if_missing, new_invitation, sign
from backend.access.store import Store
from backend.ice.checkup import checkup, table
from backend.ice.ice_servers import ConfiguredIce, read_ice_servers
from backend.ice.local_turn import LocalTurn, wants_local_turn
from backend.journal.checks import find_check
from backend.journal.export import FORMATS, Format, exported
from backend.journal.reading import latest_of, numbered, recorded
from backend.journal.schema import FILE, open_to_read
from backend.logs import write_log
from backend.notify import Manager, take_manager
from backend.settings import Settings, StartError, TlsFiles
from backend.state import journal_in_use, moved_journal
from backend.web.keys import RELOADER, SIGNALING
from backend.web.reloading import Reloader
from backend.web.server import serving
from pyapp.protocol.ice import parse_ice_url
from pyapp.protocol.names import encoded, session_name

_STOP_WITHIN = 10.0
"""Seconds that the end takes at most once nobody is waited for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for and return the exit code: 0, or 2 for what cannot be done as asked.

    `check` returns 1 if something is not well.
    """
    _open_what_is_closed()
    options = _parser().parse_args(arguments)
    try:
        if options.command not in (None, "check"):
            options.journal = options.journal or journal_in_use(os.environ)
        if options.command == "invite":
            _invite(options)
        elif options.command == "invitations":
            _list(options.journal)
        elif options.command == "revoke":
            _revoke(options.id, options.journal)
        elif options.command == "export":
            _export(options.session, options.format, options.journal)
        elif options.command == "check":
            return uvloop.run(_check(options))
        else:
            write_log()
            uvloop.run(_serve(_settings(options)))
    except StartError as error:
        for line in str(error).splitlines():
            print(f"server.py: {line}", file=sys.stderr)
        return 2
    return 0


def _open_what_is_closed() -> None:
    """Open the standard streams that a service was started without: else a socket would get such a number.

    Whoever reads what is printed may have letters that not all names can be written with.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="server.py", description="Serve ICE Console.")
    parser.add_argument(
        "--host",
        action="append",
        type=_without_brackets,
        default=[],
        help="address to listen on, :: for all (may be repeated; default: 127.0.0.1)",
    )
    parser.add_argument("--port", default=8080, type=_port, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="ICE configuration: STUN and TURN servers (TOML)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): serve https")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="private key of the certificate (PEM)")
    parser.add_argument(
        "--turn", choices=("auto", "off"), default="auto", help="start a local coturn if the configuration has no TURN"
    )
    parser.add_argument("--turn-host", type=_turn_host, metavar="NAME", help="what pages are told of the local coturn")
    parser.add_argument("--open", action="store_true", help="let in everybody, without an invitation")
    parser.add_argument(
        "--journal", type=Path, metavar="DIR", help="the record goes here (default: journal in the user's state folder)"
    )
    parser.add_argument(
        "--keep-addresses", action="store_true", help="record people's whole addresses (default: only their network)"
    )
    parser.add_argument(
        "--origin-trial",
        type=_origin_trial,
        action="append",
        default=[],
        metavar="TOKEN",
        help="send an Origin-Trial token with the page (may be repeated)",
    )
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="when told to stop, take no new sessions and wait so long for the others to end (default: at once)",
    )
    parser.add_argument(
        "--hsts", action="store_true", help="tell browsers to come by https alone for a year (never said on loopback)"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    beside = argparse.ArgumentParser(add_help=False)
    beside.add_argument(
        "--journal",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="that of the server: what was issued and revoked stands beside it",
    )
    invite = commands.add_parser("invite", parents=[beside], help="print an invitation to SESSION")
    invite.add_argument("session", metavar="SESSION", nargs="?", default="")
    invite.add_argument("--operator", action="store_true", help="to any session, and to invite others")
    invite.add_argument("--ttl", type=_ttl, default=DEFAULT_TTL, metavar="SECONDS", help="(default: %(default)s)")
    invite.add_argument("--name", default="", help="who it is for, in the list and the audit log")
    commands.add_parser("invitations", parents=[beside], help="list the invitations that are good now")
    revoke = commands.add_parser("revoke", parents=[beside], help="take an invitation back, from running sessions too")
    revoke.add_argument("id", metavar="ID")
    export = commands.add_parser("export", parents=[beside], help="print what was recorded of a session or a check")
    export.add_argument(
        "session", metavar="SESSION", help="its name, which means the latest one, or its number; or the id of a check"
    )
    export.add_argument("--format", choices=FORMATS, default="jsonl", help="(default: %(default)s)")
    check = commands.add_parser(
        "check",
        help="ask every server and provider how it is, and say who must act",
        description="Ask each provider, and each STUN and TURN URL that a server with the options before 'check' would "
        "give to pages, once, from here. Without a TURN server in --config that is a local coturn, started for this.",
        epilog="Exit code: 0 if all are well, 1 if one is not, 2 if nothing could be asked.",
    )
    check.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="that of the server")
    return parser


def _port(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 <= (port := int(text)) < 65536:
            return port
    raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0 to 65535")


def _without_brackets(text: str) -> str:
    """Return a host as it stands in an address of the page, where IPv6 has brackets (RFC 3986, section 3.2.2)."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _turn_host(text: str) -> str:
    """Return a host name, or an IP address without brackets."""
    if not text.isascii():
        raise argparse.ArgumentTypeError(
            "must be ASCII: a name in other letters as DNS has it, such as xn--bcher-kva.example"
        )
    name = _without_brackets(text)
    try:
        parse_ice_url(f"turn:[{name}]" if ":" in name else f"turn:{name}")
        address = ip_address(name) if ":" in name or name.rpartition(".")[2].isdigit() else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a host name (letters, digits, '-' and '.') or an IP address, without scheme and port"
        ) from None
    if address and address.is_unspecified:
        raise argparse.ArgumentTypeError(f"{text!r} must be where pages can reach it, not where it listens")
    return name


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) <= 86400:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds from 0 to 86400")


def _ttl(text: str) -> int:
    """Return whole seconds; how many there may be is the invitation's affair."""
    with contextlib.suppress(ValueError):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of seconds")


def _origin_trial(token: str) -> str:
    try:
        is_base64 = bool(base64.b64decode(token, validate=True))
    except ValueError:
        is_base64 = False
    if not is_base64:
        raise argparse.ArgumentTypeError("must be a token as it was issued: base64, without quotes or spaces")
    return token


def _hosts(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(dict.fromkeys(options.host)) or ("127.0.0.1",)


def _tls(options: argparse.Namespace) -> TlsFiles | None:
    if bool(options.tls_cert) != bool(options.tls_key):
        raise StartError("--tls-cert and --tls-key: give both or none")
    return TlsFiles(certificate=options.tls_cert, key=options.tls_key) if options.tls_cert else None


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        hosts=_hosts(options),
        port=options.port,
        config=options.config,
        tls=_tls(options),
        turn=options.turn == "auto",
        turn_host=options.turn_host or "",
        open_to_all=options.open,
        journal=options.journal or moved_journal(os.environ),
        keep_addresses=options.keep_addresses,
        origin_trials=tuple(options.origin_trial),
        drain=options.drain,
        hsts=options.hsts,
    )


async def _serve(settings: Settings) -> None:
    manager = take_manager()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    reloads = asyncio.Queue[None]()
    terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]

    def hang_up() -> None:
        # What was started in a terminal ends with it; everything else reads its files again.
        if terminals and not any(map(os.isatty, terminals)):
            stop.set()
        else:
            reloads.put_nowait(None)

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    async with serving(settings) as server, manager.watched():
        # What is there by now stays. Sockets come and go without cycles: looking for some often costs with each one.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        with contextlib.suppress(OSError):  # nobody reads it
            print(f"ICE Console: {server.operator_address}", flush=True)
        manager.ready()
        reloading = asyncio.create_task(_reload(server.app[RELOADER], reloads, manager))
        await stop.wait()
        reloading.cancel()
        manager.stopping(within=settings.drain + _STOP_WITHIN)
        if settings.drain:
            stop.clear()  # a second signal ends the waiting
            draining = asyncio.create_task(server.app[SIGNALING].drain(settings.drain))
            await asyncio.wait(
                {draining, again := asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in (draining, again):
                task.cancel()


async def _reload(reloader: Reloader, wanted: asyncio.Queue[None], manager: Manager) -> None:
    while True:
        await wanted.get()
        manager.reloading()
        await reloader.reload()
        manager.ready()


async def _check(options: argparse.Namespace) -> int:
    configured = read_ice_servers(options.config) if options.config else ConfiguredIce()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # which URLs no page gets, why coturn ends, …
    for one in configured.left_out:
        print(f"! no page gets {one.url}: {one.why}", file=sys.stderr)
    local, tls = None, _tls(options)
    if wants_local_turn(configured, is_allowed=options.turn == "auto"):
        if tls and not options.turn_host:
            print("! TLS of the local coturn is not asked: give --turn-host NAME, which pages know", file=sys.stderr)
            tls = None
        local = LocalTurn(_hosts(options), name=options.turn_host or "", tls=tls)
    rows = await checkup(configured, local)
    if not rows:
        raise StartError("check: there is nothing to ask; name servers in --config FILE, or do without --turn off")
    with _printing():
        print("\n".join(table(rows)), flush=True)
    return 1 if any(row.problem for row in rows) else 0


def _invite(options: argparse.Namespace) -> None:
    session: str = options.session
    if bool(session) == options.operator:
        raise StartError("invite: name a SESSION, or give --operator")
    invitation = new_invitation(session, name=options.name, ttl=options.ttl, now=time.time())
    token = sign(invitation, key=key_made_if_missing())
    with Store(options.journal) as store:
        store.add(invitation)
    _note(options.journal, "invited", id=invitation.id, session=session, role=invitation.role, name=invitation.name)
    with _printing():
        print(token, flush=True)
    with contextlib.suppress(BrokenPipeError):
        query = f"?session={encoded(invitation.session)}" if session else ""
        print(f"Put it behind the page's address: {query}#invite=INVITATION", file=sys.stderr)


def _list(journal: Path) -> None:
    with Store(journal) as store, _printing():
        for one in store.all():
            if one.expires > time.time():
                until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.expires))
                state = "revoked" if one.revoked else f"until {until}"
                print(one.id, one.session or "operator", state, one.name, sep="\t", flush=True)


def _revoke(identifier: str, journal: Path) -> None:
    with Store(journal) as store:
        if not store.revoke(identifier, now=time.time(), note=lambda: _note(journal, "revoked", id=identifier)):
            raise StartError(f"revoke: no invitation {identifier!r} that is not revoked yet; 'invitations' lists them")


def _export(name: str, form: Format, journal: Path) -> None:
    path = journal / FILE
    try:
        with open_to_read(path) as connection:
            session = latest_of(connection, session_name(name)) or numbered(name)
            found = recorded(connection, session) if session else None
            check = None if found else find_check(connection, name)
    except sqlite3.Error as error:
        raise StartError(f"export: {path}: {error}") from None
    if found is not None:
        lines = exported(found, form)
    elif check is not None:  # which has one form alone
        lines = iter([json.dumps(check.to_json(), indent=2, ensure_ascii=False) + "\n"])
    else:
        raise StartError(f"export: no session and no check {name!r} is recorded in {path}")
    with _printing():
        for line in lines:
            sys.stdout.write(line)
        sys.stdout.flush()


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """End the block where nobody reads on. Raises `StartError` where the output cannot be written."""
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or what is left would be tried once more at the exit, and fail
        if not isinstance(error, BrokenPipeError):
            raise StartError(f"the output cannot be written: {error.strerror}") from None


def _note(journal: Path, event: str, **data: str) -> None:
    audit = Audit(journal)
    audit.note(event, by="server.py", **data)
    audit.close()


if __name__ == "__main__":
    sys.exit(main())
