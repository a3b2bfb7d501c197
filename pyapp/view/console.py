"""The presenter: what the page shows, as plain strings and levels. `browser/page.py` puts a `View` on the screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core.conversation import Message
from pyapp.core.diagnostics.journal import LogLine
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.path.connection import Connection
from pyapp.core.session import Session
from pyapp.view.verdicts import explain, media_refusal, message_refusal, server_sentences

__all__ = ["Fact", "LogLine", "MediaControl", "Message", "View", "present"]

PageState: TypeAlias = Literal[
    "loading", "ready", "waiting", "connecting", "connected", "recovering", "failed", "closed"
]
Level: TypeAlias = Literal["neutral", "busy", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the path panel: `Round trip`, `24 ms`. `id` is stable, for tests and automation."""

    id: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class MediaControl:
    """One of the three media buttons."""

    kind: Literal["camera", "microphone", "screen"]
    label: str
    on: bool
    busy: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """All that the page shows. The first seven fields are the page-state contract of the README."""

    state: PageState
    path: Literal["none", "direct", "relay"] = "none"
    local_candidate: str = ""
    remote_candidate: str = ""
    protocol: str = ""
    relay_protocol: str = ""
    ice_generation: int = 0

    session: str = ""
    session_problem: str = ""
    """Why the session name in the field cannot be used, or empty."""
    level: Level = "neutral"
    headline: str = ""
    """What is going on, in two to five words: `Connected directly`."""
    detail: str = ""
    """One plain sentence that explains it, or says what to do."""
    cause: str = ""
    """The technical cause, shown on request: error names, codes, URLs."""

    can_connect: bool = False
    can_hang_up: bool = False
    can_restart: bool = False
    can_send: bool = False
    facts: tuple[Fact, ...] = ()
    media: tuple[MediaControl, ...] = ()
    media_problem: str = ""
    local_video: bool = False
    remote_video: bool = False
    remote_audio: bool = False
    messages: Sequence[Message] = ()
    """The conversation itself, not a copy of it: it may be long, and there is a view after each event."""
    delivered_count: int = 0
    """Of one's own messages."""
    message_problem: str = ""
    """Why the last message was not taken, or empty."""
    log: tuple[LogLine, ...] = ()
    """Newest first."""


def present(session: Session) -> View:
    """Return what the page shows of `session`."""
    state = page_state(session)
    connection = session.connection
    report = connection.report if connection and connection.established else None
    level, headline, detail, cause = _words(session, state, report)
    return View(
        state=state,
        path=report.path if report else "none",
        local_candidate=report.local.type if report else "",
        remote_candidate=report.remote.type if report else "",
        protocol=report.local.protocol if report else "",
        relay_protocol=report.local.relay_protocol if report else "",
        ice_generation=session.ice_restarts,
        session=session.name,
        session_problem=f"A session name has {session.name_problem}." if session.name_problem else "",
        level=level,
        headline=headline,
        detail=detail,
        cause=cause,
        can_connect=session.phase != "active",
        can_hang_up=session.phase == "active",
        can_restart=connection is not None and connection.established,
        can_send=state in ("connected", "recovering"),
        facts=_facts(session, connection, report) if connection and report else (),
        media=tuple(
            MediaControl(kind, _MEDIA_LABELS[kind], on=value == "on", busy=value == "starting")
            for kind, value in session.media.states.items()
        ),
        media_problem=media_refusal(session.media.problem) if session.media.problem else "",
        local_video="on" in (session.media.states["camera"], session.media.states["screen"]),
        remote_video=session.conversation.shared.video,
        remote_audio=session.conversation.shared.audio,
        messages=session.conversation.messages,
        delivered_count=session.conversation.delivered_count,
        message_problem=message_refusal(session.message_problem) if session.message_problem else "",
        log=session.journal.lines,
    )


def page_state(session: Session) -> PageState:
    """Return the `data-state` of the page-state contract."""
    if session.phase != "active":
        return session.phase
    connection = session.connection
    if connection is not None and (connection.established or connection.replaces):
        return "recovering" if connection.lost else "connected"
    place = session.place
    return "waiting" if place is not None and place.state == "present" and not place.peer else "connecting"


_MEDIA_LABELS = {"camera": "Camera", "microphone": "Microphone", "screen": "Share screen"}


