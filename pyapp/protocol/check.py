"""The check of the network, between page and server: `GET /ice?check` and `POST /checks`."""

from dataclasses import dataclass
from typing import Any

from pyapp.protocol.ice import IceConfiguration, IceError, ice_configuration_from_json

MOST_CHECKED = 32
"""URLs that one check asks: each costs two connections of the browser, and two allocations."""

MAX_REPORT_BYTES = 64 * 1024
"""Of the body of `POST /checks`."""


@dataclass(frozen=True, slots=True)
class CheckServers:
    """The answer to `GET /ice?check`: as `GET /ice`, but with every URL, each with what the server itself found there.

    `seen` has a problem, or an empty text, by URL; a URL that was not asked is not in it.
    """

    configuration: IceConfiguration
    seen: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the body."""
        return self.configuration.to_json() | {"seen": self.seen}


def check_servers_from_json(value: Any) -> CheckServers:
    """Return what the body says, or raise `IceError`."""
    configuration = ice_configuration_from_json(value)
    seen = value.get("seen", {})
    if not isinstance(seen, dict) or not all(isinstance(problem, str) for problem in seen.values()):
        raise IceError("seen: must be an object of texts")
    return CheckServers(configuration, {str(url): problem for url, problem in seen.items()})
