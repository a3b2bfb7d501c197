"""The sockets of the server: one for each address that a `--host` means, all on one port."""

import contextlib
import errno
import socket
from collections.abc import Sequence

from backend.ice.interfaces import ANY, resolve_all
from backend.settings import StartError

_TRIES = 20
"""Tries to find a port that is free on all addresses, if port 0 was asked for."""
_BACKLOG = 1024
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of `hosts`, on `port`, or on one that is free if that is 0.

    Raises `StartError`.
    """
    means = {host: resolve_all(host) for host in hosts}
    every = list(dict.fromkeys(address for found in means.values() for address in found))
    wide = {ANY[address] for address in every if address in ANY}
    # Beside all addresses of a family, a single one of it would be taken already.
    addresses = [address for address in every if address in ANY or (6 if ":" in address else 4) not in wide]
    # A name may resolve to an address that this machine lacks: `localhost` is ::1, too, where there is no IPv6.
    optional = {address for found in means.values() if len(found) > 1 for address in found}
    for _ in range(_TRIES):
        with contextlib.ExitStack() as opened:
            chosen, sockets = port, []
            for address in addresses:
                try:
                    sockets.append(opened.enter_context(_bound(address, chosen)))
                except OSError as error:
                    if error.errno in _NOT_HERE and address in optional:
                        continue
                    if port == 0 and chosen and error.errno == errno.EADDRINUSE:
                        break
                    reason = error.strerror or "not possible"
                    raise StartError(f"cannot listen on {address} port {chosen}: {reason}") from None
                chosen = sockets[-1].getsockname()[1]
            else:
                if sockets:
                    opened.pop_all()
                    return sockets
                raise StartError(f"cannot listen on {', '.join(addresses)}: this machine has none of them")
    raise StartError(f"cannot listen on {', '.join(addresses)}: no port is free on all of them")


def _bound(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            # IPv4 has its own socket, so that clients keep their IPv4 addresses.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        name, _, zone = address.partition("%")
        listener.bind((name, port, 0, socket.if_nametoindex(zone)) if zone else (address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
