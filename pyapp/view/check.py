"""The words of the check: one sentence, what to do, and who must do it; every server; the report to copy."""

from collections.abc import Iterable

from pyapp.core.check.check import Check
from pyapp.core.check.findings import Cause, Findings, UrlFinding
from pyapp.core.check.verdict import Forecast, Problem, Verdict, VerdictRule, Who
from pyapp.protocol.ice import parse_ice_url
from pyapp.view.checking import Advice, CheckPanel, RowState, UrlRow
from pyapp.view.verdicts import REFUSALS

WHO: dict[Who, str] = {
    "you": "You",
    "network": "Your network's administrator",
    "operator": "Whoever runs this console",
}

STEPS = {
    "server": "Ask this console's server",
    "urls": "Ask every STUN and TURN server",
    "relays": "Send through each relay",
    "restart": "Restart ICE",
}

_SENTENCES: dict[VerdictRule, str] = {
    "offline": "This device is offline, so nothing could be checked.",
    "server-silent": "The server of this console does not answer, so nothing could be checked.",
    "no-signaling": "It will not work from here: your network lets no WebSocket through, and without one the two sides"
    " cannot find each other.",
    "not-its-address": "It will not work from here: this console does not know the address of this page as its own.",
    "works": "Everything works from here: direct connections wherever the other network allows them, and relays for"
    " the rest.",
    "works-mostly": "It will work from here, but not every server does.",
    "relay-mostly": "It will work, mostly through a relay: your network gives each destination another port, so direct"
    " connections often fail.",
    "direct-only": "No relay can be used from here, so it will only work where both networks allow a direct"
    " connection.",
    "direct-without-relays": "Direct connections are possible from here, but there is no relay for networks that do"
    " not allow them.",
    "nothing-works": "It will not work from here: no server can be reached.",
}

_SINCE: dict[VerdictRule, str] = {
    "offline": "This device went offline during the check.",
    "server-silent": "The server of this console stopped answering during the check.",
}
"""As above, if the server gave its list of ICE servers before."""

_OVER = {"over-tls": "TLS", "over-tcp": "TCP"}

_FORECASTS: dict[Forecast, str] = {
    "is-direct": "You are connected directly at the moment.",
    "relay-only": "You will need a relay, because this page was told to use relays only.",
    "direct": "A direct connection to the other side will be possible, because UDP gets through to both of you.",
    "relay-udp-here": "You will need a relay, because your network blocks UDP.",
    "relay-udp-there": "You will need a relay, because the other side has named no address that UDP could reach.",
    "relay-both-symmetric": "You will need a relay, because both networks give each destination another port.",
    "perhaps-symmetric-here": "You may need a relay, because your network gives each destination another port.",
    "perhaps-symmetric-there": "You may need a relay, because the other network gives each destination another port.",
    "unknown": "Whether a direct connection will be possible is not known, because no server was asked over UDP.",
}

_CAUSES: dict[Cause, str] = {
    "credentials": "refuses the user name or password",
    "quota": "has reached its limit of connections",
    "capacity": "has no ports left",
    "dns": "has an unknown name",
    "closed": "refuses the connection",
    "no-answer": "does not answer",
    "refused-by-browser": "was refused by the browser",
    "loopback": "is not asked by this browser",
}


def present(check: Check) -> CheckPanel:
    """Return what the page shows of `check`."""
    found, verdict = check.found, check.verdict
    rows = tuple(_row(one, is_over=check.is_over) for one in found.urls)
    steps = tuple((STEPS[name], state) for name, state in check.steps)
    if verdict is None:
        state = "stopped" if found.was_stopped else "running"
        sentence = "The check was stopped." if found.was_stopped else "Checking…"
        return CheckPanel(
            state="stopped" if state == "stopped" else "running",
            level="neutral" if state == "stopped" else "busy",
            sentence=sentence,
            progress=_progress(check),
            steps=steps,
            facts=_facts(found) if found.urls else (),
            rows=rows,
        )
    return CheckPanel(
        state="done",
        level=verdict.level,
        sentence=sentence_of(found, verdict),
        forecast=_forecast(found, verdict),
        progress=1.0,
        steps=steps,
        # Two URLs of one server have one cause, as a rule.
        advice=tuple(dict.fromkeys(Advice(WHO[one.who], advice(one)) for one in verdict.problems)),
        facts=_facts(found) if found.refusal is None else (),
        rows=rows,
        report=_report(check, verdict),
        identifier=check.identifier or "",
        note=_note(check),
    )


