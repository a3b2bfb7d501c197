"""The lobby: the name of the session. The link for the other side is up to `page/invite.py`."""

from collections.abc import Callable

from pyapp.browser.page.address import keep_in_address, read_address, remember_name, remembered_name, suggested_session
from pyapp.browser.page.dom import Dom
from pyapp.core.events import ConnectExpected, ConnectRequested, Event, NameGiven, SessionEdited
from pyapp.protocol.names import display_name, session_name
from pyapp.view.console import Lobby


class LobbyPanel:
    """Asks for the session."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._lobby = Lobby()
        self._problem_read = False
        self._field = dom.element("session")
        self._field.value = self._field.value or read_address().session or suggested_session()
        keep_in_address(self._field.value)
        self._name_field = dom.element("name")
        self._name_field.value = remembered_name()
        dom.on("name", "change", lambda _: self._named())
        dom.on("session", "input", lambda _: self._edited())

    def take_clicks(self, *, at_once: bool, back_in: str) -> None:
        """Let Connect do something; `at_once`, or if this tab comes back to the session `back_in`, without a click."""
        self._dom.on("join", "submit", lambda _: self._submit())
        if at_once or (back_in and session_name(self._name) == back_in):
            self._emit(ConnectRequested(self._name, by_itself=True))
        else:
            self._emit(ConnectExpected(self._name))

    def draw(self, lobby: Lobby) -> None:
        """Show it."""
        self._lobby = lobby
        write = self._dom.write
        if lobby.session and (lobby.is_entered or not self._field.value):
            self._field.value = lobby.session
        write("lobby", "data-elsewhere", "true" if lobby.is_elsewhere else "false")
        write("session", "readOnly", lobby.is_entered)
        problem = "" if self._problem_read else lobby.problem
        self._dom.write_problem("session-problem", problem)
        write("session", "aria-invalid", "true" if problem else "false")
        write("session-name", "textContent", lobby.session)
        write("session-chip", "hidden", not lobby.is_entered)

    @property
    def _name(self) -> str:
        return str(self._field.value.strip())

    def _submit(self) -> None:
        self._problem_read = False
        self._emit(ConnectRequested(self._name))
        self.draw(self._lobby)  # the problem may be the one that was read before

    def _named(self) -> None:
        name = self._name_field.value = display_name(self._name_field.value)
        remember_name(name)
        self._emit(NameGiven(name))

    def _edited(self) -> None:
        """Keep the address in step with the field; a problem with the old name says nothing of the new."""
        keep_in_address(self._name)
        self._emit(SessionEdited(self._name))
        self._problem_read = True
        self.draw(self._lobby)
