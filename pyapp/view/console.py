"""The presenter: what the page shows, as plain strings and levels. `browser/page/` puts a `View` on the screen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pyapp.core.conversation import Message
from pyapp.core.diagnostics.journal import LogLine
from pyapp.core.session import Session
from pyapp.view import checking, company, cost, insight, inviting, media, path, quality, status, update
from pyapp.view.checking import CheckPanel
from pyapp.view.company import Company
from pyapp.view.cost import Cost
from pyapp.view.insight import Insight
from pyapp.view.inviting import Invite
from pyapp.view.media import DeviceSettings, Media
from pyapp.view.path import Path
from pyapp.view.quality import Quality
from pyapp.view.status import Status
from pyapp.view.update import Update
from pyapp.view.verdicts import message_refusal

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Lobby:
    """The session, and how to get into it."""

    session: str = ""
    problem: str = ""
    """Why the session name in the field cannot be used, or empty."""
    is_entered: bool = False
    is_elsewhere: bool = False
    """Whether another tab is in it."""


@dataclass(frozen=True, slots=True)
class Controls:
    """The buttons of the connection."""

    can_connect: bool = False
    connect_label: str = "Connect"
    can_hang_up: bool = False
    can_restart: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """The conversation."""

    messages: Sequence[Message] = ()
    """The conversation itself, not a copy, since it may be long. `count` and `delivered_count` show when it has
    changed."""
    count: int = 0
    delivered_count: int = 0
    """Of one's own messages."""
    stranded: tuple[int, ...] = ()
    """Places of messages for somebody who left."""
    can_send_again: bool = False
    """Whether those can be sent to the present peer."""
    can_send: bool = False
    problem: str = ""
    """Why the last message was refused, or empty."""


@dataclass(frozen=True, slots=True)
class Log:
    """What happened."""

    lines: tuple[LogLine, ...] = ()
    """Newest first."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that the page shows. A part that is the same object as before need not be rendered again."""

    status: Status
    update: Update
    lobby: Lobby
    controls: Controls
    path: Path
    quality: Quality
    cost: Cost
    media: Media
    devices: DeviceSettings
    thread: Thread
    invite: Invite
    company: Company
    check: CheckPanel
    log: Log
    insight: Insight


def present(session: Session) -> View:
    """Return what the page shows of `session`."""
    return Presenter().present(session)


class Presenter:
    """Presents one session after each event; few events change what is shown.

    A part is computed again if anything it depends on has changed, and is replaced if the result differs.
    """

    def __init__(self) -> None:
        self._status = _Kept(status.inputs, status.status)
        self._update = _Kept(update.inputs, update.update)
        self._lobby = _Kept(_lobby_inputs, _lobby)
        self._controls = _Kept(_controls_inputs, _controls)
        self._path = _Kept(path.inputs, path.path)
        self._quality = _Kept(quality.inputs, quality.quality)
        self._cost = _Kept(cost.inputs, cost.cost)
        self._media = _Kept(media.media_inputs, media.media)
        self._devices = _Kept(media.device_inputs, media.device_settings)
        self._thread = _Kept(_thread_inputs, _thread)
        self._invite = _Kept(inviting.inputs, inviting.invite)
        self._company = _Kept(company.inputs, company.company)
        self._check = _Kept(checking.inputs, checking.panel)
        self._log = _Kept(_log_inputs, _log)
        self._insight = _Kept(insight.inputs, insight.InsightMaker().insight)
        self._parts: tuple[_Kept[Any], ...] = (
            *(self._status, self._update, self._lobby, self._controls),
            *(self._path, self._quality, self._cost),
            *(self._media, self._devices, self._thread, self._invite, self._company, self._check),
            *(self._log, self._insight),
        )
        self._view: View | None = None

    def present(self, session: Session) -> View:
        """Return what the page shows of the session: the same `View` object if nothing has changed."""
        has_changed = False
        for part in self._parts:
            has_changed |= part.changes(session)
        if has_changed or self._view is None:
            self._view = View(
                self._status.value,
                self._update.value,
                self._lobby.value,
                self._controls.value,
                self._path.value,
                self._quality.value,
                self._cost.value,
                self._media.value,
                self._devices.value,
                self._thread.value,
                self._invite.value,
                self._company.value,
                self._check.value,
                self._log.value,
                self._insight.value,
            )
        return self._view


class _Kept(Generic[P]):
    """A part of the view, with the inputs it was computed from."""

    value: P

    def __init__(self, inputs: Callable[[Session], object], make: Callable[[Session], P]) -> None:
        self._inputs_of = inputs
        self._make = make
        self._inputs: object = None

    def changes(self, session: Session) -> bool:
        """Update `value`, and return whether it has changed."""
        inputs = self._inputs_of(session)
        if inputs == self._inputs:
            return False
        is_first, self._inputs = self._inputs is None, inputs
        made = self._make(session)
        if not is_first and made == self.value:
            return False
        self.value = made
        return True


# What each part depends on, and the part.


def _lobby_inputs(session: Session) -> object:
    return session.phase, session.name, session.name_problem, session.is_elsewhere


def _lobby(session: Session) -> Lobby:
    problem = f"A session name has {session.name_problem}." if session.name_problem else ""
    return Lobby(
        session.name,
        problem,
        is_entered=session.phase == "active",
        is_elsewhere=session.is_elsewhere,
    )


_CONNECT_LABELS = {"failed": "Try again", "closed": "Connect again"}


def _controls_inputs(session: Session) -> object:
    return session.phase, session.is_elsewhere, session.connection is not None and session.connection.established


def _controls(session: Session) -> Controls:
    return Controls(
        can_connect=session.phase != "active",
        connect_label="Use it here" if session.is_elsewhere else _CONNECT_LABELS.get(session.phase, "Connect"),
        can_hang_up=session.phase == "active",
        can_restart=session.connection is not None and session.connection.established,
    )


def _thread_inputs(session: Session) -> object:
    conversation, connection = session.conversation, session.connection
    return (
        len(conversation.messages),
        conversation.delivered_count,
        conversation.stranded,
        session.company.is_there,
        session.message_problem,
        session.phase,
        connection and (connection.established, connection.replaces),
    )


def _thread(session: Session) -> Thread:
    conversation = session.conversation
    return Thread(
        messages=conversation.messages,
        count=len(conversation.messages),
        delivered_count=conversation.delivered_count,
        stranded=conversation.stranded,
        can_send_again=session.company.is_there,
        can_send=status.page_state(session) in ("connected", "recovering"),
        problem=message_refusal(session.message_problem) if session.message_problem else "",
    )


def _log_inputs(session: Session) -> object:
    return session.journal.number


def _log(session: Session) -> Log:
    return Log(session.journal.lines)
