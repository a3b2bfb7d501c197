"""Checks of STUN and TURN servers: a Binding request, or an allocation that is deleted at once."""

import asyncio
import contextlib
import logging
import ssl
import time

from aioice import stun
from aioice.turn import create_turn_endpoint

from backend.ice.health import Check
from pyapp.protocol.ice import IceUrl, parse_ice_url

logging.getLogger("aioice").setLevel(logging.WARNING)  # or it notes each allocation, twice a minute

TIMEOUT = 4.0
"""Seconds for all of it: three attempts over UDP (RFC 8489, section 6.2.1)."""

_LIFETIME = 60
"""Lifetime in seconds of an allocation whose deletion is lost."""

_END_WITHIN = 1.0

_REASONS = {
    401: "401: the credentials are refused",
    403: "403: forbidden",
    437: "437: allocation mismatch",
    441: "441: the credentials are refused",
    508: "508: it has no ports left",
}
"""By STUN error code. Others, such as 486 for this user's quota, come from a healthy server."""


async def check(url: str, username: str = "", credential: str = "", *, tls: ssl.SSLContext | None = None) -> Check:
    """Return the result of a check of `url`; `tls` says which certificates are trusted. Never raises."""
    parsed = parse_ice_url(url)
    try:
        async with asyncio.timeout(TIMEOUT):
            return await (_allocate(parsed, username, credential, tls) if parsed.is_turn else _bind(parsed))
    except TimeoutError:
        return Check("no answer")
    except stun.TransactionFailed as error:
        code = error.response.error_code or 0
        return Check(_REASONS.get(code, "") if code in _REASONS else "")
    except ssl.SSLCertVerificationError:
        return Check("its certificate is not valid for its name, or not trusted here")
    except ssl.SSLError:
        return Check("no TLS")
    except OSError as error:  # also when a name is not known
        return Check(f"it cannot be reached: {error.strerror or type(error).__name__}")
    except (stun.TransactionError, ValueError) as error:
        return Check(f"no answer ({type(error).__name__})")


class _Sender(asyncio.DatagramProtocol):
    """Sends one STUN request at a time."""

    def __init__(self) -> None:
        self.transaction: stun.Transaction | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # a datagram's
        self._transport = transport

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        with contextlib.suppress(ValueError):  # not STUN
            message = stun.parse_message(bytes(data) if isinstance(data, bytes) else data.encode())
            if self.transaction and message.message_class in (stun.Class.RESPONSE, stun.Class.ERROR):
                self.transaction.response_received(message, addr)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Send a request to the server that the socket is connected to."""
        del addr
        if self._transport:
            self._transport.sendto(bytes(message))


async def _bind(url: IceUrl) -> Check:
    address = (url.host.strip("[]"), url.port)
    transport, sender = await asyncio.get_running_loop().create_datagram_endpoint(_Sender, remote_addr=address)
    try:
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        sender.transaction = stun.Transaction(request, address, sender)
        begun = time.monotonic()
        await sender.transaction.run()
        return Check(seconds=time.monotonic() - begun)
    finally:
        transport.close()


class _Relay(asyncio.DatagramProtocol):
    """Waits for the end of an allocation."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


async def _allocate(url: IceUrl, username: str, credential: str, tls: ssl.SSLContext | None) -> Check:
    begun = time.monotonic()
    context = (tls or ssl.create_default_context()) if url.transport == "tls" else None
    transport, relay = await create_turn_endpoint(
        _Relay,
        (url.host.strip("[]"), url.port),
        username,
        credential,
        lifetime=_LIFETIME,
        ssl=context,
        transport="udp" if url.transport == "udp" else "tcp",
    )
    seconds = time.monotonic() - begun
    relayed = str(transport.get_extra_info("sockname")[0])
    transport.close()
    with contextlib.suppress(TimeoutError):  # it answered; its end is not what was asked
        async with asyncio.timeout(_END_WITHIN):
            await relay.ended.wait()
    # Over UDP two round trips; over TCP one more, over TLS two more (RFC 8446, section 2: one, and the connection's).
    return Check(seconds=seconds / {"udp": 2, "tcp": 3, "tls": 4}[url.transport], relayed=relayed)
