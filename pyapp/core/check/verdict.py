"""What the findings mean: one verdict, the problems, and who must act. Facts with ids; `pyapp/view/check.py` has words.

Every rule weighs all the evidence: what other URLs of the same host and of the same transport gave, and what the
console's own server found at the same URL, which tells a dead server from a network that hides it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core.check.findings import NEVER_ASKED, OFFLINE, Findings, UrlFinding
from pyapp.protocol.turn_rest import expiry

Who: TypeAlias = Literal["you", "network", "operator"]
"""Who must act: the person at the page, the administrator of their network, whoever runs the console."""

ProblemRule: TypeAlias = Literal[
    "offline",
    "refused",
    "server-silent",
    "websocket-blocked",
    "foreign-origin",
    "udp-blocked",
    "nothing-answers",
    "host-blocked",
    "host-down",
    "transport-blocked",
    "transport-down",
    "stun-down",
    "credentials-expired",
    "credentials-refused",
    "quota-reached",
    "no-capacity",
    "name-unknown",
    "name-unknown-here",
    "certificate",
    "tls-inspected",
    "needs-ipv6",
    "url-unusable",
    "loopback",
    "relays-nothing",
    "symmetric",
    "no-relay-configured",
]

VerdictRule: TypeAlias = Literal[
    "offline",
    "refused",
    "server-silent",
    "no-signaling",
    "not-its-address",
    "works",
    "works-mostly",
    "relay-mostly",
    "over-tls",
    "over-tcp",
    "direct-only",
    "direct-without-relays",
    "nothing-works",
]

Level: TypeAlias = Literal["good", "fair", "bad"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to do. `urls` are the ones concerned; `detail` is a code or a reason, where there is one."""

    rule: ProblemRule
    who: Who
    urls: tuple[str, ...] = ()
    host: str = ""
    """The operator's name of the server, or else its host."""
    detail: str = ""


Forecast: TypeAlias = Literal[
    "is-direct",
    "direct",
    "relay-only",
    "relay-udp-here",
    "relay-udp-there",
    "relay-both-symmetric",
    "perhaps-symmetric-here",
    "perhaps-symmetric-there",
    "unknown",
]
"""With somebody in the session: whether a direct path will be possible, and because of what."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a check."""

    rule: VerdictRule
    level: Level
    problems: tuple[Problem, ...] = ()
    forecast: Forecast | None = None
    """None with nobody in the session."""


def judge(found: Findings) -> Verdict:
    """Return the verdict."""
    problems = tuple(_problems(found))
    rule, level = _outcome(found, problems)
    return Verdict(rule, level, problems, forecast(found))


def forecast(found: Findings) -> Forecast | None:
    """Say whether a direct path to the other side will be possible.

    Two symmetric NATs never meet. One symmetric NAT and one that filters by port do not either, but filtering cannot be
    seen from a page (RFC 5780, section 4.4 needs a server that answers from elsewhere, below ICE).
    """
    if (them := found.them) is None:
        return None
    if them.path == "direct":
        return "is-direct"
    if them.is_relay_only:
        return "relay-only"
    if found.udp is None:
        return "unknown"
    if not found.udp:
        return "relay-udp-here"
    if not them.has_udp:
        return "relay-udp-there"
    is_symmetric = found.mapping == "dependent"
    if is_symmetric and them.is_symmetric:
        return "relay-both-symmetric"
    if is_symmetric:
        return "perhaps-symmetric-here"
    return "perhaps-symmetric-there" if them.is_symmetric else "direct"