def sentence_of(found: Findings, verdict: Verdict) -> str:
    """Return the outcome in a sentence or two."""
    if verdict.rule == "refused" and found.refusal is not None:
        headline, _ = REFUSALS.get(found.refusal.code, (found.refusal.reason.rstrip("."), ""))
        return f"{headline}, so nothing could be checked."
    if over := _OVER.get(verdict.rule):
        rules = {problem.rule for problem in verdict.problems}
        if found.udp is None:
            return f"It will work, over {over}, with more delay: no server is configured for UDP."
        why = "Your network blocks UDP." if "udp-blocked" in rules else "No server answers over UDP."
        return f"{why} It will work, over {over}, with more delay."
    sentence = _SENTENCES[verdict.rule]
    return sentence if found.refusal is not None else _SINCE.get(verdict.rule, sentence)


def _forecast(found: Findings, verdict: Verdict) -> str:
    """Return which path will be possible, and why; empty with nobody in the session."""
    if verdict.forecast is None:
        return ""
    is_relayed = found.them is not None and found.them.path == "relay"
    now = "You are connected through a relay at the moment. " if is_relayed else ""
    return now + _FORECASTS[verdict.forecast]


def advice(problem: Problem) -> str:
    """Return what to do about it, for whoever must."""
    name, ports = problem.host, _ports(problem.urls)
    match problem.rule:
        case "refused":
            default = ("", "Ask whoever runs this console what it refuses, and why.")
            return REFUSALS.get(problem.detail, default)[1]
        case "offline":
            return "Connect it to a network, then check again."
        case "server-silent":
            return "Look at this console's server and the proxy in front of it."
        case "websocket-blocked":
            return "Let WebSockets through to the address of this page: a proxy or a firewall ends them."
        case "foreign-origin":
            return problem.detail
        case "udp-blocked":
            return f"Open {ports}."
        case "nothing-answers" if problem.who == "network":
            return f"The servers work, but nothing reaches them from here. Open {ports}."
        case "nothing-answers" if problem.who == "operator":
            return f"Nothing answers there, not even to this console: {ports}. Start it, or correct the address."
        case "nothing-answers":
            return (
                "Try another network, such as a phone's. If no server answers there either, tell whoever runs this"
                " console."
            )
        case "host-blocked":
            return f"{name} works, but cannot be reached from here. Open {ports}."
        case "host-down":
            return f"{name} does not answer. Start it, or let this through to it: {ports}."
        case "stun-down":
            return f"The STUN server {name} does not answer. Start it, or take it out of the configuration."
        case "transport-blocked":
            return f"Open {ports}. Other ways to it work, so this can wait."
        case "transport-down":
            return f"{name} answers, but not on {ports}. Check that it listens there, and its firewall."
        case "credentials-expired":
            return f"The credentials for {name} have expired ({problem.detail}). Renew them, or use a shared secret."
        case "credentials-refused":
            return (
                f"{name} refuses the user name or password ({problem.detail}). Compare the secret in the configuration"
                " with the server's."
            )
        case "quota-reached":
            return f"{name} has reached its limit of connections ({problem.detail}). Raise its quotas."
        case "no-capacity":
            return f"{name} has no ports left for relays ({problem.detail}). Widen its port range, or add a server."
        case "name-unknown":
            return f"Nobody knows the name {name}. Correct it in the configuration or in the DNS."
        case "name-unknown-here":
            return f"The DNS of your network does not know {name}, though others do. Let it be resolved."
        case "certificate":
            return f"Browsers accept no TLS of {name} ({ports}). Check that its certificate is valid for its name."
        case "tls-inspected":
            return f"TLS to {name} is fine elsewhere, but not here. Exempt {ports} from inspection."
        case "needs-ipv6":
            return f"{name} is configured by an IPv4 address, and this network has IPv6 alone. Give it an IPv6 one."
        case "url-unusable":
            return f"The browser does not accept the URL {problem.urls[0] if problem.urls else ''}. Correct it."
        case "loopback":
            return (
                f"This browser asks no server at {name}, which leads to this machine only. Open the console at another"
                " address of this machine, or in another browser."
            )
        case "relays-nothing":
            return (
                f"Two connections of this page did not meet through {name} ({ports}). Check that its relay ports are"
                " open, and that it may send to its own address."
            )
        case "symmetric":
            return "Nothing needs to be done. For direct connections the NAT must give a socket one port for all."
        case "no-relay-configured":
            return "Add a TURN server to the configuration: many networks allow no direct connection."


def _ports(urls: Iterable[str]) -> str:
    """Return what to open: `UDP 3478 to turn1.example.org and TCP 443 to turn2.example.org`."""
    parsed = [parse_ice_url(url) for url in urls]
    asked = list(dict.fromkeys(f"{'UDP' if p.transport == 'udp' else 'TCP'} {p.port} to {p.host}" for p in parsed))
    return asked[0] if len(asked) == 1 else f"{', '.join(asked[:-1])} and {asked[-1]}" if asked else "the servers"


