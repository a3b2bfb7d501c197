"""`GET /ws`: a thin shell that carries frames between sockets and `rooms`.

A frame is handled at once when it arrives, and what follows from it goes straight into the transports' buffers, which
keep the order. No task and no timer belongs to a socket that has joined: one timer watches over all of them.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from backend.access.audit import Audit
from backend.access.callers import site
from backend.access.invitations import Grant, InvitationError
from backend.access.limits import Limits, TokenBucket
from backend.journal.entry import Record, server_entry
from backend.journal.writer import Journal
from backend.signaling.frames import Received, RelayFrame, Sent, read, write
from backend.signaling.listener import Listener
from backend.signaling.rooms import Close, Departed, Output, Rooms
from backend.signaling.socket import CLOSING_TIMEOUT, TICKS, Outbox, Socket, Upgraded, answer
from pyapp.protocol.journal import Journal as JournalMessage
from pyapp.protocol.journal import Journaled, JournalEntry
from pyapp.protocol.signaling import (
    FATAL_CODES,
    MAX_FRAME_BYTES,
    Cost,
    Error,
    HeldPlace,
    Join,
    Leave,
    Ping,
    Pong,
)
from pyapp.protocol.wire import MessageError, Scalar, encode

_log = logging.getLogger("ice_console.signaling")

HARD_FRAME_BYTES = 1024 * 1024
"""A frame longer than `MAX_FRAME_BYTES` is read, to be answered with an error that names the limit; one longer than
this is not: the socket is closed with 1009 (RFC 6455, section 7.4.1). Times `Limits.sockets`, it bounds the memory."""

LONGEST_DELAY = 0.8
"""Seconds that the answer to a wrong invitation waits at most: after one second a page would try another socket."""

_CLEAN = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)

CheckJoin = Callable[[Join], Grant]
"""Raises `InvitationError` if the join is not allowed."""


@dataclass(slots=True)
class Stay:
    """A participant's stay in a session, for the audit log: its start (on the loop's clock), and its path."""

    since: float
    grant: Grant
    path: str = ""
    sent: int = 0
    received: int = 0


@dataclass(slots=True, eq=False)
class Connection:
    """One socket. `site` is its address for the limits (`callers.site`)."""

    number: int
    address: str
    site: str
    socket: Socket
    bucket: TokenBucket
    deadline: asyncio.TimerHandle | None = None
    """Fires if it has not joined by then."""
    join: Join | None = None
    is_warned: bool = False
    is_joined: bool = False
    is_closing: bool = False
    refusal: asyncio.TimerHandle | None = None
    """Answers a wrong invitation, after a while in which nothing else is read."""
    cost: Cost = field(default_factory=Cost)
    """What its page was told last of the relays' cost."""


