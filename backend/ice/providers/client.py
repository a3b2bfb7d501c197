"""HTTP requests to providers. Error messages quote no part of a request, since most parts may hold a secret."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.providers.wire import Request, ask, revoke
from backend.ice.shapes import Named, ShapeError, read_named, read_seconds

_MAX_BYTES = 64 * 1024
"""Largest answer, in bytes."""


class ProviderError(Exception):
    """A provider did not return servers: the message says why, without secrets. `wish` is `Retry-After` in seconds."""

    def __init__(self, message: str, *, wish: float = 0.0) -> None:
        super().__init__(message)
        self.wish = wish


Deadline: TypeAlias = Callable[[float], asyncio.Timeout]
"""Limits what it encloses to some seconds."""


async def issue(
    http: aiohttp.ClientSession, provider: ConfiguredProvider, user: str, *, deadline: Deadline = asyncio.timeout
) -> Named:
    """Return what the provider issues for `user`. Raises `ProviderError`."""
    if provider.kind == "file":
        return await asyncio.to_thread(_read_file, provider)
    try:
        async with deadline(provider.timeout):
            return await _converse(http, provider, user)
    except TimeoutError:
        raise ProviderError(f"no answer within {provider.timeout} s") from None
    except ShapeError as error:
        raise ProviderError(f"its answer is of no use: {error}") from None


async def end(http: aiohttp.ClientSession, provider: ConfiguredProvider, named: Named) -> None:
    """Have what was issued revoked. Raises `ProviderError`."""
    for request in revoke(provider, named):
        try:
            async with asyncio.timeout(provider.timeout):
                await _send(http, request)
        except TimeoutError:
            raise ProviderError(f"no answer within {provider.timeout} s") from None


async def _converse(http: aiohttp.ClientSession, provider: ConfiguredProvider, user: str) -> Named:
    conversation = ask(provider, user)
    request = next(conversation)
    while True:
        body = await _send(http, request)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):  # a UnicodeDecodeError is one; a page of a proxy in between, perhaps
            raise ProviderError("it answers with what is not JSON") from None
        try:
            request = conversation.send(answer)
        except StopIteration as done:
            named: Named = done.value
            return named


async def _send(http: aiohttp.ClientSession, request: Request) -> bytes:
    """Return the body of the answer."""
    headers = dict(request.headers) | {"Accept": "application/json"}
    if request.basic:
        headers["Authorization"] = aiohttp.encode_basic_auth(*request.basic)
    given: dict[str, Any] = {
        "headers": headers,
        "params": dict(request.params) or None,
        "json": request.json,
        "data": None if request.form is None else dict(request.form),
        "proxy": _proxy(request.url),
    }
    try:
        # A redirect could send the secret to a host that the operator did not choose.
        async with http.request(request.method, request.url, allow_redirects=False, **given) as response:
            if not 200 <= response.status < 300:
                raise ProviderError(_status(response.status), wish=_wish(response))
            body = await response.content.read(_MAX_BYTES + 1)
            while len(body) <= _MAX_BYTES and (more := await response.content.read(_MAX_BYTES)):
                body += more
            if len(body) > _MAX_BYTES:
                raise ProviderError(f"its answer is longer than {_MAX_BYTES} bytes")
            return body
    except aiohttp.ClientProxyConnectionError:
        raise ProviderError("the proxy in the environment (HTTPS_PROXY or HTTP_PROXY) cannot be reached") from None
    except aiohttp.ClientHttpProxyError as error:
        raise ProviderError(f"the proxy in the environment (HTTPS_PROXY) answers with HTTP {error.status}") from None
    except aiohttp.ClientConnectorCertificateError:
        raise ProviderError("its certificate is not valid for its name, or not trusted here") from None
    except aiohttp.ClientConnectorDNSError:
        raise ProviderError("its name is not known (DNS)") from None
    except aiohttp.ClientConnectorError as error:
        raise ProviderError(f"it cannot be reached: {error.strerror or 'no connection'}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:  # their messages may contain the URL with its query
        raise ProviderError(f"the connection failed: {type(error).__name__}") from None


def _proxy(url: str) -> str | None:
    """Return the proxy for `url` by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl and others read them.

    aiohttp could, but would also take passwords from a `.netrc`, in place of the provider's secret.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    scheme, separator, _ = proxy.partition("://")
    if separator and scheme.lower() not in ("http", "https"):
        raise ProviderError(f"the proxy in the environment is '{scheme}://…': only http:// and https:// are possible")
    return proxy if separator else f"http://{proxy}"


_MEANINGS = {401: "the secret is refused", 403: "the secret is refused", 404: "no such address there", 429: "too often"}


def _status(status: int) -> str:
    meaning = _MEANINGS.get(status, "a redirect, which is not followed" if 300 <= status < 400 else "")
    return f"it answers with HTTP {status}" + (f": {meaning}" if meaning else "")


def _wish(response: aiohttp.ClientResponse) -> float:
    return read_seconds(response.headers.get("Retry-After", "")) or 0.0


def _read_file(provider: ConfiguredProvider) -> Named:
    path = provider.path
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
            age = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError as error:
        raise ProviderError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > _MAX_BYTES:
        raise ProviderError(f"{path}: is longer than {_MAX_BYTES} bytes")
    try:
        named = read_named(json.loads(text.decode("utf-8-sig")))
    except ShapeError as error:
        raise ProviderError(f"{path}: {error}") from None
    except (ValueError, RecursionError):
        raise ProviderError(f"{path}: is not JSON") from None
    if named.lifetime is None:
        return named
    if (left := named.lifetime - max(age, 0.0)) <= 0:  # the lifetime counts from when the file was written
        raise ProviderError(f"{path}: its credentials have expired")
    return replace(named, lifetime=left)
