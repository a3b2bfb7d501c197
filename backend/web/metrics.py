"""`GET /metrics`: who may ask, and the answer."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

HOW_TO_ALLOW = "Name your network in [access] metrics, such as metrics = ['10.0.0.0/8'].\n"


def exposition(request: web.Request, registry: CollectorRegistry) -> web.Response:
    """Return all metrics in the format that the client prefers."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def may_ask(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Return whether `address` is in one of `networks`."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)
