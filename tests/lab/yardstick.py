"""The yardstick's server: two files, the console's own `GET /ice`, and a WebSocket that passes on what it is given."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from backend.ice.choosing import ice_configuration
from backend.ice.ice_servers import ConfiguredServer, read_ice_servers
from tests.lab.servers import tls_context

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

_HERE = Path(__file__).parent
_SERVERS = web.AppKey("_SERVERS", tuple[ConfiguredServer, ...])
_ROOMS = web.AppKey("_ROOMS", dict[str, list[web.WebSocketResponse]])


def main() -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-cert", type=Path, required=True)
    parser.add_argument("--tls-key", type=Path, required=True)
    args = parser.parse_args()
    app = web.Application()
    app[_SERVERS] = read_ice_servers(args.config).servers
    app[_ROOMS] = {}
    app.add_routes(
        [
            web.get("/", _file("yardstick.html")),
            web.get("/yardstick.js", _file("yardstick.js")),
            web.get("/ice", _ice),
            web.get("/ws", _signaling),
        ]
    )
    web.run_app(
        app, host=args.host, port=args.port, ssl_context=tls_context(args.tls_cert, args.tls_key), access_log=None
    )


def _file(name: str) -> Handler:
    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_HERE / name, headers={"Cache-Control": "no-cache"})

    return serve


async def _ice(request: web.Request) -> web.Response:
    configured = request.app[_SERVERS]
    configuration = ice_configuration(configured, name=request.query["session"], now=time.time())
    return web.json_response(configuration.to_json(), headers={"Cache-Control": "no-store"})


async def _signaling(request: web.Request) -> web.WebSocketResponse:
    """Tell both when they are two, and pass on what each says; who came second is polite."""
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    session = request.query["session"]
    room = request.app[_ROOMS].setdefault(session, [])
    room.append(socket)
    if len(room) == 2:
        for polite, each in enumerate(room):
            await each.send_json({"start": True, "polite": bool(polite)})
    try:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:  # the heartbeat's own end
                continue
            for other in room:
                if other is not socket:
                    await other.send_str(message.data)
    finally:
        room.remove(socket)
        if not room:
            request.app[_ROOMS].pop(session, None)
    return socket


if __name__ == "__main__":
    main()