def _outcome(found: Findings, problems: tuple[Problem, ...]) -> tuple[VerdictRule, Level]:
    if found.refusal is not None and found.refusal.code == OFFLINE:
        return "offline", "bad"
    if found.refusal is not None:
        return ("refused", "bad") if found.refusal.code else ("server-silent", "bad")
    if found.websocket is False:
        return _without_signaling(found), "bad"
    over = {one.url.transport for one in found.relays}
    if not found.udp:  # or no server to ask over UDP
        if over:
            is_only_configured = found.udp is None
            rule: VerdictRule = "over-tls" if over == {"tls"} or "tls" in over else "over-tcp"
            return ("works", "good") if is_only_configured and not problems else (rule, "fair")
        was_asked = any(one.cause not in NEVER_ASKED for one in found.urls)
        return ("nothing-works" if was_asked or not found.urls else "direct-only"), "bad"
    if not over:
        has_relays = any(one.url.is_turn for one in found.urls)
        return ("direct-only", "bad") if has_relays else ("direct-without-relays", "fair")
    if found.mapping == "dependent":
        return "relay-mostly", "fair"
    others = [problem for problem in problems if problem.rule != "relays-nothing"]
    return ("works-mostly", "fair") if others else ("works", "good")


def _without_signaling(found: Findings) -> VerdictRule:
    """Return what it means that no WebSocket opens: the server, or the network, may have gone since it answered."""
    if found.is_offline:
        return "offline"
    if found.is_server_gone:
        return "server-silent"
    return "not-its-address" if _foreign_rule(found) else "no-signaling"


def _foreign_rule(found: Findings) -> str:
    """Return the rule by which the server refuses the page because of its address, empty if it does not."""
    why = found.obstacle
    return why.cause if why is not None and why.kind == "foreign-origin" else ""


def _problems(found: Findings) -> Iterator[Problem]:
    if found.refusal is not None:
        code = found.refusal.code
        if code == OFFLINE:
            yield Problem("offline", "you")
            return
        rule: ProblemRule = "refused" if code else "server-silent"
        yield Problem(rule, "you" if code.startswith("invitation") else "operator", detail=code or found.refusal.reason)
        return
    if found.is_offline:
        yield Problem("offline", "you")
        return  # whatever else is silent is so because of it
    if found.obstacle is not None and found.is_server_gone:
        yield Problem("server-silent", "operator", detail=found.obstacle.cause)
    elif rule_broken := _foreign_rule(found):
        yield Problem("foreign-origin", "operator", detail=rule_broken)
    elif found.websocket is False:
        yield Problem("websocket-blocked", "network")
    if not any(one.url.is_turn for one in found.urls):
        yield Problem("no-relay-configured", "operator")
    answered = [one for one in found.urls if _answers(one)]
    silent = [one for one in found.urls if not _answers(one)]
    yield from _silent(found, silent)
    for one in answered:
        yield from _refused(found, one)
    if found.mapping == "dependent":
        yield Problem("symmetric", "network")


def _answers(one: UrlFinding) -> bool:
    """Whether the server is there: a refusal is an answer, too."""
    return one.answered is not None or one.cause in ("credentials", "quota", "capacity")


def _nothing_answers(found: Findings, silent: list[UrlFinding]) -> Iterator[Problem]:
    well = tuple(one.text for one in silent if found.seen.get(one.text) == "")
    down = tuple(one.text for one in silent if found.seen.get(one.text))
    if well:  # the console's server reaches them: it is the network
        yield Problem("nothing-answers", "network", well)
    if down:
        yield Problem("nothing-answers", "operator", down)
    if not well and not down:
        yield Problem("nothing-answers", "you", tuple(one.text for one in silent))


def _silent(found: Findings, silent: list[UrlFinding]) -> Iterator[Problem]:
    has_answer = any(map(_answers, found.urls))
    if found.udp is False and has_answer:
        mute = [one for one in silent if one.url.transport == "udp" and one.cause == "no-answer"]
        if not all(found.seen.get(one.text) for one in mute):
            yield Problem("udp-blocked", "network", tuple(one.text for one in mute))
            silent = [one for one in silent if one not in mute]
    others: list[UrlFinding] = []
    for one in silent:
        if (problem := _by_itself(found, one)) is not None:
            yield problem
        else:
            others.append(one)
    if not has_answer:  # there is nothing to compare a host with
        yield from _nothing_answers(found, others) if others else ()
        return
    for host in dict.fromkeys(one.url.host for one in others):
        yield from _host(found, host, [one for one in others if one.url.host == host])


