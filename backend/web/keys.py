"""What the parts of the application are found by, in `request.app`."""

from aiohttp import web

from backend.access.control import Access
from backend.access.limits import Buckets
from backend.access.proxies import Caller
from backend.cost.accounts import Accounts
from backend.cost.telling import Telling
from backend.ice.chain import Chain
from backend.ice.local_turn import LocalTurn
from backend.journal.writer import Journal
from backend.metrics.meters import Meters
from backend.settings import Settings
from backend.signaling.endpoint import Signaling
from backend.web import sessions
from backend.web.assets import Assets
from backend.web.complaints import Complaints
from backend.web.reloading import Current, Reloader

SETTINGS = web.AppKey("SETTINGS", Settings)
ASSETS = web.AppKey("ASSETS", Assets)
CURRENT = web.AppKey("CURRENT", Current)
JOURNAL = web.AppKey("JOURNAL", Journal)
ACCESS = web.AppKey("ACCESS", Access)
SIGNALING = web.AppKey("SIGNALING", Signaling)
CHAIN = web.AppKey("CHAIN", Chain)
ACCOUNTS = web.AppKey("ACCOUNTS", Accounts)
TELLING = web.AppKey("TELLING", Telling)
SESSIONS = web.AppKey("SESSIONS", sessions.Sessions)
COMPLAINTS = web.AppKey("COMPLAINTS", Complaints)
CHECKING = web.AppKey("CHECKING", Buckets)
METERS = web.AppKey("METERS", Meters)
CALLER = web.RequestKey("CALLER", Caller)
"""The client of a request, as our proxies report it."""
LOCAL_TURN = web.AppKey("LOCAL_TURN", LocalTurn)
RELOADER = web.AppKey("RELOADER", Reloader)