def _progress(check: Check) -> float:
    """Return how far it is: the servers' answers are half of it, and what passes through them the rest."""
    if check.state == "asking":
        return 0.05
    states = [trial.state for trial in check.trials]
    done = {"done": 1.0, "gathering": 0.0, "connecting": 0.4, "measuring": 0.5, "measured": 0.7}
    parts = [done.get(state, 0.7) for state in states]
    return 0.1 + 0.9 * sum(parts) / len(parts) if parts else 0.9


def _row(one: UrlFinding, *, is_over: bool) -> UrlRow:
    way = f"{one.url.transport.upper()} {one.url.port}"
    return UrlRow(
        _server(one),
        way,
        _row_state(one, is_over=is_over),
        _row_text(one, is_over=is_over),
        _figures(one, is_over=is_over),
    )


def _server(one: UrlFinding) -> str:
    kind = "" if one.url.is_turn else " (STUN)"
    return f"{one.url.host}{kind}"


def _row_state(one: UrlFinding, *, is_over: bool) -> RowState:
    if one.cause is not None or one.is_loop_open is False:
        return "bad"
    if one.answered is None or (one.url.is_turn and one.round_trip is None):
        return "bad" if is_over else "busy"
    return "good"


def _row_text(one: UrlFinding, *, is_over: bool) -> str:
    if one.cause is not None:
        codes = sorted(one.codes - {701}) or sorted(one.codes)
        code = f" ({', '.join(map(str, codes))})" if codes else ""
        return f"{_CAUSES[one.cause]}{code}"
    if one.answered is None:
        return "did not answer in time" if is_over else "asking…"
    answers = f"answers in {_ms(one.answered)}"
    return f"{answers}, but nothing passed through it" if one.is_loop_open is False else answers


def _figures(one: UrlFinding, *, is_over: bool) -> tuple[str, ...]:
    figures = []
    if one.round_trip is not None:
        figures.append(f"RTT {_ms(one.round_trip)}")
    if one.jitter is not None:
        figures.append(f"jitter {_ms(one.jitter)}")
    if is_over and one.trips and len(one.trips) < one.pings:
        figures.append(f"{one.pings - len(one.trips)} of {one.pings} packets lost")
    if one.rate is not None and one.received:
        figures.append(f"{one.rate / 1e6:.1f} Mbit/s ({one.received / 1e6:.1f} MB sent)")
    if one.restarted is not None:
        figures.append(f"ICE restart {_ms(one.restarted)}")
    return tuple(figures)


def _facts(found: Findings) -> tuple[tuple[str, str], ...]:
    yes = {True: "gets out", False: "does not get out", None: "not known"}
    mapping = {
        "independent": "one port for all destinations",
        "dependent": "another port for each destination (symmetric)",
        None: "not known: it takes two servers that answer over UDP",
    }
    websocket = {True: "work", False: "do not work", None: "not known"}
    families = {4: "not seen", 6: "not seen"} | dict.fromkeys(found.families, "works")
    return (
        ("UDP", yes[found.udp]),
        ("NAT", mapping[found.mapping]),
        ("IPv4 over UDP", families[4]),
        ("IPv6 over UDP", families[6]),
        ("WebSockets", websocket[None if found.is_offline or found.is_server_gone else found.websocket]),
    )


def _note(check: Check) -> str:
    if check.identifier is None:
        return "Sending the report…"
    if not check.identifier:
        return "The server does not have this report: copy it, and send it to whoever runs this console."
    return "Whoever runs this console finds the report under this number."


def _report(check: Check, verdict: Verdict) -> str:
    """Return the report as text, to be passed on."""
    found = check.found
    lines = [f"Network check{f' {check.identifier}' if check.identifier else ''}", "", sentence_of(found, verdict)]
    lines += [forecast] if (forecast := _forecast(found, verdict)) else []
    told = dict.fromkeys(f"- {WHO[one.who]}: {advice(one)}" for one in verdict.problems)
    lines += ["", *told] if told else []
    if found.refusal is not None:
        return "\n".join([*lines, "", f"{found.refusal.code} {found.refusal.reason}".strip(), ""])
    lines += ["", *(f"{label}: {value}" for label, value in _facts(found)), ""]
    for one in found.urls:
        row = _row(one, is_over=True)
        lines.append("; ".join((f"{one.text} {row.text}", *row.figures)))
        errors = dict.fromkeys(f"  {e.code} {e.text} {e.address}".rstrip() for e in (*one.errors, *one.loop_errors))
        lines += errors
        if seen := found.seen.get(one.text):
            lines.append(f"  this console's server: {seen}")
    return "\n".join([*lines, "", f"It took {found.took:.1f} s.", ""])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"
