"""How much one client may request. Pure: the time is an argument."""

from dataclasses import dataclass, field

_MOST_CALLERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers. Each has a name on the wire (`Error.limit`), which stands beside it.

    An address is an IPv4 address, or an IPv6 network of 64 bits, which is what one site has (`callers.site`).

    They are generous: a page that does everything at once stays far below them. They stop programs that run wild.
    """

    messages_per_second: float = 50.0  # "messages-per-second"
    message_burst: float = 200.0  # as above
    sessions_per_address: int = 32  # "sessions-per-address"
    sockets_per_address: int = 64  # "sockets-per-address"
    sockets: int = 2048  # "sockets": those that have joined
    unjoined_sockets: int = 256  # those that have not; above it, the oldest of whoever has most of them makes room
    unjoined_per_address: int = 16  # "unjoined-per-address"
    kept_frames: int = 256  # "kept-frames"
    kept_bytes: int = 512 * 1024  # "kept-bytes"
    join_deadline: float = 120.0  # "join-deadline", seconds: a page opens its socket before Connect is pressed
    heartbeat: float = 3.5  # seconds between pings; a dead socket is noticed after one and a half of them
    send_bytes: int = 4 * 1024 * 1024  # that wait for a slow reader before its socket is closed
    checks_per_minute: float = 6.0  # "checks-per-minute": reports of network checks from an address
    check_burst: float = 12.0  # as above
    journal_session_bytes: int = 8 * 1024 * 1024  # of one session, before its quiet middle is thinned
    journal_bytes: int = 2 * 1024 * 1024 * 1024  # of all, before the oldest sessions go
    journal_full_days: float = 30.0  # after which of a session little more than its beginning and its outages stays
    journal_days: float = 365.0  # after which it goes
    journal_queue: int = 8192  # "journal-queue": batches in memory while they cannot be written
    journal_queue_bytes: int = 32 * 1024 * 1024  # as above


@dataclass(slots=True)
class TokenBucket:
    """A rate limit that allows bursts: `rate` tokens are added per second, up to `burst`."""

    rate: float
    burst: float
    tokens: float
    updated: float

    @classmethod
    def full(cls, *, rate: float, burst: float, now: float) -> "TokenBucket":
        """Return a bucket that holds `burst` tokens at `now` (seconds, of any clock that does not go back)."""
        return cls(rate, burst, burst, now)

    def take(self, cost: float = 1.0, *, now: float) -> bool:
        """Take `cost` tokens at `now` if they are there, and say whether they were."""
        self.tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate)
        self.updated = now
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True


@dataclass(slots=True)
class Buckets:
    """A bucket for each caller (`callers.site`), of the callers of late. Pure: the time is an argument."""

    _buckets: dict[str, TokenBucket] = field(default_factory=dict, init=False)

    def take(self, caller: str, *, rate: float, burst: float, now: float) -> bool:
        """Take a token of `caller`, who gets `rate` a second and up to `burst` at once; say whether there was one."""
        bucket = self._buckets.pop(caller, None) or TokenBucket.full(rate=rate, burst=burst, now=now)
        bucket.rate, bucket.burst = rate, burst
        self._buckets[caller] = bucket  # to the end: the longest silent caller is forgotten first
        if len(self._buckets) > _MOST_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now=now)
