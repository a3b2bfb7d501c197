"""The core: `Session.receive(event, now) -> list[Command]`. No clock, no sleep, no browser.

It routes each event to the part that handles it: what the person does here, and else the `call`. `console.present`
makes the view of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands, events
from pyapp.core.call import Alone, Call, Ended
from pyapp.core.call import Output as CallOutput
from pyapp.core.checking import Checking, Occasion
from pyapp.core.commands import Command
from pyapp.core.communication import Communication
from pyapp.core.company import Company
from pyapp.core.conversation import Conversation
from pyapp.core.diagnostics.journal import Journal
from pyapp.core.diagnostics.quality import Quality
from pyapp.core.events import CheckEvent, Event, InvitingEvent, MediaEvent, TabEvent
from pyapp.core.failures import Failure, MessageRefusal, Refusal
from pyapp.core.inviting import Inviting
from pyapp.core.media import Media
from pyapp.core.path.connection import Connection
from pyapp.core.path.relays import Relays
from pyapp.core.preparation import Preparation
from pyapp.core.provisioning import Provisioning
from pyapp.core.signaling.presence import Presence
from pyapp.core.signaling.rendezvous import Rendezvous
from pyapp.core.succession import Succession
from pyapp.core.tabs import TAKE_OVER, Tabs
from pyapp.core.timers import CheckTimer, ConversationTimer, SessionTimer, Timer
from pyapp.protocol import entries
from pyapp.protocol.access import invited_session, is_invitation
from pyapp.protocol.entries import Entry
from pyapp.protocol.names import check_session_name, session_name
from pyapp.protocol.wire import MessageError

Phase: TypeAlias = Literal["ready", "active", "failed", "closed"]
Parting: TypeAlias = Literal["hung-up", "page-left", "other-tab"]


@dataclass(slots=True)
class Session:
    """One page load. `participant` and `key` are 32 random hexadecimal digits; `time_origin` is Unix time in ms."""

    participant: str
    key: str = field(repr=False)
    time_origin: float
    invitation: str = field(default="", repr=False)
    policy: Literal["all", "relay"] = "all"
    is_firefox: bool = False
    """Whether the browser is Firefox, whose ICE behaves differently."""
    page: str = ""
    """The page's URL, without query and fragment."""
    display_name: str = ""
    """The display name of the person here, or empty."""
    build: str = ""
    """The build of the page (`build_of`), or empty."""

    phase: Phase = "ready"
    name: str = ""
    name_problem: str = ""
    failure: Failure | None = None
    conversation: Conversation = field(default_factory=Conversation)
    company: Company = field(default_factory=Company)
    media: Media = field(default_factory=Media)
    relays: Relays = field(init=False)
    provisioning: Provisioning = field(init=False)
    preparation: Preparation = field(init=False)
    presence: Presence = field(init=False)
    communication: Communication = field(init=False)
    call: Call = field(init=False)
    inviting: Inviting = field(init=False)
    checking: Checking = field(init=False)
    faults: int = 0
    journal: Journal = field(init=False)
    quality: Quality = field(init=False, default_factory=Quality)
    tabs: Tabs = field(default_factory=Tabs)
    is_invitation_broken: bool = field(init=False, default=False)
    """Whether an invitation was given that cannot be one: it was cut off, or is too long."""
    parting: Parting = "hung-up"
    """How the last session was closed: another tab may have taken it over."""
    _now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Create the parts that depend on our fields."""
        self._take_invitation(self.invitation)
        self.journal = Journal(self.time_origin)
        self.relays = Relays(self.policy)
        self.provisioning = Provisioning(self.relays)
        self.preparation = Preparation(self.provisioning)
        self.presence = Presence(self.participant, self.key, self.invitation, self.preparation, build=self.build)
        self.communication = Communication(self.conversation, self.company, self.media)
        self.call = Call(
            self.journal,
            self.relays,
            self.presence,
            self.provisioning,
            self.communication,
            is_firefox=self.is_firefox,
        )
        self.inviting = Inviting(self.invitation, self.page)
        self.checking = Checking(self.succession.names)

    def receive(self, event: Event, now: float) -> list[Command]:
        """Handle one event at `now` (seconds on the runner's clock): return the commands, in order."""
        self._now = now
        noted = self.journal.number
        result = self._route(event)
        result += self._call_did(self.call.happened(event, now))
        self.quality.follow(self.connection, self.journal.live, now)
        if self.journal.number > noted and self.presence.is_there:
            result += self.journal.stream_soon()
        return result

    @property
    def place(self) -> Rendezvous | None:
        """Ours in the session at the server, or None."""
        return self.presence.place

    @property
    def refusal(self) -> Refusal | None:
        """Why the server refuses us, while the connection goes on without it."""
        return self.presence.refusal

    @property
    def succession(self) -> Succession:
        """The connections, one after the other."""
        return self.call.succession

    @property
    def connection(self) -> Connection | None:
        """The current connection, or None."""
        return self.call.connection

    @property
    def unread(self) -> int:
        """How many messages have arrived since the page was hidden."""
        return self.communication.unread

    @property
    def message_problem(self) -> MessageRefusal | None:
        """Why the last message was refused, or None."""
        return self.communication.problem

    def _route(self, event: Event) -> list[Command]:
        match event:
            case events.OfPeer():  # first: most events are among these two
                if self.checking.owns(event):
                    return self._noted(self.checking.receive(event, self._now))
                return self._to_call(event)
            case events.TimerFired(timer):
                return self._timer(timer)
            case events.ConnectExpected():
                return self._expect(session_name(event.session))
            case events.SessionEdited():
                name = session_name(event.session)
                self.preparation.edited(name)
                self.inviting.session = name
                return [] if self.phase == "active" else self.preparation.wait()
            case events.ConnectRequested():
                return self._connect_requested(event)
            case events.HangUpRequested():
                return self._hang_up()
            case events.PageClosing():
                return self._leave()
            case events.PageShown():
                return self._come_back()
            case _ if isinstance(event, TabEvent):
                return self._tab_event(event)
            case events.InvitationGiven(invitation):
                return self._invited(invitation)
            case events.VisibilityChanged(hidden):
                self.communication.hidden(is_hidden=hidden)
            case events.MessageSubmitted(text):
                # Outside a session there is nobody to send it to.
                return self._noted(self.communication.submit(text if self.phase == "active" else "", self._now))
            case events.MessageSentAgain(place):
                return self._noted(self.communication.send_again(place, self._now))
            case events.NameGiven(name):
                self.display_name = name
                return []
            case _ if isinstance(event, MediaEvent):
                is_connected = self.connection is not None
                return self._noted(self.communication.media_event(event, self._now, is_connected=is_connected))
            case _ if isinstance(event, InvitingEvent):
                return self._noted(self.inviting.receive(event))
            case events.CheckRequested(session):
                return self._noted(self.checking.begin(self._occasion(session), self._now))
            case _ if isinstance(event, CheckEvent):
                return self._noted(self.checking.receive(event, self._now))
            case events.Fault(where, error):
                self.faults += 1
                self.journal.note(self._now, entries.Fault(where, error))
                return []
        return self._to_call(event)

    def _timer(self, timer: Timer) -> list[Command]:
        match timer:
            case SessionTimer.JOURNAL:
                return self.call.stream()
            case SessionTimer.TAKE_OVER:
                return self._connect(name) if (name := self.tabs.ours()) else []
            case SessionTimer.PREPARE:
                return [] if self.phase == "active" else self.preparation.due()
            case ConversationTimer():
                return self.conversation.transmit(self._now)
            case CheckTimer():
                return self._noted(self.checking.tick(self._now))
            case _:
                return self._call_did(self.call.due(timer, self._now))

    # From Connect to the end.

    def _expect(self, name: str) -> list[Command]:
        self._check_name(name)
        prepared = [] if self.phase == "active" else self.preparation.prepare(name)
        return prepared + self._noted(self.inviting.expected(name))

    def _check_name(self, name: str) -> bool:
        """Return whether `name` can name a session; if not, the person is told why."""
        try:
            check_session_name(name)
        except MessageError as error:
            self.name_problem = error.rule
            return False
        self.name_problem = ""
        return True

    def _connect_requested(self, event: events.ConnectRequested) -> list[Command]:
        name = session_name(event.session)
        if self.phase != "active" and name in self.tabs.elsewhere:
            return self._expect(name) if event.by_itself else self.tabs.take(name)
        return self._connect(name)

    def _connect(self, name: str) -> list[Command]:
        if self.phase == "active" or not self._check_name(name):
            return []
        self.phase, self.name, self.failure = "active", name, None
        self.inviting.session = name
        return [*self._call_did(self.call.begin(name, self.display_name, self._now)), commands.TabIsIn(name)]

    def _hang_up(self) -> list[Command]:
        if self.phase != "active":
            return []
        self.journal.note(self._now, entries.HungUp())
        return self._close("hung-up")

    def _leave(self) -> list[Command]:
        return self._close("page-left") if self.phase == "active" else []

    def _close(self, parting: Parting) -> list[Command]:
        self.phase, self.parting = "closed", parting
        out = commands.TabIsOut(comes_back=parting == "page-left")
        return [*self._call_did(self.call.end(self._now)), out]

    def _come_back(self) -> list[Command]:
        """Connect again after the page was restored from the back-forward cache."""
        if self.phase != "closed" or self.parting != "page-left":
            return []
        return self._connect_requested(events.ConnectRequested(self.name, by_itself=True))

    # The other tabs, and invitations that come while the page is open.

    @property
    def is_elsewhere(self) -> bool:
        """Whether another tab is in the session that this one would connect to."""
        return self.phase != "active" and self.inviting.session in self.tabs.elsewhere

    def _tab_event(self, event: TabEvent) -> list[Command]:
        is_here = self.phase == "active" and event.session == self.name
        match event:
            case events.TabEntered(session):
                self.tabs.elsewhere.add(session)
                return self._close("other-tab") if is_here else []
            case events.TabLeft(session):
                self.tabs.elsewhere.discard(session)
                return []
            case events.PlaceWanted(session):
                given = commands.GivePlace(session, self.presence.key)
                return [*self._close("other-tab"), given] if is_here else []
            case events.PlaceGiven(session, key):
                if not self.tabs.gives(session):
                    return []
                self.presence.key = key
                return [commands.CancelTimer(TAKE_OVER), *self._connect(self.tabs.ours())]
            case _:
                assert_never(event)

    def _take_invitation(self, invitation: str) -> None:
        """Take it if it can be one: what cannot is not sent, and the person is told at once."""
        self.is_invitation_broken = bool(invitation) and not is_invitation(invitation)
        self.invitation = "" if self.is_invitation_broken else invitation

    def _invited(self, invitation: str) -> list[Command]:
        """Use an invitation that came while the page was open: at once if we were refused for want of one."""
        self._take_invitation(invitation)
        result = self._noted(self.inviting.invited(self.invitation))
        self.presence.invited(self.invitation)
        if self.phase == "failed" and isinstance(self.failure, Refusal) and self.failure.is_about_invitation:
            return result + self._connect_requested(events.ConnectRequested(self.name, by_itself=True))
        return result + (self.preparation.again() if self.preparation.is_there else [])

    def _occasion(self, session: str) -> Occasion:
        """Return what a check is told; `session` is the name in the field."""
        unix = self.journal.time_origin / 1000 + self._now
        if self.place is None:
            name = session_name(session)
            return Occasion(name if invited_session(self.invitation) in ("", name) else "", unix)
        place = self.presence.held
        connection = self.connection
        if connection is None or not self.place.peer:
            return Occasion(self.name, unix, place)
        path = connection.report.path if connection.established and connection.report else ""
        return Occasion(self.name, unix, place, connection.candidates.theirs, path, self.policy == "relay")

    def _to_call(self, event: Event) -> list[Command]:
        return self._call_did(self.call.receive(event, self._now))

    def _call_did(self, outputs: Sequence[CallOutput]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case Alone():
                    # Whoever is alone will want to share the link now.
                    result += self._noted(self.inviting.receive(events.LinkWanted())) if self.invitation else []
                case Ended(failure):
                    self.phase, self.failure = "failed", failure
                    result.append(commands.TabIsOut(comes_back=False))
                case _:
                    result.append(output)
        return result

    def _noted(self, outputs: Iterable[Command | Entry]) -> list[Command]:
        """Put the entries into the journal, and return the commands."""
        return self.journal.take(outputs, self._now)