class Signaling:
    """Every socket of the server."""

    def __init__(
        self, *, hold: float, limits: Limits, journal: Journal, audit: Audit, build: Callable[[], str]
    ) -> None:
        self.listener = Listener()
        self.cost_for: Callable[[str, bool], Cost] = lambda _session, _is_operator: Cost()
        """What a page of a session is told of the relays' cost, and whether it is an operator's."""
        self._limits = limits
        self._journal = journal
        self._audit = audit
        self._stays: dict[tuple[str, str], Stay] = {}
        self._rooms = Rooms(hold, limits, server=secrets.token_hex(16), build=build)
        self._connections: dict[int, Connection] = {}
        self._numbers = itertools.count(1)
        self._unjoined: dict[Connection, None] = {}
        """Sockets that have not joined yet, oldest first."""
        self._per_site: Counter[str] = Counter()
        self._unjoined_per_site: Counter[str] = Counter()
        self._outbox = Outbox()
        self._is_draining = False
        self._emptied = asyncio.Event()
        self._disconnected = asyncio.Event()
        """Whether the last socket has ended."""
        self._timer: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None

    async def serve(self, request: web.Request, *, check_join: CheckJoin) -> web.StreamResponse:
        """Answer the upgrade, and serve the socket until its end, which is later than the return."""
        address = request.remote or ""
        if refusal := self._refusal(site(address)):
            return web.Response(
                status=503, headers={"Retry-After": "5"}, text=encode(refusal), content_type="application/json"
            )
        upgrade = answer(request.headers)
        transport = request.transport
        if transport is None or transport.is_closing():  # the page left before it was answered
            return web.Response(status=400)
        socket = self._open(transport, address, check_join)
        socket.take_over(request.protocol, upgrade)
        return Upgraded()

    def adopt(
        self,
        transport: asyncio.Transport,
        headers: Mapping[str, str],
        *,
        address: str,
        check_join: CheckJoin,
        rest: bytes,
    ) -> bool:
        """As `serve`, for a connection that no request of aiohttp's has; `rest` came behind the headers.

        Returns False, and does nothing, if `serve` would refuse it.
        """
        try:
            upgrade = answer(headers)
        except web.HTTPException:
            return False
        if self._refusal(site(address)):
            return False
        self._open(transport, address, check_join).begin(upgrade, rest)
        return True

    def _open(self, transport: asyncio.Transport, address: str, check_join: CheckJoin) -> Socket:
        limits = self._limits
        bucket = TokenBucket.full(rate=limits.messages_per_second, burst=limits.message_burst, now=time.monotonic())
        socket = Socket(transport, self._outbox, longest=HARD_FRAME_BYTES, most_waiting=limits.send_bytes)
        connection = Connection(next(self._numbers), address, site(address), socket, bucket)
        connection.deadline = self._outbox.loop.call_later(limits.join_deadline, self._miss_deadline, connection)
        self._begin(connection)
        socket.handle(
            on_frame=lambda message, size: self._receive(connection, message, check_join, size=size),
            on_end=lambda code: self._end(connection, code),
        )
        return socket

    @property
    def counts(self) -> tuple[int, int, int]:
        """The present numbers of sessions, of places taken or held in them, and of open sockets."""
        return len(self._rooms), self._rooms.participants, len(self._connections)

    def change(self, *, hold: float, limits: Limits) -> None:
        """Use these from now on; limits per socket apply to new sockets."""
        self._limits = self._rooms.limits = limits
        self._rooms.hold = hold

    def is_live(self, session: str) -> bool:
        """Whether somebody has a place in `session`."""
        return session in self._rooms

    def holds(self, claim: HeldPlace) -> bool:
        """Whether a page has the place in a session that it claims, with a socket or without."""
        return self._rooms.holds(claim)

    def give_up(self, claim: HeldPlace) -> None:
        """Free the place of a page that leaves, and whose socket may be dead; nothing if it holds none."""
        if self._rooms.holds(claim):
            entry = server_entry("server-left", {}, at=time.time())
            self._journal.append(Record(claim.session, claim.participant, time.time(), (entry,), lambda _number: None))
            _log.info("= %s: %s left", claim.session, claim.participant[:8])
            self._perform(self._rooms.give_up(claim))

    def revoke(self, invitations: Collection[str]) -> None:
        """Disconnect everybody who joined with one of these invitations."""
        if invitations:
            self._perform(self._rooms.revoke(invitations))

    def tell_cost(self, sessions: Collection[str] | None = None) -> None:
        """Tell the pages of `sessions`, or of all, what relays cost, where that has changed."""
        for connection in self._connections.values():
            if connection.is_joined and connection.join and (sessions is None or connection.join.session in sessions):
                self._tell_cost(connection, connection.join)

    def _tell_cost(self, connection: Connection, join: Join) -> None:
        stay = self._stays.get((join.session, join.participant))
        cost = self.cost_for(join.session, stay is not None and stay.grant.role == "operator")
        if cost != connection.cost:
            connection.cost = cost
            self._put(connection, cost)

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
        if self._timer:
            self._timer.cancel()
        for connection in list(self._connections.values()):
            connection.socket.close(WSCloseCode.SERVICE_RESTART)
        if self._connections:
            self._disconnected.clear()
            with contextlib.suppress(TimeoutError):  # who comes in this moment does not hold it up
                await asyncio.wait_for(self._disconnected.wait(), 2 * CLOSING_TIMEOUT)
        if self._ticking:
            self._ticking.cancel()

    def _refusal(self, caller: str) -> Error | None:
        if self._per_site[caller] >= self._limits.sockets_per_address:
            rule = f"At most {self._limits.sockets_per_address} sockets from one address."
            return Error("limit", rule, "sockets-per-address")
        if self._unjoined_per_site[caller] >= self._limits.unjoined_per_address:
            rule = f"At most {self._limits.unjoined_per_address} sockets from one address that have not joined."
            return Error("limit", rule, "unjoined-per-address")
        return None

    def _begin(self, connection: Connection) -> None:
        self._connections[connection.number] = connection
        if self._ticking is None:
            self._tick()
        self._per_site[connection.site] += 1
        self._unjoined[connection] = None
        self._unjoined_per_site[connection.site] += 1
        if len(self._unjoined) > self._limits.unjoined_sockets:
            # The oldest of the heaviest user goes: a flood of sockets only displaces its own.
            [(crowded, _)] = self._unjoined_per_site.most_common(1)
            oldest = next(other for other in self._unjoined if other.site == crowded)
            rule = f"At most {self._limits.unjoined_sockets} sockets that have not joined."
            self._refuse(oldest, Error("not-joined", rule, "unjoined-sockets"))

    def _has_joined(self, connection: Connection) -> None:
        """Remove `connection` from those that have not joined."""
        if connection in self._unjoined:
            if connection.deadline:
                connection.deadline.cancel()
                connection.deadline = None
            del self._unjoined[connection]
            _count_down(self._unjoined_per_site, connection.site)

    def _tick(self) -> None:
        """Have silent sockets pinged and dead ones noticed, as long as there are any."""
        for connection in list(self._connections.values()):
            connection.socket.tick()
        self._ticking = None
        if self._connections:
            self._ticking = self._outbox.loop.call_later(self._limits.heartbeat / TICKS, self._tick)

    # Reading.

    def _receive(self, connection: Connection, message: WSMessage, check_join: CheckJoin, *, size: int) -> None:
        if connection.is_closing or connection.refusal:
            return
        # A long frame costs as much as several short ones with the same content.
        if not connection.bucket.take(1 + size // MAX_FRAME_BYTES, now=time.monotonic()):
            if not connection.is_warned:
                rule = f"At most {self._limits.messages_per_second:g} messages a second; what is above is dropped."
                self._complain(connection, Error("limit", rule, "messages-per-second"))
            connection.is_warned = True  # once: answering every frame of a flood would double it
            return
        connection.is_warned = False
        if message.type is not WSMsgType.TEXT:
            self._complain(connection, Error("malformed", "frame: must be text"))
            return
        if size > MAX_FRAME_BYTES:
            rule = f"frame: at most {MAX_FRAME_BYTES} bytes"
            self._complain(connection, Error("limit", rule, "frame-bytes"))
            return
        try:
            decoded = read(message.data)
        except MessageError as error:
            self._complain(connection, Error("malformed", str(error)))
            return
        self._dispatch(connection, decoded, check_join, size=size)

    def _dispatch(self, connection: Connection, message: Received, check_join: CheckJoin, *, size: int) -> None:
        if isinstance(message, RelayFrame) and connection.is_joined:  # most are: no place comes or goes by it
            for output in self._rooms.relay(connection.number, message, size=size):
                self._deliver(output)
            return
        match message:
            case Join() if connection.join:
                self._complain(connection, Error("malformed", "kind: 'join' once on a socket"))
            case Join():
                self._join(connection, message, check_join)
            case Ping(number):
                self._put(connection, Pong(number))
            case _ if not connection.join:
                self._refuse(connection, Error("not-joined", "The first frame must be 'join'."))
            case JournalMessage():
                self._keep(connection, message)
            case Leave():
                self._leave(connection)

    def _join(self, connection: Connection, join: Join, check_join: CheckJoin) -> None:
        if self._is_draining and join.session not in self._rooms:
            self._complain(connection, Error("unavailable", "The server is about to restart. Try again in a moment."))
            self._finish(connection, WSCloseCode.SERVICE_RESTART)
            return
        grant = None
        if not self._rooms.knows(join):  # an invitation admits; a rejoin does not need a valid one
            try:
                grant = check_join(join)
            except InvitationError as error:
                refusal = Error(error.code, error.message)
                if error.delay:
                    connection.refusal = self._outbox.loop.call_later(
                        min(error.delay, LONGEST_DELAY), self._refuse, connection, refusal
                    )
                else:
                    self._refuse(connection, refusal)
                return
            if len(self._connections) - len(self._unjoined) >= self._limits.sockets:
                self._complain(connection, Error("limit", f"At most {self._limits.sockets} sockets.", "sockets"))
                self._finish(connection)
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
            self._has_joined(connection)
            _log.info("= %s: %s joined", join.session, join.participant[:8])
            self._note(connection, "joined", {"address": connection.address, "name": join.name})
            if grant:
                self._has_come(connection, join, grant)
        self._perform(outputs)
        if connection.is_joined:
            self._tell_cost(connection, join)

    def _has_come(self, connection: Connection, join: Join, grant: Grant) -> None:
        self.listener.joined()
        self._stays[join.session, join.participant] = Stay(self._now(), grant)
        self._audit.note(
            "came",
            session=join.session,
            participant=join.participant,
            address=connection.address,
            role=grant.role,
            invitation=grant.id,
            name=grant.name,
        )

    def _has_departed(self, departed: Departed) -> None:
        if departed.how != "lost" and departed.session not in self._rooms:
            self.listener.ended(departed.session)
        if stay := self._stays.pop((departed.session, departed.participant), None):
            self._audit.note(
                "left",
                session=departed.session,
                participant=departed.participant,
                how=departed.how,
                invitation=stay.grant.id,
                name=stay.grant.name,
                seconds=round(self._now() - stay.since, 1),
                path=stay.path,
                bytes_sent=stay.sent,
                bytes_received=stay.received,
            )

    def _keep(self, connection: Connection, message: JournalMessage) -> None:
        if connection.join:
            self.listener.heard(connection.join.participant, connection.address, message.entries)
        if connection.join and (stay := self._stays.get((connection.join.session, connection.join.participant))):
            for entry in message.entries:
                if entry.event in ("pair", "sample"):  # the page reports its path
                    stay.path = str(entry.data.get("path", ""))[:64]
                    sent, received = entry.data.get("bytes_sent"), entry.data.get("bytes_received")
                    stay.sent = sent if isinstance(sent, int) else stay.sent
                    stay.received = received if isinstance(received, int) else stay.received

        def done(number: int) -> None:
            self._put(connection, Journaled(number))

        if not self._append(connection, message.entries, done):
            self._complain(connection, Error("limit", "The journal is busy; send it again.", "journal-queue"))

    def _leave(self, connection: Connection) -> None:
        self._note(connection, "left", {})
        _log.info("= %s left", _who(connection))
        self._perform(self._rooms.leave(connection.number))
        self._finish(connection, WSCloseCode.OK)

    def _miss_deadline(self, connection: Connection) -> None:
        if not connection.join:
            rule = f"The first frame, 'join', must come within {self._limits.join_deadline:g} seconds."
            self._refuse(connection, Error("not-joined", rule, "join-deadline"))

    def _end(self, connection: Connection, code: int) -> None:
        """Clean up after a socket that has ended for any reason."""
        del self._connections[connection.number]
        if not self._connections:
            self._disconnected.set()
        if connection.socket.is_slow:  # no frame may be skipped, so it was closed; the page reconnects
            _log.warning("! %s reads too slowly", _who(connection))
        _count_down(self._per_site, connection.site)
        self._has_joined(connection)
        if connection.refusal:
            connection.refusal.cancel()
        if not self._rooms.is_joined(connection.number):
            return  # refused, superseded, or left already
        if code in _CLEAN:
            self._note(connection, "left", {"code": code})
            _log.info("= %s left (close code %s)", _who(connection), code)
            self._perform(self._rooms.leave(connection.number))
        else:
            self._note(connection, "lost", {"code": code})
            _log.info("! %s lost (close code %s)", _who(connection), code)
            self._perform(self._rooms.lose(connection.number, now=self._now()))
        self._schedule()

    # Writing.

    def _perform(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self._deliver(output)
        if self._is_draining and not len(self._rooms):
            self._emptied.set()
        self._schedule()

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

    def _complain(self, connection: Connection, error: Error) -> None:
        self.listener.refused(error.code, is_join=not connection.is_joined)
        _log.info("! %s: %s %s", _who(connection), error.code, error.limit or error.message)
        self._note(connection, "error", {"code": error.code, "message": error.message, "limit": error.limit})
        self._put(connection, error)

    def _refuse(self, connection: Connection, error: Error) -> None:
        self._complain(connection, error)
        if error.code in FATAL_CODES:
            self._finish(connection)

    def _finish(self, connection: Connection, code: int = WSCloseCode.POLICY_VIOLATION) -> None:
        """Close the socket after everything that was written on it."""
        if not connection.is_closing:
            connection.is_closing = True
            connection.socket.close(code)

    def _put(self, connection: Connection, message: Sent) -> None:
        if not connection.is_closing:
            connection.socket.send(write(message))

    def _now(self) -> float:
        return self._outbox.loop.time()

    def _schedule(self) -> None:
        at = self._rooms.next_expiry()
        if self._timer and self._timer.when() == at:
            return  # restarting it for each frame of a flood would postpone it forever
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._outbox.loop.call_at(at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._perform(self._rooms.expire(now=self._now()))

    # The journal.

    def _note(self, connection: Connection, event: str, data: dict[str, Scalar]) -> None:
        if connection.is_joined:
            entry = server_entry(f"server-{event}", data, at=time.time())
            self._append(connection, (entry,), lambda _number: None)

    def _append(self, connection: Connection, entries: tuple[JournalEntry, ...], done: Callable[[int], None]) -> bool:
        join = connection.join
        if join is None:
            return False
        return self._journal.append(Record(join.session, join.participant, time.time(), entries, done, join.invitation))


def _count_down(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]


def _who(connection: Connection) -> str:
    if not connection.join:
        return connection.address
    return f"{connection.join.session}: {connection.join.participant[:8]}"
