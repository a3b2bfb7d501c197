"""What is going on: the state of the page, and the words for it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.events import ObstacleKind
from pyapp.core.path.connection import Connection
from pyapp.core.path.ladder import Rung
from pyapp.core.path.outage import Suspect
from pyapp.core.session import Parting, Session
from pyapp.protocol.signaling import Error
from pyapp.view.verdicts import REFUSALS, explain, server_sentences

PageState: TypeAlias = Literal[
    "loading", "ready", "waiting", "connecting", "connected", "recovering", "failed", "closed"
]
Level: TypeAlias = Literal["neutral", "busy", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Status:
    """`state` belongs to the page-state contract of the README."""

    state: PageState
    level: Level = "neutral"
    headline: str = ""
    """What is going on, in two to five words: `Connected directly`."""
    detail: str = ""
    """One plain sentence that explains it, or says what to do."""
    cause: str = ""
    """The technical cause, shown on request: error names, codes, URLs."""
    title: str = ""
    """Of the document, and so of the browser's tab."""
    stage_title: str = ""
    stage_detail: str = ""
    """What stands in the place of the picture while connecting."""


def inputs(session: Session) -> object:
    """Return what the status depends on."""
    place, connection = session.place, session.connection
    state = page_state(session)
    gathering = connection.candidates.gathering if connection and state == "connecting" else None
    return (
        (state, session.name, session.failure, session.refusal, session.unread, session.parting, session.is_elsewhere),
        session.is_invitation_broken,
        (
            session.provisioning.is_late,
            session.provisioning.is_without,
            session.provisioning.problem,
            session.call.peer_lacks_relays,
        ),
        place and (place.state, place.link.problem, place.link.is_out_of_reach, place.link.obstacle, place.refusal),
        connection and (connection.established, connection.state, _way(session, connection.report)),
        connection and (_attempted(connection), connection.recovery.peer_is_busy),
        gathering and (gathering.problems(), gathering.causes()),
    )


def status(session: Session) -> Status:
    """Present it."""
    state = page_state(session)
    connection = session.connection
    report = connection.report if connection and connection.established else None
    level, headline, detail, cause = _words(session, state, report)
    title = " · ".join(part for part in (headline, session.name, "ICE Console") if part)
    if session.unread:
        title = f"({session.unread}) {title}"
    return Status(state, level, headline, detail, cause, title, *_stage(session, headline))


def page_state(session: Session) -> PageState:
    """Return the `data-state` of the page-state contract."""
    if session.phase != "active":
        return session.phase
    connection = session.connection
    if connection is not None and (connection.established or connection.replaces):
        return "recovering" if connection.lost else "connected"
    place = session.place
    return "waiting" if place is not None and place.state == "present" and not place.peer else "connecting"


def may_be_late(session: Session) -> bool:
    """Return whether the view may wait for a moment: a path is being looked for, and that comes first."""
    connection = session.connection
    return page_state(session) == "connecting" or (connection is not None and connection.recovery.is_silent)


def _words(session: Session, state: PageState, report: PathReport | None) -> tuple[Level, str, str, str]:
    place, connection = session.place, session.connection
    obstacle = place.link.obstacle if place else None
    cause = "\n".join(filter(None, [place.link.problem, obstacle.cause if obstacle else ""])) if place else ""
    away = place is not None and (place.link.is_out_of_reach or obstacle is not None)
    held = place.refusal if place and place.refusal and place.refusal.code == "place-held" else None
    if session.is_elsewhere:
        detail = "You are in this session in another tab of this browser. Go on there, or use it here instead."
        return "neutral", "Open in another tab", detail, ""
    match state:
        case "connecting" if held:
            return "busy", "Waiting for a place", _refused_words(held), f"{held.code}: {held.message}"
        case "failed" if session.failure:
            verdict = explain(session.failure)
            return "bad", verdict.headline, verdict.detail, verdict.cause
        case "connecting" if session.provisioning.is_late and place is not None and place.state == "present":
            return "busy", "Connecting", _late_words(session), session.provisioning.problem or "GET /ice: no answer"
        case "waiting":
            detail = "Give the other side the link. You are connected as soon as they open it and press Connect."
            return "busy", "Waiting for the other side", detail, cause
        case "connecting" if place is not None and place.state != "present":
            detail = "One moment."
            if away:
                detail = OBSTACLES[obstacle.kind] if obstacle else _refused_words(place.refusal)
            return "busy", "Reaching the server", detail, cause
        case "connecting":
            problems = server_sentences(connection.candidates.gathering.problems()) if connection else []
            causes = connection.candidates.gathering.causes() if connection else []
            lacking = [_PEER_LACKS] if session.call.peer_lacks_relays else []
            detail = " ".join(["Looking for the best path to the other side.", *lacking, *problems])
            return "busy", "Connecting", detail, "\n".join(causes)
        case "recovering":
            detail = "The connection was interrupted."
            if away:
                detail += " The server does not answer either; trying to reach it."
                if obstacle and obstacle.kind in ("log-in", "foreign-origin", "blocked"):
                    detail = f"The connection was interrupted. {OBSTACLES[obstacle.kind]}"
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
                if obstacle and obstacle.kind == "log-in":
                    detail += " Your log-in may have ended: once this connection is over, reload the page to log in."
            return "good", headline, detail, cause
        case "closed":
            return "neutral", "Disconnected", _PARTINGS[session.parting], ""
    if session.is_invitation_broken:
        headline, detail = REFUSALS["invitation-invalid"]
        return "bad", headline, detail, _BROKEN
    return "neutral", "Ready to connect", "Give the other side the link, then press Connect.", ""


