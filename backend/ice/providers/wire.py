"""The wire formats of each kind of provider: requests and answers. Pure.

A conversation is a generator: it yields requests, is sent the answers (parsed JSON), and returns the servers.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote

from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.shapes import Named, ShapeError, read_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request. Nearly every part may hold a secret, so none is shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)


Conversation: TypeAlias = Generator[Request, Any, Named]


def ask(provider: ConfiguredProvider, user: str) -> Conversation:
    """Request credentials, for `user` if the provider accepts a name. Raises `ShapeError`."""
    return _ASK[provider.kind](provider, user)


def revoke(provider: ConfiguredProvider, named: Named) -> list[Request]:
    """Return the requests that revoke what was issued: none if the provider cannot revoke."""
    if provider.kind != "cloudflare":
        return []
    users = dict.fromkeys(server.username for server in named.servers if server.username)
    return [
        Request(
            method="POST",
            url=f"{_cloudflare(provider)}/{quote(user, safe='')}/revoke",
            headers={"Authorization": f"Bearer {provider.secret}"},
        )
        for user in users
    ]


def _cloudflare(provider: ConfiguredProvider) -> str:
    return f"{provider.url}/v1/turn/keys/{provider.values['key_id']}/credentials"


def _ask_cloudflare(provider: ConfiguredProvider, _user: str) -> Conversation:
    answer = yield Request(
        method="POST",
        url=f"{_cloudflare(provider)}/generate-ice-servers",
        headers={"Authorization": f"Bearer {provider.secret}"},
        json={"ttl": provider.ttl},
    )
    return read_named(answer)


def _ask_twilio(provider: ConfiguredProvider, _user: str) -> Conversation:
    account = provider.values["account_sid"]
    answer = yield Request(
        method="POST",
        url=f"{provider.url}/2010-04-01/Accounts/{account}/Tokens.json",
        basic=(provider.values.get("key_sid", account), provider.secret),
        form={"Ttl": str(provider.ttl)},
    )
    return read_named(answer)


def _ask_metered(provider: ConfiguredProvider, _user: str) -> Conversation:
    issued = yield Request(
        method="POST",
        url=f"{provider.url}/api/v1/turn/credential",
        params={"secretKey": provider.secret},
        json={"expiryInSeconds": provider.ttl, "label": "ice-console"},
    )
    key = issued.get("apiKey") if isinstance(issued, Mapping) else None
    if not isinstance(key, str) or not key:
        raise ShapeError("it comes without an 'apiKey'")
    region = {"region": provider.values["region"]} if "region" in provider.values else {}
    answer = yield Request(method="GET", url=f"{provider.url}/api/v1/turn/credentials", params={"apiKey": key} | region)
    return read_named(answer)


def _ask_xirsys(provider: ConfiguredProvider, _user: str) -> Conversation:
    answer = yield Request(
        method="PUT",
        url=f"{provider.url}/_turn/{provider.values['channel']}",
        basic=(provider.values["ident"], provider.secret),
        json={"format": "urls", "expire": str(provider.ttl)},
    )
    return read_named(answer)


def _ask_turn_rest(provider: ConfiguredProvider, user: str) -> Conversation:
    """Ask as draft-uberti-behave-turn-rest-00, section 2.1, does; with `auth = "bearer"`, as Matrix clients do."""
    headers, parameters = {}, {}
    if provider.values.get("auth") == "bearer":
        headers = {"Authorization": f"Bearer {provider.secret}"}
    else:
        parameters = {"service": "turn", "username": user} | ({"key": provider.secret} if provider.secret else {})
    method = provider.values.get("method", "GET")
    answer = yield Request(
        method=method,
        url=provider.url,
        headers=headers,
        params=parameters if method == "GET" else {},
        form=parameters if method == "POST" else None,
    )
    return read_named(answer)


def _ask_http(provider: ConfiguredProvider, _user: str) -> Conversation:
    headers = {}
    if provider.secret:
        name = provider.values.get("header", "Authorization")
        headers = {name: provider.secret if "header" in provider.values else f"Bearer {provider.secret}"}
    answer = yield Request(method=provider.values.get("method", "GET"), url=provider.url, headers=headers)
    return read_named(answer)


_ASK = {
    "cloudflare": _ask_cloudflare,
    "twilio": _ask_twilio,
    "metered": _ask_metered,
    "xirsys": _ask_xirsys,
    "turn-rest": _ask_turn_rest,
    "http": _ask_http,
}
