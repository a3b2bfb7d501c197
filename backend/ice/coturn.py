"""Our own coturn process, so that relaying works out of the box: started, monitored, restarted, stopped.

It lives as long as the server. Its secret is random for each run, and in no argument list and no file. It relays only
to what `interfaces.relay_network` allows.
"""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from backend.access.callers import host_name, is_loopback
from backend.ice.ice_servers import ConfiguredServer
from backend.ice.interfaces import RelayNetwork, find_program
from backend.settings import TlsFiles
from pyapp.protocol.ice import IceError, parse_ice_url

_log = logging.getLogger("ice_console.coturn")

HOW_TO_INSTALL = "coturn is not installed, so nothing can be relayed from here; install it with: apt install coturn"

_REALM = "ice-console"
_TTL = 3600
_PREFERRED_PORT, _PREFERRED_TLS_PORT = 3478, 5349  # RFC 8656, section 4
# Above Linux's ephemeral ports (32768 to 60999), so that no other program's socket is in the way.
_RELAY_PORTS = (61000, 61999)
_SESSION_QUOTA, _TOTAL_QUOTA = 100, 500
_READY_SECONDS = 5.0
_STOP_SECONDS = 2.0
_STEADY_SECONDS = 60.0  # after this long, a death is a new one, and the delay starts small again
_BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42"  # RFC 8489, section 5; a transaction id follows

_NOTABLE = re.compile(r"ALLOCATE|CREATE_PERMISSION|CHANNEL_BIND|: new,|: closed|usage:|rror|denied|Cannot")
_CHALLENGE = re.compile(r"user <>.*error 401")  # every client's first request, to learn the nonce (RFC 8489, 9.2.4)


