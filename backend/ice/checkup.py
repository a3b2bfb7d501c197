"""`server.py check`: one check of every provider and every URL that pages would get, and who must act on a failure."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from backend.ice.chain import Chain
from backend.ice.coturn import HOW_TO_INSTALL, find_coturn
from backend.ice.health import Check
from backend.ice.ice_servers import ConfiguredIce, ConfiguredServer
from backend.ice.local_turn import LocalTurn
from pyapp.protocol.ice import parse_ice_url

LOCAL = "the local coturn"

_ADVICE = (
    ("401: the credentials have expired", "you: put new credentials into the configuration; or use a shared secret"),
    ("401", "you: compare the secret, or the user and its credential, with those of {host}, and both clocks"),
    ("441", "you: let one [[server]] alone use this user of {host}"),
    ("437", "{owner}: look into the log of {host}"),
    ("403", "{owner}: let this machine use {host}"),
    ("486", "{owner}: raise the quota of {host} for a user; or give this console a user of its own"),
    ("508", "{owner}: widen the port range of {host}, or add a server"),
    ("its certificate has expired", "{owner}: renew the certificate of {host}"),
    ("its certificate is not valid for", "{owner}: get a certificate for {host}; or you: use the name that it is for"),
    ("its certificate", "{owner}: use a certificate for {host} that browsers trust, and send its whole chain"),
    ("no TLS", "{owner}: serve TLS at {port} of {host}; or you: correct the URL"),
    ("it cannot be reached: its name", "you: correct the name {host}, or its DNS record"),
    ("it cannot be reached: nothing listens", "{owner}: start it, or have it listen on {port} of {host}"),
    ("it cannot be reached", "your network's administrator: let this machine reach {port} of {host}"),
    ("no answer", "your network's administrator and {owner}: open {port} to {host}, and check that it runs"),
    ("", "{owner}: look into the log of {host}"),
)
"""By how a problem begins: who must act, and how. The first one counts."""

_ISSUED = "you: compare the keys of provider {provider} with those in your account there; or ask them"
_PROVIDER = "you: correct the entry of provider {provider} in the configuration, or ask them"
_PROVIDER_AWAY = "your network's administrator: let this machine reach provider {provider}; or ask them if it runs"


@dataclass(frozen=True, slots=True)
class Row:
    """The result for `what`, a URL or a provider: `problem`, or empty; `seconds` is the RTT.

    `advice` says who must act on the problem, and how.
    """

    what: str
    problem: str = ""
    seconds: float | None = None
    advice: str = ""


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table, and below it those of the advice, each once."""
    wide = max((len(row.what) for row in rows), default=0)
    lines = [
        f"{'not well' if row.problem else 'well':8}  {row.what:{wide}}  {row.problem or _trip(row.seconds)}".rstrip()
        for row in rows
    ]
    advice = dict.fromkeys(row.advice for row in rows if row.advice)
    return [*lines, *([""] if advice else []), *(f"> {one[0].upper()}{one[1:]}." for one in advice)]


def _trip(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


async def checkup(configured: ConfiguredIce, local: LocalTurn | None = None) -> list[Row]:
    """Return a row for each provider and each URL, those of the `local` coturn as well, which is started for this.

    What providers issue for this is revoked, where they can. Raises `StartError` if `local` can listen nowhere.
    """
    chain = Chain(configured, is_live=lambda _holder: False, checks=False)
    async with chain.running(), _running(local) as (servers, unwell):
        await chain.tend()
        rows = [
            Row(f"provider {one.configured.name}", one.problem, advice=_of_provider(one.problem, one.configured.name))
            for one in chain.providers
        ]
        sources = [
            *(("", server) for server in configured.servers),
            *((one.configured.name, server) for one in chain.providers for server in one.sample()),
            *(("", server) for server in servers),
        ]
        # Each by itself: two providers may name the same URL, with credentials of their own.
        found = await asyncio.gather(*(chain.watch.round([one], most=len(one.urls)) for _, one in sources))
        asked = (
            _row(url, check, provider)
            for (provider, _), checks in zip(sources, found, strict=True)
            for url, check in checks.items()
        )
        return [*rows, *unwell, *asked]


@contextlib.asynccontextmanager
async def _running(local: LocalTurn | None) -> AsyncIterator[tuple[Sequence[ConfiguredServer], Sequence[Row]]]:
    """Run the local coturn; give its servers, at each address where it listens, or a row that says why it has none."""
    if local is None:
        yield (), ()
        return
    async with local.running(is_wanted=True):
        if local.coturn and local.coturn.ready.is_set():
            addresses = local.coturn.configuration.network.listening
            hosts = (f"[{address}]" if ":" in address else address for address in addresses)
            servers = {server.urls: server for host in hosts for server in local.servers(host)}
            yield tuple(servers.values()), ()
        elif not find_coturn():
            yield (), (Row(LOCAL, HOW_TO_INSTALL, advice="you: install coturn, or name a TURN server in --config"),)
        else:
            yield (), (Row(LOCAL, "it does not start", advice="you: start the server, whose log says why"),)


def _row(url: str, found: Check, provider: str) -> Row:
    problem = found.problem or found.refusal
    return Row(url, problem, found.seconds, _of_url(problem, url, provider) if problem else "")


def _of_url(problem: str, url: str, provider: str) -> str:
    parsed = parse_ice_url(url)
    advice = next(text for beginning, text in _ADVICE if problem.startswith(beginning))
    if provider and problem.startswith(("401", "441")):
        advice = _ISSUED
    return advice.format(
        host=parsed.host,
        port=f"{'UDP' if parsed.transport == 'udp' else 'TCP'} {parsed.port}",
        owner=f"provider {provider}" if provider else f"whoever runs {parsed.host}",
        provider=provider,
    )


def _of_provider(problem: str, provider: str) -> str:
    if not problem:
        return ""
    is_away = problem.startswith(("no answer", "it cannot be reached"))
    return (_PROVIDER_AWAY if is_away else _PROVIDER).format(provider=provider)
