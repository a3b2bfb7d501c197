"""The console's server as one that can be killed in the middle of a session, and started again."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Self

from tests.lab.servers import ROOT, Served
from tests.lab.sites import NAMES, SERVER, LabError

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.lab.lab import Lab

STANDBY_PORT = 8443  # of a second one, whose pages keep a standby path

_PATIENCE = 60.0  # seconds until it has said that it is ready, on a busy machine


class ConsoleServer:
    """`server.py` in the inner internet: a context manager. On another port than 443 it is out of reach for some."""

    def __init__(self, lab: Lab, config: Path, *, port: int = 443) -> None:
        self._lab = lab
        self._log = lab.network.directory / f"recovery-server-{port}.log"
        journal = lab.network.directory / f"recovery-journal-{port}"
        files = lab.certificates
        self._argv = [
            *("env", "PYTHONUNBUFFERED=1", sys.executable, str(ROOT / "server.py"), "--open", "--turn", "off"),
            *(
                "--config",
                str(config),
                "--journal",
                str(journal),
                "--keep-addresses",
                "--host",
                NAMES[SERVER],
                "--port",
                str(port),
            ),
            *("--tls-cert", str(files.certificate), "--tls-key", str(files.key)),
        ]
        self.served = Served(
            subject="console", address=f"https://{NAMES[SERVER]}:{port}/", offered=frozenset(), journal=journal
        )
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """End it, and say so if it was in trouble."""
        if self._process:
            self._lab.network.stop(self._process)
        text = self._log.read_text()
        if "Traceback" in text and exc[0] is None:
            raise LabError(f"the server was in trouble:\n{text}")

    def start(self) -> None:
        """Start it, and wait until it serves."""
        said = self._log.read_text().count("https://") if self._log.exists() else 0
        with self._log.open("a") as output:
            self._process = self._lab.network.popen(SERVER, self._argv, stdout=output)
        pause = threading.Event()
        for _ in range(int(_PATIENCE / 0.02)):
            if self._log.read_text().count("https://") > said:
                return
            if self._process.poll() is not None:
                break
            pause.wait(0.02)
        raise LabError(f"the server did not become ready:\n{self._log.read_text()}")

    def kill(self) -> None:
        """End it at once, as a power cut does: the kernel closes its sockets, nobody says goodbye."""
        if self._process:
            self._lab.network.stop(self._process, how=signal.SIGKILL)
            self._process = None
