"""What an entry of the journal says, in one sentence: the same in the page's log, in the record and in the account.

The sentence follows from the entry's data alone. So nothing of it is sent or stored, and a record of an earlier version
has it as well. A page may have made the data up: whatever it is, there is a sentence, short and of plain characters.
What a page says of itself names nobody; what the server saw (`server-…`) follows the name of a person.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pyapp.protocol.ice import IceError, parse_reported_url
from pyapp.protocol.wire import Scalar

LONGEST = 400
"""Characters of a sentence."""

_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
"""Space, control characters, and those that change the direction of a text (UAX 9, section 2)."""


def sentence(event: str, data: Mapping[str, Scalar]) -> str:
    """Return what an entry says: without a capital and a full stop, so that it can follow a name.

    Of an entry that lacks what there is to say, as those of earlier versions may, it is the name of the event.
    """
    form, facts = FORMS.get(event, ""), _Facts(data)
    text = form.format_map(facts) if isinstance(form, str) else form(facts)
    if not text.isprintable() or "  " in text:
        text = _UNSEEN.sub(" ", text)
    text = text.strip(" :,") or event.replace("-", " ")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class _Facts:
    """The data of an entry as texts, for a form; empty where it has none."""

    __slots__ = ("data",)

    def __init__(self, data: Mapping[str, Scalar]) -> None:
        self.data = data

    def __getitem__(self, name: str) -> str:
        value = self.data.get(name)
        return "" if value is None else str(value)

    def __contains__(self, name: object) -> bool:
        return name in self.data

    def number(self, name: str, form: str = ".0f") -> str:
        """Return a figure, as `form` says; empty if it is none."""
        value = self.data.get(name)
        return format(value, form) if isinstance(value, int | float) and not isinstance(value, bool) else ""

    def is_true(self, name: str) -> bool:
        return self.data.get(name) is True


_Form: TypeAlias = str | Callable[[_Facts], str]
"""With `{name}` where a field goes, or a function."""

_REFUSALS = {
    "no-path": "no path was found between the two networks",
    "session-full": "two people were in the session already",
    "replaced": "the page was opened again in another tab",
}

_PEER = {
    "here": "the other side is here",
    "left": "the other side left",
    "away": "the server has lost the other side",
}

_NO_ALARMS = {
    "late": "a late heartbeat, not late enough",
    "stalled": "this page stalled",
    "peer-stalled": "the other page stands still, and its browser answers",
    "answered": "the network may have changed, and yet the other side answers",
}


_RESTARTS = {
    "person": "asked for by the person",
    "peer": "asked for by the other side",
    "credentials-expired": "the relays' credentials had expired",
    "credentials-renewed": "the relay's credentials were renewed",
    "direct-path": "looking for a direct path",
    "relays-needless": "the relays are not needed",
    "udp-again": "UDP gets out again",
}

_STANDBY_OVER = {
    "anew": "the other side begins anew",
    "channel-closed": "the channel closed",
    "credentials-renewed": "the relays' credentials were renewed",
    "failed": "the connection failed",
    "late": "it took too long",
    "misplaced": "its server carries the path in use, or is not configured any more",
    "needless": "no relay is in use any more",
    "no-candidate": "the relay gave no candidate",
    "over": "the connection is over",
    "silent": "it was silent in the outage",
}

_LEFT_ASIDE = {
    "crossed": "it crossed an own offer, and this is the impolite side",
    "newer-offered": "a newer one was offered meanwhile",
    "no-description": "no description came for {ufrag}",
    "not-awaited": "not awaited while {state}",
    "offer-gone": "to offer {exchange}, which no longer stands",
    "old-generation": "of an older ICE generation, {ufrag}",
    "replaced": "a remote offer took its place",
    "symmetric": "of a symmetric network, whose first one will do",
}


def _no_alarm(of: _Facts) -> str:
    if of["evidence"]:
        return f"the browser says {of['evidence']}, and yet the other side is heard"
    return _NO_ALARMS.get(of["cause"], "")


def _session(of: _Facts) -> str:
    return f"connecting to session {of['session']}" if of["session"] else "hung up"


def _failed(of: _Facts) -> str:
    why = _REFUSALS.get(of["code"], f"the server said {of['code']}")
    return f"the session could not go on, because {why}"


def _signaling(of: _Facts) -> str:
    if "alone" in of:
        return "joined the session"
    if "obstacle" in of:
        return f"no WebSocket opens: {of['cause']}"
    if "code" in of:
        return "signaling closed"
    if "problem" not in of:
        return ""
    what = "not sent to the other side" if of.is_true("own") else "the server sent what is no message"
    return f"{what}: {of['problem']}"


def _peer(of: _Facts) -> str:
    return _PEER.get(of["state"], "")


def _message(of: _Facts) -> str:
    if of.is_true("own"):
        return f"a message was not taken: {of['problem']}"
    if "problem" not in of:
        return ""
    return f"the other side sent what is no {of['what'] or 'message'}: {of['problem']}"


def _budget(of: _Facts) -> str:
    if not of["scope"]:
        return "the budget for relays is not in use"
    return f"the budget for relays: {of.number('share', '.0%')} used"


def _configuration(of: _Facts) -> str:
    if "urls" in of:
        return f"{len(of['urls'].split())} ICE servers"
    return f"no ICE configuration: {'going on without relays' if of.is_true('without') else of['reason']}"


def _check(of: _Facts) -> str:
    if of["verdict"]:
        return f"the check says {of['verdict']}"
    return {"begun": "checking the network", "stopped": "the check was stopped"}.get(of["state"], "")


def _media(of: _Facts) -> str:
    kind = of["kind"]
    if "error" in of:
        return f"{kind}: {of['error']}: {of['reason']}"
    if "muted" in of:
        return f"{kind} {'muted by the system' if of.is_true('muted') else 'no longer muted'}"
    return f"{kind} {'on' if of.is_true('on') else 'off' if 'on' in of else ''}"


def _description(of: _Facts) -> str:
    return f"{of['type']} {'sent' if of.is_true('own') else 'received'}"


def _candidate(of: _Facts) -> str:
    if of["problem"]:
        return of["problem"]
    return f"candidate {_end(of)}" if of["type"] else "end of candidates"


def _end(of: _Facts, side: str = "") -> str:
    """Return one end of a path: `relay udp 192.0.2.1:5000 over tls`."""
    address, port = of[f"{side}address"], of[f"{side}port"]
    parts = [of[f"{side}type"], of[f"{side}protocol"], f"{address}:{port}" if address and port else address]
    if side == "local_" and of["relay_protocol"]:
        parts.append(f"over {of['relay_protocol']}")
    return " ".join(filter(None, parts))


def _pair(of: _Facts) -> str:
    trip = of.number("round_trip_ms")
    return f"{of['path']} path, from {_end(of, 'local_')} to {_end(of, 'remote_')}{f', {trip} ms' if trip else ''}"


def _sample(of: _Facts) -> str:
    trip, lost, frames = of.number("round_trip_ms"), of.number("loss_in", ".1%"), of.number("frames_in")
    parts = (
        of["path"],
        f"{trip} ms" if trip else "",
        f"{lost} lost" if lost else "",
        f"{_kilobits(of, 'bits_in')} in",
        f"{_kilobits(of, 'bits_out')} out",
        f"video {of['width_in']}x{of['height_in']} at {frames} fps" if frames else "",
    )
    return ", ".join(filter(None, parts))


def _kilobits(of: _Facts, name: str) -> str:
    value = of.data.get(name)
    return f"{value / 1000:.0f} kbit/s" if isinstance(value, int | float) else "0 kbit/s"


def _suspected_relay(of: _Facts) -> str:
    try:
        host = parse_reported_url(of["url"]).host
    except IceError:
        return "a relay did not answer any more"
    return f"the relay {host} did not answer any more"


def _standby(of: _Facts) -> str:
    if of.is_true("open"):
        return f"a second path, through {of['host']}, is ready"
    return f"no second path through {of['host']}: {_STANDBY_OVER.get(of['reason'], of['reason'])}"


def _channel(of: _Facts) -> str:
    if "open" not in of:
        return ""
    return f"channel {of['label']} {'open' if of.is_true('open') else 'closed'}"


def _restart(of: _Facts) -> str:
    if of.is_true("refused"):
        return "no ICE restart: no new relay is given, and the one in use would be lost"
    return f"ICE restart, {_RESTARTS.get(of['reason'], of['reason'])}"


def _ignored(of: _Facts) -> str:
    why = _LEFT_ASIDE.get(of["why"])
    return f"{of['what']} left aside: {why.format_map(of) if why else of['why']}"


def _recovered(of: _Facts) -> str:
    what = "a new connection works" if of.is_true("anew") else "the path works again"
    return f"{what} after {of.number('seconds', '.2f')} s"


FORMS: Mapping[str, _Form] = {
    "attempt": "attempt {number}: {rung}",
    "budget": _budget,
    "candidate-error": "{code} {reason}",
    "candidate-local": _candidate,
    "candidate-remote": _candidate,
    "channel": _channel,
    "check": _check,
    "crossed": "the first offers crossed: a new connection for the other side's",
    "description": _description,
    "failed": _failed,
    "fault": "{where}: {error}",
    "ice-configuration": _configuration,
    "ignored": _ignored,
    "invited": "an invitation was issued to {session}",
    "inviting": "{request}: {reason}",
    "media": _media,
    "message": _message,
    "network": "network {kind}",
    "no-alarm": _no_alarm,
    "not-sent": lambda of: f"nothing was sent of this page's {of['kind']} for {of.number('seconds')} s",
    "one-network": "both sides share a public address: a connection over every interface",
    "operation-failed": "{operation}: {error}",
    "outdated": "this page is older than the server",
    "pair": _pair,
    "peer": _peer,
    "probe": "UDP gets out again, from {address}",
    "recovered": _recovered,
    "refused": "the server refused: {reason}",
    "relay-suspected": _suspected_relay,
    "relay-well": "the relay {host} answers again",
    "relays-unknown": "the other side goes on without relays",
    "restart": _restart,
    "revoked": "invitation {id} was taken back",
    "sample": _sample,
    "server-error": "was refused: {message}",
    "server-joined": "joined the session",
    "server-left": "left the session",
    "server-lost": "lost the server",
    "session": _session,
    "signaling": _signaling,
    "slept": lambda of: f"the machine slept for {of.number('seconds')} s",
    "standby": _standby,
    "standby-used": "messages went over the second path, through {host}",
    "state": "{state} {value}",
    "suspect": "the path is suspect: {evidence}",
}
"""By event."""
