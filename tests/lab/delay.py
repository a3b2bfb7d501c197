"""A line with delay, jitter and loss, for kernels without netem: TUN devices at both ends, this process between them.

`Line` decides when a packet comes out, and whether; it knows no clock. Run as a program (in the namespace of one end,
by `building.py`) the file is the line: it reads packets at one end and writes them at the other when their time has
come. Its standard input takes new settings while it runs, one JSON object a line; it answers each with a line.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import random
import select
import struct
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x0001 | 0x1000
_MTU = 1500
_QUEUE = 1000  # packets: Linux' own default for an interface (txqueuelen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """What a line does to a packet, the same in both directions."""

    ms: float = 0.0  # one way
    jitter_ms: float = 0.0  # up to so much more, evenly distributed
    loss: float = 0.0  # of packets, 0 to 1

    def __post_init__(self) -> None:
        """Refuse what no line does."""
        if self.ms < 0 or self.jitter_ms < 0 or not 0 <= self.loss <= 1:
            raise ValueError(f"no such line: {self}")


class Line:
    """One direction of a line: packets wait in order, as they do in a router's queue, so jitter never reorders."""

    def __init__(self, delay: Delay, *, rng: random.Random) -> None:
        self.delay = delay
        self._rng = rng
        self._queue: deque[tuple[float, bytes]] = deque()
        self._last = 0.0

    def put(self, packet: bytes, now: float) -> None:
        """Take a packet in, or lose it."""
        if len(self._queue) >= _QUEUE or (self.delay.loss and self._rng.random() < self.delay.loss):
            return
        wait = self.delay.ms
        if self.delay.jitter_ms:
            wait += self._rng.uniform(0, self.delay.jitter_ms)
        self._last = max(self._last, now + wait / 1000)
        self._queue.append((self._last, packet))

    def due(self) -> float | None:
        """Say when the next packet comes out."""
        return self._queue[0][0] if self._queue else None

    def take(self, now: float) -> list[bytes]:
        """Return the packets whose time has come."""
        packets = []
        while self._queue and self._queue[0][0] <= now:
            packets.append(self._queue.popleft()[1])
        return packets


def command(delay: Delay, near: str, far_namespace: str, far: str) -> list[str]:
    """Return the command of a line from device `near`, in the namespace it is started in, to `far` in another."""
    return [sys.executable, "-I", __file__, near, far_namespace, far, "--settings", settings(delay)]


def settings(delay: Delay) -> str:
    """Return what the program reads, without the newline."""
    return json.dumps(asdict(delay))


def main() -> None:
    """Be the line, until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("near")
    parser.add_argument("far_namespace")
    parser.add_argument("far")
    parser.add_argument("--settings", type=json.loads, required=True)
    args = parser.parse_args()
    near = _tun(args.near)
    _enter(args.far_namespace)
    far = _tun(args.far)
    delay = Delay(**args.settings)
    rng = random.Random(os.getpid())
    _say("ready")
    _carry({near: (far, Line(delay, rng=rng)), far: (near, Line(delay, rng=rng))})


def _carry(ends: dict[int, tuple[int, Line]]) -> None:
    sources = [sys.stdin.fileno(), *ends]
    while True:
        dues = [due for _, line in ends.values() if (due := line.due()) is not None]
        timeout = max(0.0, min(dues) - time.monotonic()) if dues else None
        readable, _, _ = select.select(sources, [], [], timeout)
        for source in readable:
            if source in ends:
                _read(source, ends[source][1])
            elif not _change([line for _, line in ends.values()]):
                return
        for target, line in ends.values():
            for packet in line.take(time.monotonic()):
                with contextlib.suppress(OSError):  # the other end is down: the packet is lost, as on any line
                    os.write(target, packet)


def _read(source: int, line: Line) -> None:
    """Take all that waits. A device that is down says so with an error, and has nothing."""
    with contextlib.suppress(OSError):
        while True:
            line.put(os.read(source, _MTU), time.monotonic())


def _change(lines: list[Line]) -> bool:
    """Take new settings; say whether to go on."""
    text = sys.stdin.readline()
    if not text:
        return False
    delay = Delay(**json.loads(text))
    for line in lines:
        line.delay = delay
    _say("changed")
    return True


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def _tun(name: str) -> int:
    """Attach to a TUN device of the namespace that this process is in (Linux, Documentation/networking/tuntap.rst)."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN_NO_PI))
    return device


def _enter(namespace: str) -> None:
    """Change this process's network namespace (os.setns came with Python 3.12)."""
    with Path("/run/netns", namespace).open("rb") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


if __name__ == "__main__":
    main()
