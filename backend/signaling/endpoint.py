"""`GET /ws`: a thin shell that carries frames between sockets and `rooms`.

A frame is handled at once when it arrives, and what follows from it goes straight into the transports' buffers, which
keep the order. No task and no timer belongs to a socket: one timer watches over all of them.
"""

import asyncio
import contextlib
import itertools
import logging
import math
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from aiohttp import WSCloseCode, WSMessage

from backend.access.audit import Audit
from backend.access.callers import site
from backend.access.invitations import Grant, InvitationError
from backend.access.limits import Limits, TokenBucket
from backend.each import each
from backend.journal.entry import Record, server_entry
from backend.journal.writer import Journal
from backend.signaling.alarm import Alarm
from backend.signaling.connections import FREE, CheckJoin, Connection, Connections
from backend.signaling.frames import Received, RelayFrame, Sent, write
from backend.signaling.listener import Listener
from backend.signaling.reading import received
from backend.signaling.rooms import Close, Departed, Output, Rooms
from backend.signaling.socket import CLOSING_TIMEOUT, TICKS, Outbox, Socket
from backend.signaling.stays import Stays
from backend.timeouts import Timeouts
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.journal import Journal as JournalMessage
from pyapp.protocol.journal import Journaled, JournalEntry
from pyapp.protocol.signaling import FATAL_CODES, Cost, Error, HeldPlace, Join, Leave, Ping, Pong

_log = logging.getLogger("ice_console.signaling")

HARD_FRAME_BYTES = 1024 * 1024
"""A frame longer than `MAX_FRAME_BYTES` is read, to be answered with an error that names the limit; one longer than
this is not: the socket is closed with 1009 (RFC 6455, section 7.4.1). Times `Limits.sockets`, it bounds the memory."""

_CLEAN = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)


