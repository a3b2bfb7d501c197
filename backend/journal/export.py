"""A recorded session in the formats of others: rtcstats (version 3), Chromium's `webrtc-internals`. Pure.

Each page load is a connection in them. Events of ours that the API has no word for keep their own: `suspect`,
`recovered` and so on, so that an outage is in the dump as well. Nothing in the record is a credential.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

from backend.journal.entry import dated
from backend.journal.reading import Recorded, Told
from pyapp.protocol.entries import SAMPLES
from pyapp.protocol.entries.reading import entry_of
from pyapp.protocol.wire import Scalar

Format: TypeAlias = Literal["jsonl", "rtcstats", "webrtc-internals"]
FORMATS: tuple[Format, ...] = get_args(Format)

CONTENT_TYPES: Mapping[Format, str] = {
    "jsonl": "application/jsonl",
    "rtcstats": "text/plain",
    "webrtc-internals": "application/json",
}
_STATES = {
    "ice-connection": "oniceconnectionstatechange",
    "connection": "onconnectionstatechange",
    "signaling": "onsignalingstatechange",
    "ice-gathering": "onicegatheringstatechange",
    "dtls": "ondtlsstatechange",
}
_USER_AGENT = "ICE Console"


def exported(session: Recorded, form: Format) -> Iterator[str]:
    """Yield the lines of `session` in a format, each with its end."""
    lines: Iterator[str]
    match form:
        case "jsonl":
            lines = map(_line, session.entries)
        case "rtcstats":
            lines = _rtcstats(session)
        case "webrtc-internals":
            lines = iter([_to_json(_internals(session))])
    for line in lines:
        yield f"{line}\n"


def _line(entry: dict[str, Any]) -> str:
    """Return an entry with its sentence. A sample is figures alone."""
    event = entry["event"]
    return _to_json(entry if event in SAMPLES else entry | {"text": entry_of(event, entry["data"]).text()})


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


# rtcstats: the rules are in docs/record.md.


def _rtcstats(session: Recorded) -> Iterator[str]:
    yield "RTCStatsDump"
    yield _to_json(
        {
            "fileFormat": 3,
            "url": f"?session={session.name}",
            "origin": "",
            "userAgent": _USER_AGENT,
            "startTime": round(session.began * 1000),
            "clientProtocol": "ice-console",
        }
    )
    before: int | None = None
    for at, who, method, values in _calls(session):
        now = round(at * 1000)
        yield _to_json([method, who, *values, now if before is None else now - before])
        before = now


def _calls(session: Recorded) -> Iterator[tuple[float, str, str, list[Any]]]:
    """Yield what happened, as calls and events of `RTCPeerConnection`: when, on which one, the name, the values."""
    told = session.told
    configurations = _configurations(told)
    created: set[str] = set()
    for one in told:
        who = one.participant[:8]
        if who not in created and not one.is_ours:
            created.add(who)
            yield one.at, who, "create", [configurations.get(who, {"iceServers": []})]
        for method, values in _call(one):
            yield one.at, who, method, values


def _configurations(told: list[Told]) -> dict[str, dict[str, Any]]:
    """Return the first ICE configuration of each connection, which never had credentials in the record."""
    result: dict[str, dict[str, Any]] = {}
    for one in told:
        if one.event == "ice-configuration" and "urls" in one.data:
            urls = str(one.data["urls"]).split()
            policy = one.data.get("policy") or "all"
            configuration = {"iceServers": [{"urls": urls}] if urls else [], "iceTransportPolicy": policy}
            result.setdefault(one.participant[:8], configuration)
    return result


def _call(one: Told) -> Iterator[tuple[str, list[Any]]]:
    data = one.data
    match one.event:
        case "description" if "own" in data:
            kind = str(data.get("type") or "")
            if data["own"]:
                yield "createOffer" if kind == "offer" else "createAnswer", []
            yield "setLocalDescription" if data["own"] else "setRemoteDescription", [{"type": kind, "sdp": ""}]
        case "candidate-local":
            yield "onicecandidate", [_candidate(data)]
        case "candidate-remote":
            yield "addIceCandidate", [_candidate(data)]
        case "candidate-error":
            named = {"url": "url", "code": "errorCode", "address": "address", "reason": "errorText"}
            yield "onicecandidateerror", [{theirs: data[ours] for ours, theirs in named.items() if ours in data}]
        case "state" if data.get("state") in _STATES:
            yield _STATES[str(data["state"])], [data.get("value")]
        case "channel":
            yield "ondatachannel", [data]
        case "pair" | "sample":
            yield "getStats", [_report(one)]
        case "session" if "session" not in data:
            yield "close", []
        case _:
            yield one.event, [data] if data else []


def _candidate(data: Mapping[str, Scalar]) -> dict[str, Any] | None:
    """Return an `RTCIceCandidateInit` (RFC 8839, section 5.1), None at the end. The foundation is not recorded."""
    if "type" not in data:
        return None
    tcp = f" tcptype {data['tcp_type']}" if data.get("tcp_type") else ""
    line = (
        f"candidate:0 1 {data.get('protocol')} {data.get('priority')} {data.get('address')} {data.get('port')}"
        f" typ {data['type']}{tcp}"
    )
    return {"candidate": line, "sdpMid": data.get("mid"), "usernameFragment": data.get("ufrag")}


def _report(one: Told) -> dict[str, dict[str, Any]]:
    """Return an `RTCStatsReport` by id, as far as it was measured (webrtc-stats, sections 8.12 to 8.19)."""
    data, at = one.data, round(one.at * 1000)
    pair = str(data.get("pair") or "pair")
    trip = data.get("round_trip_ms")
    report: dict[str, dict[str, Any]] = {
        "T01": {
            "type": "transport",
            "selectedCandidatePairId": pair,
            "bytesSent": data.get("bytes_sent", 0),
            "bytesReceived": data.get("bytes_received", 0),
            "dtlsState": data.get("dtls_state"),
            "tlsVersion": data.get("tls_version"),
        },
        pair: {
            "type": "candidate-pair",
            "transportId": "T01",
            "state": "succeeded",
            "nominated": True,
            "localCandidateId": f"{pair}-local",
            "remoteCandidateId": f"{pair}-remote",
            "currentRoundTripTime": trip / 1000 if isinstance(trip, int | float) else None,
            "availableOutgoingBitrate": data.get("available"),
            "bytesSent": data.get("pair_sent"),
            "bytesReceived": data.get("pair_received"),
        },
        f"{pair}-local": {
            "type": "local-candidate",
            "candidateType": data.get("local_type"),
            "protocol": data.get("local_protocol"),
            "address": data.get("local_address"),
            "relayProtocol": data.get("relay_protocol"),
            "url": data.get("server"),
        },
        f"{pair}-remote": {
            "type": "remote-candidate",
            "candidateType": data.get("remote_type"),
            "protocol": data.get("remote_protocol"),
            "address": data.get("remote_address"),
        },
    }
    if data.get("width_in") or data.get("frames_in") is not None:
        jitter = data.get("jitter_ms")
        report["I01"] = {
            "type": "inbound-rtp",
            "kind": "video",
            "framesPerSecond": data.get("frames_in"),
            "frameWidth": data.get("width_in"),
            "frameHeight": data.get("height_in"),
            "jitter": jitter / 1000 if isinstance(jitter, int | float) else None,
        }
    if data.get("width_out") or data.get("frames_out") is not None:
        report["O01"] = {
            "type": "outbound-rtp",
            "kind": "video",
            "framesPerSecond": data.get("frames_out"),
            "frameWidth": data.get("width_out"),
            "frameHeight": data.get("height_out"),
        }
    for identifier, entry in report.items():
        entry |= {"id": identifier, "timestamp": at}
    return {
        identifier: {name: value for name, value in entry.items() if value not in (None, "")}
        for identifier, entry in report.items()
    }


# webrtc-internals, as Chromium wrote it before it wrote rtcstats.


def _internals(session: Recorded) -> dict[str, Any]:
    connections: dict[str, dict[str, Any]] = {}
    series: dict[str, dict[str, _Series]] = {}
    for at, who, method, values in _calls(session):
        one = connections.setdefault(
            who,
            {"pid": 1, "rid": 1, "url": "", "rtcConfiguration": "", "constraints": "", "updateLog": [], "stats": {}},
        )
        if method == "create":
            one["rtcConfiguration"] = _to_json(values[0])
        if method == "getStats":
            for identifier, entry in values[0].items():
                for name, value in entry.items():
                    if name not in ("id", "type"):
                        key = f"{identifier}-{name}"
                        series.setdefault(who, {}).setdefault(key, _Series(entry["type"])).add(at, value)
            continue
        value = "" if not values else values[0] if isinstance(values[0], str) else _to_json(values[0])
        one["updateLog"].append({"time": _iso(at), "type": method, "value": value})
    for who, by_name in series.items():
        connections[who]["stats"] = {name: one.to_json() for name, one in by_name.items()}
    return {"PeerConnections": connections, "getUserMedia": [], "UserAgent": _USER_AGENT}


class _Series:
    """The values of one figure."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._from = self._to = 0.0
        self._values: list[Any] = []

    def add(self, at: float, value: object) -> None:
        self._from = self._from or at
        self._to = at
        self._values.append(value)

    def to_json(self) -> dict[str, str]:
        return {
            "startTime": _iso(self._from),
            "endTime": _iso(self._to),
            "statsType": self._kind,
            "values": _to_json(self._values),
        }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(dated(at), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
