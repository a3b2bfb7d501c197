"""The page's address, what this tab remembers, and a name for a new session."""

import contextlib
import json
import os
import re
from dataclasses import dataclass

from js import URL, Event, document, history, location, window
from pyodide.ffi import JsException

from pyapp.browser.ffi import plain
from pyapp.protocol.build import build_of
from pyapp.protocol.names import display_name

_TAB_KEY = "ice-console-tab"
_NAME = "ice-console-name"
_INVITATION = "ice-console-invitation"

# A suggested session name is three of these: easy to say on the phone, hard to meet by chance.
_FIRST = "amber bright calm clear early fair gentle golden green happy keen kind lively lucky mellow quiet"
_SECOND = "badger beacon birch brook cedar comet falcon harbor island lantern maple meadow otter river summit willow"


@dataclass(frozen=True, slots=True)
class Address:
    """What the page's address asks for: `/?session=NAME&autoconnect&check&policy=relay#invite=…`."""

    session: str
    autoconnect: bool
    check: bool
    policy: str
    invitation: str
    """It came in the fragment, so that no server log has it, and belongs in none of ours."""

    def __repr__(self) -> str:
        """Leave the invitation out, so that no log can have it by accident."""
        asked = f"autoconnect={self.autoconnect}, check={self.check}, policy={self.policy!r}"
        return f"Address(session={self.session!r}, {asked})"


def read_address() -> Address:
    """Read the page's address."""
    query = URL.new(location.href).searchParams
    return Address(
        session=plain(query.get("session")) or "",
        autoconnect=query.has("autoconnect"),
        check=query.has("check"),
        policy=plain(query.get("policy")) or "",
        invitation=invitation(),
    )


def keep_in_address(session: str) -> None:
    """Let a reload, and a copied address, lead back to this session."""
    url = URL.new(location.href)
    if plain(url.searchParams.get("session")) != session:
        url.searchParams.set("session", session)
        history.replaceState(None, "", url.href)


def invitation() -> str:
    """Return this tab's, or an empty text: runtime/page/boot.mjs has taken it out of the address."""
    return str(plain(window.invitation))


def take_invitation(given: str) -> None:
    """Let this tab have one, as if its link had been opened here."""
    window.invitation = given
    with contextlib.suppress(JsException):  # the person lets this site store nothing: then a reload has none
        window.sessionStorage.setItem(_INVITATION, given)
    window.dispatchEvent(Event.new("invitation"))


def page_build() -> str:
    """Return the build of the page, or an empty text if it does not say."""
    try:
        configuration = json.loads(document.querySelector('script[type="py"]').getAttribute("config"))
        return build_of(configuration["runtime"]["groups"])
    except (LookupError, TypeError, ValueError, JsException):
        return ""


def page_address() -> str:
    """Return the page's address without query and fragment."""
    return f"{location.origin}{location.pathname}"


def tab_key() -> str:
    """Return 32 random hexadecimal digits that stay the same while this tab is reloaded.

    They prove that the place of the page load before is ours to take. They are worth nothing anywhere else, and the
    tab forgets them when it is closed.
    """
    with contextlib.suppress(JsException):  # the person lets this site store nothing: then each load is a stranger
        stored = plain(window.sessionStorage.getItem(_TAB_KEY))
        if stored and re.fullmatch("[0-9a-f]{32}", stored):
            return str(stored)
    key = os.urandom(16).hex()
    keep_tab_key(key)
    return key


def keep_tab_key(key: str) -> None:
    """Let this tab have `key` from now on."""
    with contextlib.suppress(JsException):  # as above
        window.sessionStorage.setItem(_TAB_KEY, key)


def remembered_name() -> str:
    """Return what the person wanted to be called on this device, or an empty text."""
    with contextlib.suppress(JsException):  # the person lets this site store nothing
        return display_name(plain(window.localStorage.getItem(_NAME)) or "")
    return ""


def remember_name(name: str) -> None:
    """Keep it on this device."""
    with contextlib.suppress(JsException):
        window.localStorage.setItem(_NAME, name)


def suggested_session() -> str:
    """Return a name that is easy to say on the phone and hard to meet by chance: `calm-otter-417`."""
    first, second, high, low = os.urandom(4)
    words = _FIRST.split()[first % 16], _SECOND.split()[second % 16]
    return "-".join((*words, str(100 + (high * 256 + low) % 900)))