class Signaling:
    """Every socket of the server."""

    def __init__(
        self, *, hold: float, limits: Limits, journal: Journal, audit: Audit, build: Callable[[], str]
    ) -> None:
        self.listener = Listener()
        self.cost_for: Callable[[str, bool], Cost] = lambda _session, _is_operator: FREE
        """What a page of a session is told of the relays' cost, and whether it is an operator's."""
        self._journal = journal
        self._stays = Stays(audit)
        self._rooms = Rooms(hold, limits, server=secrets.token_hex(16), build=build)
        self._connections = Connections(limits)
        self._numbers = itertools.count(1)
        self._outbox = Outbox()
        self._is_draining = False
        self._emptied = asyncio.Event()
        self._disconnected = asyncio.Event()
        """Whether the last socket has ended."""
        self._expiring = Alarm(self._expire)
        self._joining = Timeouts(self._miss_deadline)
        self._ticking = Alarm(self._tick)

    def refusal(self, address: str) -> Error | None:
        """Return why another socket from `address` is not accepted, or None."""
        return self._connections.refusal(site(address))

    def open(self, transport: asyncio.Transport, address: str, check_join: CheckJoin) -> Socket:
        """Return the socket of a page at `address`, which is yet to take the connection over from HTTP."""
        limits = self.limits
        socket = Socket(transport, self._outbox, longest=HARD_FRAME_BYTES, most_waiting=limits.send_bytes)
        connection = Connection(
            next(self._numbers),
            address,
            site(address),
            socket,
            TokenBucket.full(rate=limits.messages_per_second, burst=limits.message_burst, now=time.monotonic()),
            check_join,
        )
        socket.handle(on_frame=partial(self._receive, connection), on_end=partial(self._end, connection))
        if displaced := self._connections.add(connection):
            rule = f"At most {limits.unjoined_sockets} sockets that have not joined."
            self._refuse(displaced, Error("not-joined", rule, "unjoined-sockets"))
        self._joining.start(connection, limits.join_deadline)
        if not self._ticking.is_set:
            self._ticking.set(self._now() + limits.heartbeat / TICKS)
        return socket

    @property
    def counts(self) -> tuple[int, int, int]:
        """The present numbers of sessions, of places taken or held in them, and of open sockets."""
        return len(self._rooms), self._rooms.participants, len(self._connections)

    @property
    def limits(self) -> Limits:
        """Those in force."""
        return self._connections.limits

    def change(self, *, hold: float, limits: Limits) -> None:
        """Use these from now on; limits per socket apply to new sockets."""
        self._connections.limits = self._rooms.limits = limits
        self._rooms.hold = hold

    def is_live(self, session: str) -> bool:
        """Whether somebody has a place in `session`."""
        return session in self._rooms

    def holds(self, claim: HeldPlace) -> bool:
        """Whether a page has the place in a session that it claims, with a socket or without."""
        return self._rooms.holds(claim)

    def has(self, session: str, invitation: str) -> bool:
        """Whether somebody has a place in `session` who came in with this invitation (its id)."""
        return self._rooms.has(session, invitation)

    def invitation_of(self, claim: HeldPlace) -> str:
        """Return the id of the invitation with which the page came in that has this place; empty if there was none."""
        return self._rooms.invitation_of(claim)

    def give_up(self, claim: HeldPlace, rest: tuple[JournalEntry, ...] = (), *, address: str = "") -> None:
        """Free the place of a page at `address` that leaves, and whose socket may be dead; nothing if it holds none.

        `rest` is what it could not say on that socket.
        """
        if self._rooms.holds(claim):
            self._tell(lambda listener: listener.heard(claim.participant, address, rest))
            self._stays.heard(claim, rest)
            entry = server_entry(entries.ServerLeft(), at=time.time())
            record = Record(claim.session, claim.participant, time.time(), (*rest, entry), _confirmed)
            self._journal.append_or_lose(record)
            _log.info("= %s: %s left", claim.session, claim.participant[:8])
            self._perform(self._rooms.give_up(claim))

    def revoke(self, invitations: Collection[str]) -> None:
        """Disconnect everybody who joined with one of these invitations."""
        if invitations:
            self._perform(self._rooms.revoke(invitations))

    def tell_cost(self, sessions: Collection[str] | None = None) -> None:
        """Tell the pages of `sessions`, or of all, what relays cost, where that has changed."""
        each(self._connections, lambda connection: self._tell_cost(connection, sessions))

    def sum_up_stays(self, *, now: float) -> None:
        """Have the audit log say how many strangers had no lines in it until `now` (the event loop's clock)."""
        self._stays.sum_up(now=now)

    @property
    def is_draining(self) -> bool:
        """Whether new sessions are refused."""
        return self._is_draining

    async def drain(self, seconds: float) -> None:
        """Refuse new sessions, and wait until there are none left, but at most `seconds`."""
        self._is_draining = True
        if len(self._rooms):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)

    async def close(self) -> None:
        """Tell every page that the service restarts (1012), so that it comes back."""
        self._expiring.set(None)
        each(self._connections, lambda connection: connection.socket.close(WSCloseCode.SERVICE_RESTART))
        if len(self._connections):
            self._disconnected.clear()
            with contextlib.suppress(TimeoutError):  # who comes in this moment does not hold it up
                await asyncio.wait_for(self._disconnected.wait(), 2 * CLOSING_TIMEOUT)
        self._joining.stop()
        self._ticking.set(None)

    # Sockets go, or are told to.

    def _tick(self) -> None:
        """Have silent sockets pinged and dead ones noticed, as long as there are any."""
        each(self._connections, lambda connection: connection.socket.tick())
        if len(self._connections):
            self._ticking.set(self._now() + self.limits.heartbeat / TICKS)

    def _miss_deadline(self, connection: Connection) -> None:
        if connection.is_closing or connection.refusal:
            return  # it was refused, and knows why, or soon will
        rule = f"The first frame, 'join', must come within {self.limits.join_deadline:g} seconds."
        self._refuse(connection, Error("not-joined", rule, "join-deadline"))

    def _end(self, connection: Connection, code: int) -> None:
        """Clean up after a socket that has ended for any reason."""
        self._connections.remove(connection)
        self._joining.cancel(connection)
        if not len(self._connections):
            self._disconnected.set()
        if connection.socket.is_slow:  # no frame may be skipped, so it was closed; the page reconnects
            _log.warning("! %s reads too slowly", connection)
        if connection.refusal:
            connection.refusal.cancel()
        if not self._rooms.is_joined(connection.number):
            return  # refused, superseded, or left already
        if code in _CLEAN:
            self._note(connection, entries.ServerLeft(code))
            _log.info("= %s left (close code %s)", connection, code)
            self._perform(self._rooms.leave(connection.number))
        else:
            self._note(connection, entries.ServerLost(code))
            _log.info("! %s lost (close code %s)", connection, code)
            self._perform(self._rooms.lose(connection.number, now=self._now()))

    # Reading.

    def _receive(self, connection: Connection, frame: WSMessage, size: int) -> None:
        if connection.is_closing or connection.refusal:
            return
        message = received(connection, frame, size=size, limits=self.limits, now=time.monotonic())
        if isinstance(message, RelayFrame) and connection.is_joined:  # most are: no place comes or goes by it
            each(self._rooms.relay(connection.number, message, size=size), self._deliver, self._abort)
        elif isinstance(message, Error):
            self._complain(connection, message)
        elif message is not None:
            self._dispatch(connection, message)

    def _dispatch(self, connection: Connection, message: Received) -> None:
        match message:
            case Join() if connection.join:
                self._complain(connection, Error("malformed", "kind: 'join' once on a socket"))
            case Join():
                self._join(connection, message)
            case Ping(number):
                self._put(connection, Pong(number))
            case _ if not connection.join:
                self._refuse(connection, Error("not-joined", "The first frame must be 'join'."))
            case JournalMessage():
                self._keep(connection, connection.join, message)
            case Leave():
                self._leave(connection)

    def _join(self, connection: Connection, join: Join) -> None:
        if self._is_draining and join.session not in self._rooms:
            self._complain(connection, Error("unavailable", "The server is about to restart. Try again in a moment."))
            self._finish(connection, WSCloseCode.SERVICE_RESTART)
            return
        grant = None
        if not self._rooms.knows(join):  # an invitation admits; a rejoin does not need a valid one
            grant = self._admit(connection, join)
            if grant is None:
                return
        connection.join = join
        outputs = self._rooms.join(
            connection.number,
            join,
            address=connection.site,
            invitation=grant.id if grant else "",
            now=self._now(),
        )
        if self._rooms.is_joined(connection.number):
            connection.is_joined = True
            self._connections.has_joined(connection)
            self._joining.cancel(connection)
            _log.info("= %s joined", connection)
            self._note(connection, entries.ServerJoined(connection.address, join.name))
            if grant:
                self._tell(lambda listener: listener.joined())
                self._stays.has_come(join, grant, address=connection.address, now=self._now())
        self._perform(outputs)
        self._tell_cost(connection)

    def _admit(self, connection: Connection, join: Join) -> Grant | None:
        """Return what lets a page in that had no place before, or refuse it."""
        try:
            grant = connection.check_join(join)
        except InvitationError as error:
            pause = error.pause
            refusal = Error(error.code, error.message, retry_after=math.ceil(10 * pause.retry_after) / 10)
            if pause.delay:  # a page that tries another socket meanwhile is refused there at once
                connection.refusal = self._outbox.loop.call_later(pause.delay, self._refuse, connection, refusal)
            else:
                self._refuse(connection, refusal)
            return None
        if self._connections.are_full:
            self._complain(connection, Error("limit", f"At most {self.limits.sockets} sockets.", "sockets"))
            self._finish(connection)
            return None
        return grant

    def _keep(self, connection: Connection, join: Join, message: JournalMessage) -> None:
        self._tell(lambda listener: listener.heard(join.participant, connection.address, message.entries))
        self._stays.heard(join, message.entries)

        def done(number: int) -> None:
            self._put(connection, Journaled(number))

        if not self._journal.append(_record(join, message.entries, done)):
            self._complain(connection, Error("limit", "The journal is busy; send it again.", "journal-queue"))

    def _leave(self, connection: Connection) -> None:
        self._note(connection, entries.ServerLeft())
        _log.info("= %s left", connection)
        self._perform(self._rooms.leave(connection.number))
        self._finish(connection, WSCloseCode.OK)

    # What follows.

    def _perform(self, outputs: Sequence[Output]) -> None:
        each(outputs, self._deliver, self._abort)
        if self._is_draining and not len(self._rooms):
            self._emptied.set()
        self._expiring.set(self._rooms.next_expiry())

    def _deliver(self, output: Output) -> None:
        if isinstance(output, Departed):
            self._has_departed(output)
        elif (connection := self._connections.get(output.socket)) is None:
            pass  # it ended in the meantime
        elif isinstance(output, Close):
            self._finish(connection)
        elif isinstance(output.message, Error):
            self._complain(connection, output.message)
        else:
            self._put(connection, output.message)

    def _abort(self, output: Output) -> None:
        """End the socket that could not be told something: no frame may be skipped, and its page comes back."""
        if not isinstance(output, Departed) and (connection := self._connections.get(output.socket)):
            connection.socket.abort()

    def _has_departed(self, departed: Departed) -> None:
        if departed.how == "lost":
            self._tell(lambda listener: listener.lost(departed.session, departed.invitation))
        elif departed.session not in self._rooms:
            self._tell(lambda listener: listener.ended(departed.session))
        self._stays.has_departed(departed, now=self._now())

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        """Tell the listener; what goes wrong there takes nothing from the session."""
        each((self.listener,), tell)

    def _complain(self, connection: Connection, error: Error) -> None:
        self._tell(lambda listener: listener.refused(error.code, is_join=not connection.is_joined))
        _log.info("! %s: %s %s", connection, error.code, error.limit or error.message)
        self._note(connection, entries.ServerError(error.code, error.message, error.limit))
        self._put(connection, error)

    def _refuse(self, connection: Connection, error: Error) -> None:
        self._complain(connection, error)
        if error.code in FATAL_CODES:
            self._finish(connection)

    def _finish(self, connection: Connection, code: int = WSCloseCode.POLICY_VIOLATION) -> None:
        """Close the socket after everything that was written on it."""
        if connection.refusal:
            connection.refusal.cancel()  # it has been told why it goes
        if not connection.is_closing:
            connection.is_closing = True
            connection.socket.close(code)

    def _put(self, connection: Connection, message: Sent) -> None:
        if not connection.is_closing:
            connection.socket.send(write(message))

    def _tell_cost(self, connection: Connection, sessions: Collection[str] | None = None) -> None:
        join = connection.join
        if not connection.is_joined or join is None or (sessions is not None and join.session not in sessions):
            return
        cost = self.cost_for(join.session, self._stays.is_operator(join))
        if cost != connection.cost:
            connection.cost = cost
            self._put(connection, cost)

    def _now(self) -> float:
        return self._outbox.loop.time()

    def _expire(self) -> None:
        self._perform(self._rooms.expire(now=self._now()))

    # The journal.

    def _note(self, connection: Connection, entry: Entry) -> None:
        if connection.is_joined and connection.join:
            record = _record(connection.join, (server_entry(entry, at=time.time()),), _confirmed)
            self._journal.append_or_lose(record)


def _record(join: Join, entries: tuple[JournalEntry, ...], done: Callable[[int], None]) -> Record:
    return Record(join.session, join.participant, time.time(), entries, done, join.invitation)


def _confirmed(_number: int) -> None:
    """Do nothing: nobody waits for what the server notes itself."""
