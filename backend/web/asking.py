"""What operators ask, and what pages ask for them: checks, invitations, the record."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from aiohttp import web

from backend.access.invitations import InvitationError
from backend.web import checks, invitations, sessions
from backend.web.admission import check_origin, identity, operator_of, problem
from backend.web.connecting import asker
from backend.web.keys import ACCESS, ACCOUNTS, ASSETS, CHAIN, CHECKING, JOURNAL, SESSIONS, SETTINGS
from backend.web.reaching import other_addresses
from backend.web.revoking import put_in_force_revocations
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.access import Access as AccessTold
from pyapp.protocol.signaling import Error
from pyapp.protocol.wire import MessageError

_log = logging.getLogger("ice_console.http")
_T = TypeVar("_T")


async def keep_check(request: web.Request) -> web.Response:
    """Keep a page's report on its network."""
    check_origin(request)
    try:
        session = (await asker(request)).session
        app = request.app
        return await checks.keep(request, app[JOURNAL], app[CHAIN].watch, session, app[CHECKING])
    except MessageError as error:
        raise problem(web.HTTPBadRequest, Error("malformed", str(error))) from None


async def find_check(request: web.Request) -> web.Response:
    """Return such a report."""
    await operator_of(request)
    return await checks.find(request.match_info["id"], request.app[JOURNAL])


async def invite(request: web.Request) -> web.Response:
    """Issue an invitation."""
    operator = await operator_of(request)
    try:
        return await invitations.invite(request, request.app[ACCESS], operator)
    except MessageError as error:
        raise problem(web.HTTPBadRequest, Error("malformed", str(error))) from None


async def list_invitations(request: web.Request) -> web.Response:
    """Return the invitations."""
    await operator_of(request)
    return invitations.listed(request.app[ACCESS])


async def tell_access(request: web.Request) -> web.Response:
    """Return what the caller may do. The status is 200 even if that is nothing, since asking is not an error."""
    check_origin(request)
    access = request.app[ACCESS]
    try:
        grant = access.check(
            request.headers.get(INVITATION_HEADER, "").strip(),
            "",
            address=request.remote or "",
            identity=identity(request),
        )
    except InvitationError as error:
        await asyncio.sleep(error.pause.delay)
        return invitations.told(AccessTold())
    addresses: tuple[str, ...] = ()
    if access.is_open or grant.role == "operator":  # a guest need not know this machine's networks
        settings, transport = request.app[SETTINGS], request.transport
        port = transport.get_extra_info("sockname")[1] if transport else settings.port
        addresses = await asyncio.to_thread(other_addresses, settings.hosts, port, is_secure=bool(settings.tls))
    return invitations.told(AccessTold(role=grant.role, is_open=access.is_open, addresses=addresses))


async def revoke(request: web.Request) -> web.Response:
    """Take an invitation back."""
    operator = await operator_of(request)
    answer = invitations.revoke(request.match_info["id"], request.app[ACCESS], operator)
    put_in_force_revocations(request.app)
    return answer


async def list_sessions(request: web.Request) -> web.Response:
    """Return the recorded sessions, or the page that shows them."""
    if sessions.wants_page(request):
        return sessions.page(request.app[ASSETS].document().groups, is_list=True)
    await operator_of(request)
    try:
        search, offset = sessions.asked(request)
    except MessageError as error:
        raise problem(web.HTTPBadRequest, Error("malformed", str(error))) from None
    prices = request.app[ACCOUNTS].current_prices()
    read = partial(request.app[SESSIONS].list, search=search, offset=offset, prices=prices)
    return sessions.told(await _from_record(read))


async def one_session(request: web.Request) -> web.Response:
    """Return a recorded session, or the page that shows it."""
    if sessions.wants_page(request):
        return sessions.page(request.app[ASSETS].document().groups, is_list=False)
    await operator_of(request)
    identifier = int(request.match_info["id"])
    prices = request.app[ACCOUNTS].current_prices()
    answer = partial(request.app[SESSIONS].answer, identifier, request.query.get("format", ""), prices=prices)
    try:
        response = await _from_record(answer)
    except MessageError as error:
        raise problem(web.HTTPBadRequest, Error("malformed", str(error))) from None
    if response is None:
        raise problem(web.HTTPNotFound, Error("unknown", "No such session is recorded."))
    return response


async def sessions_file(request: web.Request) -> web.Response:
    """Return what that page loads."""
    return sessions.file(request.match_info["file"])


async def _from_record(read: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(read)
    except sqlite3.Error as error:
        _log.error("! the record cannot be read: %s", error)
        raise problem(web.HTTPServiceUnavailable, Error("unavailable", "The record cannot be read now.")) from None