class CoturnEndedError(Exception):
    """The process has ended by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoturnConfiguration:
    """How coturn is started."""

    program: str
    network: RelayNetwork
    port: int
    tls_port: int | None
    tls: TlsFiles | None
    secret: str = field(repr=False)

    def text(self) -> str:
        """Return the configuration file (turnserver(1))."""
        network = self.network
        lines = [
            *(f"listening-ip={address}" for address in network.listening),
            *(f"relay-ip={address}" for address in network.relaying),
            f"listening-port={self.port}",
            f"min-port={_RELAY_PORTS[0]}",
            f"max-port={_RELAY_PORTS[1]}",
            "use-auth-secret",
            f"static-auth-secret={self.secret}",
            f"realm={_REALM}",
            "userdb=:memory:",  # not the system's, whose users and rules are another server's
            "fingerprint",
            "stale-nonce=600",
            f"user-quota={_SESSION_QUOTA}",
            f"total-quota={_TOTAL_QUOTA}",
            "no-cli",
            "no-dtls",
            "no-tcp-relay",
            "no-multicast-peers",
            "no-rfc5780",
            "no-software-attribute",
            "relay-threads=2",
            "log-file=stdout",
            "simple-log",
            "verbose",
            # IPv6 as a whole stands for the addresses that map IPv4 ones too (CVE-2026-27624).
            "denied-peer-ip=0.0.0.0-255.255.255.255",
            "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            *(f"allowed-peer-ip={peer}" for peer in network.allowed),
        ]
        if network.is_loopback:
            lines.append("allow-loopback-peers")
        if self.tls and self.tls_port:
            lines += [f"cert={self.tls.certificate.absolute()}", f"pkey={self.tls.key.absolute()}"]
            lines += [f"tls-listening-port={self.tls_port}", "no-tlsv1", "no-tlsv1_1"]
        else:
            lines.append("no-tls")
        return "\n".join(lines) + "\n"

    def servers(self, host: str, *, name: str = "") -> tuple[ConfiguredServer, ...]:
        """Return the STUN and the TURN server under `name`, or that by which a caller reached us: the `Host` header.

        Nothing, if that caller cannot reach this coturn: it came through a proxy, and coturn serves loopback only.
        """
        if name:
            pass  # whoever said so knows
        elif is_loopback(name := host_name(host)):
            # Not 'localhost', which may mean the other address family, where coturn does not listen.
            name = next((text for text in self.network.listening if is_loopback(text)), self.network.listening[0])
        elif self.network.is_loopback:
            return ()
        if ":" in name:
            name = f"[{name}]"
        turn = [f"turn:{name}:{self.port}?transport={transport}" for transport in ("udp", "tcp")]
        if self.tls_port:
            turn.append(f"turns:{name}:{self.tls_port}?transport=tcp")
        try:
            parse_ice_url(turn[0])
        except IceError:
            return ()  # whatever stood in the header is no host
        return (
            ConfiguredServer(name="local", urls=(f"stun:{name}:{self.port}",)),
            ConfiguredServer(name="local", urls=tuple(turn), secret=self.secret, ttl=_TTL),
        )


def find_coturn() -> str | None:
    """Return the path of `turnserver`, or None."""
    return find_program("turnserver")


def coturn_configuration(program: str, *, network: RelayNetwork, tls: TlsFiles | None) -> CoturnConfiguration:
    """Return a configuration with a fresh secret, and ports that are free now."""
    port = free_port(network.listening, preferred=_PREFERRED_PORT)
    return CoturnConfiguration(
        program=program,
        network=network,
        port=port,
        tls_port=free_port(network.listening, preferred=_PREFERRED_TLS_PORT) if tls else None,
        tls=tls,
        secret=secrets.token_urlsafe(32),
    )


def free_port(addresses: Sequence[str], *, preferred: int) -> int:
    """Return `preferred` if it is free for UDP and TCP on all `addresses`, else another port that is.

    From then on it is this process's: another server on this machine is given none that coturn has not opened yet.
    """
    if _is_free(addresses, preferred) and _claim(preferred):
        return preferred
    while True:
        with _bound(addresses[0], 0, socket.SOCK_STREAM) as probe:
            port: int = probe.getsockname()[1]
        if _is_free(addresses, port) and _claim(port):
            return port


_claims: dict[int, socket.socket] = {}
"""By port: an abstract Unix socket, which exists once in a network namespace, and as long as this process."""


def _claim(port: int) -> bool:
    """Claim `port` among the servers of this machine.

    Two of them that start together would find the same one free. coturn's sockets are `SO_REUSEPORT`: both would open
    it without an error, and each would get half of the other's clients.
    """
    if port in _claims:
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0ice-console-turn-{port}")
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True


def _is_free(addresses: Sequence[str], port: int) -> bool:
    try:
        for address in addresses:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                _bound(address, port, kind).close()
    except OSError:
        return False
    return True


def _bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections in TIME_WAIT are no users
        probe.bind((address, port))
    except OSError:
        probe.close()
        raise
    return probe


class Coturn:
    """The process, and who watches it."""

    def __init__(self, configuration: CoturnConfiguration) -> None:
        self.configuration = configuration
        self.ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._changed = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        return self._process.pid if self._process else None

    async def change(self, configuration: CoturnConfiguration) -> None:
        """Switch to another configuration at once. Allocations end with the old process."""
        self.configuration = configuration
        self.ready.clear()
        self._changed.set()
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def renew_certificate(self) -> None:
        """Have it read its certificate and key again (turnserver(1): SIGUSR2); what goes on goes on."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGUSR2)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Coturn"]:
        """Run coturn, and wait a limited time for its first answer: the server is useful without it, too."""
        supervisor = asyncio.create_task(self._supervise())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_READY_SECONDS):
                    await self.ready.wait()
            yield self
        finally:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor

    async def _supervise(self) -> None:
        while True:
            # Each round is a series of deaths in quick succession, with a growing delay.
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type((CoturnEndedError, OSError)),
                wait=wait_exponential(multiplier=0.25, max=30.0),
                before_sleep=_log_delay,
                sleep=self._sleep,
            ):
                with attempt:
                    await self._run()

    async def _sleep(self, seconds: float) -> None:
        """Wait before the next try, unless the configuration changes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _run(self) -> None:
        """Run the process to its end. Raises `CoturnEndedError` if that came soon, and is not what was wanted."""
        self._changed.clear()
        started = time.monotonic()
        process = await self._start()
        if self._changed.is_set():  # while it was started
            process.terminate()
        probe = asyncio.create_task(self._probe())
        try:
            await self._log_output(process)
            code = await process.wait()
        finally:
            probe.cancel()
            await asyncio.wait([probe])
            self.ready.clear()
            await _stop(process)
            self._process = None
        if self._changed.is_set():
            return
        if time.monotonic() - started < _STEADY_SECONDS:
            raise CoturnEndedError(f"ended with code {code}")
        _log.warning("! coturn ended with code %s; starting it again", code)

    async def _start(self) -> asyncio.subprocess.Process:
        # The configuration holds the secret: it is in memory that only this process and coturn can read.
        descriptor = os.memfd_create("turnserver.conf")
        try:
            os.write(descriptor, self.configuration.text().encode())
            os.lseek(descriptor, 0, os.SEEK_SET)
            command = [self.configuration.program, "--pidfile=", "-c", f"/proc/self/fd/{descriptor}"]
            if setpriv := find_program("setpriv"):
                # Even if this process is killed in a way that it cannot notice, no coturn stays behind.
                command = [setpriv, "--pdeathsig", "TERM", "--", *command]
            self._process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=[descriptor],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        finally:
            os.close(descriptor)
        return self._process

    async def _log_output(self, process: asyncio.subprocess.Process) -> None:
        output = process.stdout or asyncio.StreamReader()  # a pipe, by the way it was started
        async for raw in output:
            line = raw.decode(errors="replace").strip().replace(self.configuration.secret, "[redacted]")
            text = re.sub(r"^\d+: : ", "", line)
            if text:
                is_notable = _NOTABLE.search(text) and not _CHALLENGE.search(text)
                _log.log(logging.INFO if is_notable else logging.DEBUG, "%s", text)

    async def _probe(self) -> None:
        """Set `ready` once coturn answers a STUN binding request."""
        loop = asyncio.get_running_loop()
        address = self.configuration.network.listening[0]
        while True:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.setblocking(False)
                with contextlib.suppress(OSError, TimeoutError):  # refused or unanswered: not there yet
                    probe.connect((address, self.configuration.port))
                    await loop.sock_sendall(probe, _BINDING_REQUEST + secrets.token_bytes(12))
                    # Not wait_for: in Python 3.11 a cancellation that meets a refusal would be lost in it.
                    async with asyncio.timeout(0.2):
                        await loop.sock_recv(probe, 1500)
                    _log.info("= coturn answers on %s port %s", address, self.configuration.port)
                    self.ready.set()
                    return
            await asyncio.sleep(0.05)


def _log_delay(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    delay = state.next_action.sleep if state.next_action else 0.0
    _log.warning("! coturn %s; starting it again in %.2f s", error, delay)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
