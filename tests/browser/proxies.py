"""The proxies of `deploy/`, as Debian has them, with those very files, but for addresses, ports and certificates."""

import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, Certificate, free_port, program

NAMES = ("nginx", "apache", "haproxy", "caddy")
_FILES = {"nginx": "nginx.conf", "apache": "apache.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}
_PORTS = {  # how each file writes its ports, for http and https
    "nginx": ["listen {};", "listen [::]:{};", "listen {} ssl", "listen [::]:{} ssl"],
    "apache": ["<VirtualHost *:{}>"],
    "haproxy": ["bind :::{} v4v6"],
    "caddy": [],
}
_APACHE_MODULES = [
    "mpm_event",
    "authz_core",
    "socache_shmcb",
    "ssl",
    "proxy",
    "proxy_http",
    "proxy_wstunnel",
    "headers",
    "alias",
]
_NGINX = """
daemon off; pid {folder}/pid; error_log stderr warn; user root;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {site};
}}
"""
_APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog /dev/stderr
User www-data
Group www-data
Listen {http}
Listen {https}
{modules}
Include {site}
"""


@dataclass
class Proxy:
    """One that runs. `log` is what it says."""

    command: list[str]
    folder: Path
    port: int
    log: Path

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        environment = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "PATH": "/usr/sbin:/usr/bin"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail(f"{self.command[0]} does not answer:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop it at once, with every connection."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def proxy(name: str, *, backend: str, certificate: Certificate, folder: Path, more: str = "") -> Proxy:
    """Return the proxy `name` in front of `backend`, a host and a port; it is not started yet.

    `more` are further lines for nginx's server.
    """
    folder.chmod(0o755)
    http, https = free_port(), free_port()
    both = folder / "both.pem"
    both.write_text(certificate.certificate.read_text() + certificate.key.read_text())
    changes = {
        "127.0.0.1:8080": backend,
        "/etc/ssl/console/fullchain-and-privkey.pem": str(both),
        "/etc/ssl/console/fullchain.pem": str(certificate.certificate),
        "/etc/ssl/console/privkey.pem": str(certificate.key),
    }
    for form in _PORTS[name]:
        changes |= {form.format(80): form.format(http), form.format(443): form.format(https)}
    if name == "caddy":
        changes["console.example.org {"] = f"{{\nadmin off\nauto_https disable_redirects\n}}\n127.0.0.1:{https} {{"
    text = (ROOT / "deploy" / _FILES[name]).read_text()
    if more:
        changes["    absolute_redirect off;"] = f"    absolute_redirect off;\n    {more}"
    for old, new in changes.items():
        text = text.replace(old, new)
    site = folder / _FILES[name]
    site.write_text(text)
    main = folder / "main.conf"
    if name == "nginx":
        main.write_text(_NGINX.format(folder=folder, site=site))
        command = [program("nginx"), "-c", str(main), "-p", str(folder)]
    elif name == "apache":
        modules = "\n".join(
            f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so" for each in _APACHE_MODULES
        )
        main.write_text(_APACHE.format(folder=folder, site=site, modules=modules, http=http, https=https))
        command = [program("apache2"), "-d", str(folder), "-f", str(main), "-DFOREGROUND"]
    elif name == "haproxy":
        command = [program("haproxy"), "-f", str(site), "-db"]
    else:
        command = [program("caddy"), "run", "--config", str(site), "--adapter", "caddyfile"]
    return Proxy(command, folder, https, folder / "log")
