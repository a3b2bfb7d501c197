"""`GET /` and `GET /assets/…`: the page, and what it loads."""

import asyncio

from aiohttp import hdrs, web

from backend.web.assets import choose_encoding
from backend.web.keys import ASSETS, SETTINGS

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; style-src 'self';"
    " img-src 'self' data:; font-src 'self'; media-src 'self' blob: mediastream:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self),"
    " clipboard-write=(self), fullscreen=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=(),"
    " serial=(), hid=(), midi=(), browsing-topics=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


# Not left to the system's MIME tables: browsers refuse modules and WebAssembly of any other type.
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".marshal": "application/octet-stream",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}


async def page(request: web.Request) -> web.StreamResponse:
    """Return the page."""
    document = await asyncio.to_thread(request.app[ASSETS].document)
    # Never stale: the browser caches it, but revalidates each time, and it is not sent again if unchanged.
    # No transformation: the security policy would block what a proxy inserts, and the tag would be wrong.
    headers = {"Cache-Control": "no-cache, no-transform", "Vary": "Accept-Encoding"}
    if tokens := request.app[SETTINGS].origin_trials:
        headers["Origin-Trial"] = ", ".join(tokens)
    encoding = choose_encoding(_accepted(request), document.compressed)
    etag = f"{document.tag}-{encoding}" if encoding else document.tag
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        headers |= {"Content-Type": _CONTENT_TYPES[".html"]} | ({"Content-Encoding": encoding} if encoding else {})
        response = web.Response(body=document.compressed[encoding] if encoding else document.body, headers=headers)
    response.etag = etag
    return response


async def asset(request: web.Request) -> web.StreamResponse:
    """Return a file that the page loads."""
    assets = request.app[ASSETS]
    path = assets.file(request.match_info["path"])
    if path is None or path.suffix not in _CONTENT_TYPES:
        raise web.HTTPNotFound
    headers = {
        "Content-Type": _CONTENT_TYPES[path.suffix],
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    compressed = assets.compressed(path)
    if encoding := choose_encoding(_accepted(request), compressed):
        path = compressed[encoding]
        headers["Content-Encoding"] = encoding
    return web.FileResponse(path, headers=headers)  # it answers conditional and partial requests


def _accepted(request: web.Request) -> str:
    return ",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
