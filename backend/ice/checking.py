"""Checks of STUN and TURN servers: a Binding request, or an allocation that is deleted at once."""

import asyncio
import contextlib
import logging
import secrets
import socket
import ssl
import time

from aioice import stun
from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol

from backend.ice.health import Check
from pyapp.protocol.ice import IceUrl, parse_ice_url
from pyapp.protocol.turn_rest import expiry

logging.getLogger("aioice").setLevel(logging.WARNING)  # or it notes each allocation, twice a minute

TIMEOUT = 4.0
"""Seconds for all of it: three attempts over UDP (RFC 8489, section 6.2.1)."""

_LIFETIME = 60
"""Lifetime in seconds of an allocation whose deletion is lost."""

_END_WITHIN = 1.0

_REFUSED_WITHIN = 0.5
"""Seconds for an ICMP error to come back, after nothing else did."""

_BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42"  # RFC 8489, section 5; a transaction id follows

_REASONS = {
    401: "401: the credentials are refused",
    403: "403: forbidden",
    437: "437: allocation mismatch",
    441: "441: the credentials are refused",
    508: "508: it has no ports left",
}
"""By STUN error code. Others come from a healthy server."""

_REFUSALS = {486: "486: its quota for this user is used up"}

_CERTIFICATE = {
    10: "its certificate has expired",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: "its certificate is not valid for its name",  # X509_V_ERR_HOSTNAME_MISMATCH
    64: "its certificate is not valid for its name",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
"""By OpenSSL's code (openssl-verification-options(1))."""


async def check(url: str, username: str = "", credential: str = "", *, tls: ssl.SSLContext | None = None) -> Check:
    """Return the result of a check of `url`; `tls` says which certificates are trusted. Never raises."""
    parsed = parse_ice_url(url)
    try:
        async with asyncio.timeout(TIMEOUT):
            return await (_allocate(parsed, username, credential, tls) if parsed.is_turn else _bind(parsed))
    except TimeoutError:
        if parsed.transport == "udp" and await _is_refused(parsed):
            return Check("it cannot be reached: nothing listens on that port, or a firewall rejects it")
        return Check("no answer")
    except stun.TransactionFailed as error:
        return _failed(error.response.error_code or 0, username)
    except ssl.SSLCertVerificationError as error:
        untrusted = f"its certificate is not trusted here: {error.verify_message}"
        return Check(_CERTIFICATE.get(error.verify_code, untrusted))
    except ssl.SSLError:
        return Check("no TLS")
    except socket.gaierror:
        return Check("it cannot be reached: its name is not known")
    except OSError as error:
        return Check(f"it cannot be reached: {error.strerror or type(error).__name__}")
    except (stun.TransactionError, ValueError) as error:
        return Check(f"no answer ({type(error).__name__})")


def _failed(code: int, username: str) -> Check:
    """Return the result where the server has answered with an error."""
    if code == 401 and (until := expiry(username, now=time.time())) and until < time.time():
        return Check("401: the credentials have expired")
    if code in _REASONS:
        return Check(_REASONS[code])
    return Check(refusal=_REFUSALS.get(code, f"{code}: it gives no relay"))


async def _is_refused(url: IceUrl) -> bool:
    """Return whether ICMP says that the port is unreachable (RFC 1122, section 4.1.3.1)."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bool] = loop.create_future()

    class Probe(asyncio.DatagramProtocol):
        def error_received(self, error: Exception) -> None:
            if not answered.done():
                answered.set_result(isinstance(error, ConnectionRefusedError))

    transport = None
    try:
        async with asyncio.timeout(_REFUSED_WITHIN):
            address = (url.host.strip("[]"), url.port)
            transport, _ = await loop.create_datagram_endpoint(Probe, remote_addr=address)
            transport.sendto(_BINDING_REQUEST + secrets.token_bytes(12))
            return await answered
    except OSError:  # TimeoutError is one
        return False
    finally:
        if transport:
            transport.close()


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


async def _allocate(url: IceUrl, username: str, credential: str, tls: ssl.SSLContext | None) -> Check:
    address, loop, begun = (url.host.strip("[]"), url.port), asyncio.get_running_loop(), time.monotonic()
    arguments = (address, username, credential, _LIFETIME, _LIFETIME)  # the latter for channels, of which it binds none
    transport: asyncio.Transport | asyncio.DatagramTransport
    client: TurnClientUdpProtocol | TurnClientTcpProtocol
    if url.transport == "udp":
        transport, client = await loop.create_datagram_endpoint(
            lambda: TurnClientUdpProtocol(*arguments), remote_addr=address
        )
    else:
        context = (tls or ssl.create_default_context()) if url.transport == "tls" else None
        transport, client = await loop.create_connection(
            lambda: TurnClientTcpProtocol(*arguments), *address, ssl=context
        )
    try:
        relayed, _ = await client.connect()
        seconds = time.monotonic() - begun
        with contextlib.suppress(TimeoutError):  # it answered; its end is not what was asked
            async with asyncio.timeout(_END_WITHIN):
                await client.delete()
    finally:
        transport.abort()  # a server may never answer the goodbye of TLS, and nobody waits for it
    # Over UDP two round trips; over TCP one more, over TLS two more (RFC 8446, section 2: one, and the connection's).
    return Check(seconds=seconds / {"udp": 2, "tcp": 3, "tls": 4}[url.transport], relayed=relayed)