def _by_itself(found: Findings, one: UrlFinding) -> Problem | None:
    """Return what is wrong with a URL that needs no comparison with others, or None."""
    seen = found.seen.get(one.text)
    name = one.name or one.url.host
    if one.cause == "refused-by-browser":
        return Problem("url-unusable", "operator", (one.text,), name)
    if one.cause == "loopback":
        return Problem("loopback", "you", (one.text,), one.url.host)
    if one.cause == "dns":
        # The console's own server finds it by its name: so it is this network's resolver.
        rule: ProblemRule = "name-unknown-here" if seen == "" else "name-unknown"
        return Problem(rule, "network" if seen == "" else "operator", (one.text,), one.url.host)
    if seen is not None and "certificate" in seen:
        return Problem("certificate", "operator", (one.text,), name)
    if found.families == {6} and re.fullmatch(r"[0-9.]+", one.url.host):
        return Problem("needs-ipv6", "operator", (one.text,), name)
    if one.url.transport == "tls" and one.cause == "closed" and _host_takes_tcp(found, one):
        rule = "tls-inspected" if seen == "" else "certificate"
        return Problem(rule, "network" if seen == "" else "operator", (one.text,), name)
    return None


def _host_takes_tcp(found: Findings, tls: UrlFinding) -> bool:
    """Whether a TCP connection to the host is not what fails: on the same port, or while TCP gets out to it at all."""
    return any(one.url.host == tls.url.host and one.url.transport == "tcp" and _answers(one) for one in found.urls)


def _host(found: Findings, host: str, silent: list[UrlFinding]) -> Iterator[Problem]:
    """Say what is wrong with the URLs of one host that have given no answer."""
    texts = tuple(one.text for one in silent)
    name = next((one.name for one in silent if one.name), host)
    seen = [found.seen.get(text) for text in texts]
    is_well_elsewhere = "" in seen
    if not any(one.url.host == host and _answers(one) for one in found.urls):
        if all(not one.url.is_turn for one in silent):
            yield Problem("stun-down", "network" if is_well_elsewhere else "operator", texts, name)
        else:
            rule: ProblemRule = "host-blocked" if is_well_elsewhere else "host-down"
            yield Problem(rule, "network" if is_well_elsewhere else "operator", texts, name)
        return
    for one in silent:
        way = (one.url.transport, one.url.port)
        gets_out = any((other.url.transport, other.url.port) == way and _answers(other) for other in found.urls)
        is_down = bool(found.seen.get(one.text)) or (gets_out and found.seen.get(one.text) is None)
        rule = "transport-down" if is_down else "transport-blocked"
        yield Problem(rule, "operator" if is_down else "network", (one.text,), name, one.url.transport)


def _refused(found: Findings, one: UrlFinding) -> Iterator[Problem]:
    """Say what is wrong with a URL whose server is there."""
    name, texts = one.name or one.url.host, (one.text,)
    codes = {error.code for error in one.loop_errors}
    match one.cause:
        case "credentials":
            until = expiry(one.username, now=found.unix)
            is_expired = until is not None and until < found.unix
            rule: ProblemRule = "credentials-expired" if is_expired else "credentials-refused"
            code = next((str(error.code) for error in one.errors if error.code != 701), "")
            yield Problem(rule, "operator", texts, name, code)
        case "quota":
            yield Problem("quota-reached", "operator", texts, name, "486")
        case "capacity":
            yield Problem("no-capacity", "operator", texts, name, "508")
        case _ if one.is_loop_open is False and 486 in codes:
            yield Problem("quota-reached", "operator", texts, name, "486")
        case _ if one.is_loop_open is False and 508 in codes:
            yield Problem("no-capacity", "operator", texts, name, "508")
        case _ if one.is_loop_open is False:
            yield Problem("relays-nothing", "operator", texts, name)