def _words(session: Session, state: PageState, report: PathReport | None) -> tuple[Level, str, str, str]:
    place, connection = session.place, session.connection
    cause = place.problem if place else ""
    away = place is not None and place.state == "away"
    match state:
        case "failed" if session.failure:
            verdict = explain(session.failure)
            return "bad", verdict.headline, verdict.detail, verdict.cause
        case "waiting":
            detail = "Give the other side the link. You are connected as soon as they open it and press Connect."
            return "busy", "Waiting for the other side", detail, cause
        case "connecting" if place is not None and place.state != "present":
            detail = "One moment."
            if away:
                detail = f"{place.refusal or 'The server does not answer.'} Trying again."
            return "busy", "Reaching the server", detail, cause
        case "connecting":
            problems = server_sentences(connection.candidates.gathering.problems()) if connection else []
            causes = connection.candidates.gathering.causes() if connection else []
            detail = " ".join(["Looking for the best path to the other side.", *problems])
            return "busy", "Connecting", detail, "\n".join(causes)
        case "recovering":
            detail = "The connection was interrupted."
            if away:
                detail += " The server does not answer either; trying to reach it."
            elif connection is not None:
                detail += _attempt_words(connection)
            detail += " What you write is kept, and sent when it is back."
            if connection is not None:
                cause = "\n".join(filter(None, [f"connectionState {connection.state}", cause]))
            return "busy", "Reconnecting…", detail, cause
        case "connected" if report:
            headline, detail = _path_words(session, report)
            if connection is not None and connection.recovery.peer_is_busy:
                detail = "The other side's page is busy and does not answer for the moment. The path itself works."
            if session.refusal is not None:
                detail += f" {explain(session.refusal).headline}: this connection lasts only as long as its path works."
            if away:
                detail += " The server is out of reach for now; this connection does not need it."
            return "good", headline, detail, cause
        case "closed":
            return "neutral", "Disconnected", "You hung up. You can connect again at any time.", ""
    return "neutral", "Ready to connect", "Give the other side the link, then press Connect.", ""


def _attempt_words(connection: Connection) -> str:
    if not connection.established:
        return " It could not be mended, so a new one is being made."
    words = {
        None: "",
        "restart": " Looking for another path",
        "relay-only": " Trying relays alone",
        "tcp-only": " Trying relays over TCP and TLS alone",
        "new-connection": " Making a new connection",
    }[connection.recovery.rung]
    return f"{words}, attempt {connection.recovery.attempts}." if words else ""


def _path_words(session: Session, report: PathReport) -> tuple[str, str]:
    if report.path == "direct":
        if report.local.type == report.remote.type == "host":
            return "Connected directly", "Both sides are on the same network. Nothing passes through a server."
        return "Connected directly", "Both sides talk to each other through the internet, without a relay."
    if session.policy == "relay":
        return "Connected through a relay", "This page was opened with relays only, so a relay passes everything on."
    return (
        "Connected through a relay",
        "The two networks let no direct connection through, so a relay passes everything on. It cannot read it.",
    )


_CANDIDATE_WORDS = {
    "host": "own network (host)",
    "srflx": "through NAT (srflx)",
    "prflx": "through NAT, found on the way (prflx)",
    "relay": "relay",
}

_TLS_VERSIONS = {"FEFD": "DTLS 1.2", "FEFC": "DTLS 1.3"}


def _facts(session: Session, connection: Connection, report: PathReport) -> tuple[Fact, ...]:
    facts = [
        Fact("path", "Path", "Relay" if report.path == "relay" else "Direct"),
        Fact("local-candidate", "This side", _CANDIDATE_WORDS.get(report.local.type, report.local.type)),
        Fact("remote-candidate", "Other side", _CANDIDATE_WORDS.get(report.remote.type, report.remote.type)),
        Fact("protocol", "Protocol", report.local.protocol.upper()),
    ]
    if report.local.relay_protocol:
        facts.append(Fact("relay-protocol", "To the relay", report.local.relay_protocol.upper()))
    if report.local.type == "relay" and report.local.url:
        facts.append(Fact("server", "Relay server", session.relays.configuration.server_name(report.local.url)))
    trip = "not measured" if report.round_trip is None else f"{report.round_trip * 1000:.0f} ms"
    facts += [
        Fact("round-trip", "Round trip", trip),
        Fact("sent", "Sent", _amount(report.bytes_sent)),
        Fact("received", "Received", _amount(report.bytes_received)),
        Fact("encryption", "Encryption", _TLS_VERSIONS.get(report.tls_version, "DTLS")),
        Fact("restarts", "ICE restarts", str(session.ice_restarts)),
    ]
    if (seconds := connection.recovery.last_outage) is not None:
        facts.append(Fact("interruption", "Last interruption", f"{seconds:.1f} s"))
    return tuple(facts)


def _amount(size: int) -> str:
    """Return a number of bytes in SI units."""
    if size < 1000:
        return f"{size} B"
    if size < 999_950:  # above, the kilobytes would be rounded to 1000
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.1f} MB"