def _stage(session: Session, headline: str) -> tuple[str, str]:
    """Say what is waited for, so that nobody reads of a few seconds where there may be minutes."""
    place = session.place
    if place is not None and place.state == "present":
        return "Finding a path", "Trying every way between the two of you. This takes a few seconds at most."
    return headline, "This goes on by itself. The message at the top says what it waits for."


OBSTACLES: dict[ObstacleKind, str] = {
    "log-in": "The server, or the network that you are in, wants a log-in. Reload the page to log in again.",
    "foreign-origin": "The server does not know the address of this page as its own, and refuses it. Whoever runs this"
    " console must name the proxy in front of it; the cause below says how. Trying again.",
    "blocked": "The server answers, but WebSockets do not get through. This network, or a proxy before the server,"
    " blocks them. Try another network; if it is the same there, tell whoever runs this console. Trying again.",
    "down": "The server is down, or out of reach. Trying again.",
    "offline": "This device is offline. Trying again.",
}
"""What keeps us from the server, and what to do."""

_PEER_LACKS = "They go on without relays: the server does not name any to them."

_BROKEN = "The invitation in the address is cut off, too long, or has characters in it that none has."

_PARTINGS: dict[Parting, str] = {
    "hung-up": "You hung up. You can connect again at any time.",
    "page-left": "You left this page. Coming back connects you again.",
    "other-tab": "You went on in another tab, which has left the session since. You can connect again here.",
}


def _refused_words(refusal: Error | None) -> str:
    """Say why we are not in yet; the page goes on trying."""
    if refusal is None:
        return "The server does not answer. Trying again."
    if refusal.code == "place-held":
        return (
            "Two people are in this session. One of them has lost the connection, and their place is kept for up to"
            f" {max(refusal.retry_after, 1):.0f} s more. You come in by yourself if they do not come back."
        )
    return f"{refusal.message} Trying again."


def _late_words(session: Session) -> str:
    """Say that the relays are unknown, and what happens next."""
    why = "answers with an error" if session.provisioning.problem else "does not answer"
    if session.provisioning.is_without:
        return f"Trying without relays: the server {why} when it is asked for them. It is asked again."
    return f"Waiting for the list of relays: the server {why} when it is asked for it." + (
        "" if session.policy == "relay" else " In a moment this goes on without them."
    )


def _attempt_words(connection: Connection) -> str:
    if not connection.established:
        return " It could not be mended, so a new one is being made."
    rung, attempts = _attempted(connection)
    words = {
        None: "",
        "restart": " Looking for another path",
        "relay-only": " Trying relays alone",
        "tcp-only": " Trying relays over TCP and TLS alone",
        "new-connection": " Making a new connection",
    }[rung]
    return f"{words}, attempt {attempts}." if words else ""


def _attempted(connection: Connection) -> tuple[Rung | None, int]:
    """Return the current rung in an outage, and the number of attempts."""
    outage = connection.recovery.state
    return (outage.ladder.rung, outage.ladder.attempts) if isinstance(outage, Suspect) else (None, 0)


def _way(session: Session, report: PathReport | None) -> tuple[str, bool] | None:
    """Return what of a report is said here."""
    return (report.path, is_near(session, report)) if report else None


def is_near(session: Session, report: PathReport) -> bool:
    """Return whether both sides are on the same network."""
    connection = session.connection
    return report.is_near(share_address=connection is not None and connection.candidates.share_address)


def _path_words(session: Session, report: PathReport) -> tuple[str, str]:
    if report.path == "direct":
        if is_near(session, report):
            return "Connected directly", "Both sides are on the same network. Nothing passes through a server."
        return "Connected directly", "Both sides talk to each other through the internet, without a relay."
    if session.policy == "relay":
        return "Connected through a relay", "This page was opened with relays only, so a relay passes everything on."
    return (
        "Connected through a relay",
        "The two networks let no direct connection through, so a relay passes everything on. It cannot read it.",
    )
