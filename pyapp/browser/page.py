"""The page: puts a `View` on the screen, and forwards what the person does as events. It decides nothing.

Everything that is written goes through `_write`, which touches the DOM only when the value changed: `render` is called
after every event. The markup is in `index.html`; what is shown in which state is in there too (`data-in`), and in the
style sheet.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from js import (
    URL,
    Date,
    URLSearchParams,
    document,
    encodeURIComponent,
    history,
    location,
    navigator,
    performance,
    window,
)
from pyodide.ffi import JsException

from pyapp.browser.ffi import Listeners, OnError, plain
from pyapp.core.events import (
    ConnectExpected,
    ConnectRequested,
    Event,
    HangUpRequested,
    MediaKind,
    MediaToggled,
    MessageSubmitted,
    PageClosing,
    RestartRequested,
    SessionEdited,
)
from pyapp.view.console import Fact, LogLine, MediaControl, Message, View

MAX_LOG_LINES = 500
LOG_AFTER = 1.0
"""Seconds after which the log is drawn that nobody has opened: connecting is many lines, and must not wait for them."""
SHOWN_MESSAGES = 200
"""The newest, which each message lays out anew. The earlier ones stay in the document, and are a button away."""
NEAR_THE_END = 8.0
"""CSS pixels from the newest message, within which the person reads the newest."""
_TAB_KEY = "ice-console-tab"
COPIED_FOR = 2.0
"""Seconds for which a copy button says how it went."""

_MEDIA_KINDS: tuple[MediaKind, ...] = ("camera", "microphone", "screen")
_COPY_LABELS = {"copy-link": "Copy link", "copy-diagnostics": "Copy diagnostics"}
_CONNECT_LABELS = {"failed": "Try again", "closed": "Connect again"}
_MESSAGE_STATUS = {"sending": "Sending…", "delivered": "Delivered"}
_MARKS = {">": "sent", "<": "received", "=": "state", "!": "trouble"}

# A suggested session name is three of these: easy to say on the phone, hard to meet by chance.
_FIRST = "amber bright calm clear early fair gentle golden green happy keen kind lively lucky mellow quiet"
_SECOND = "badger beacon birch brook cedar comet falcon harbor island lantern maple meadow otter river summit willow"


@dataclass(frozen=True, slots=True)
class Address:
    """What the page's address asks for: `/?session=NAME&autoconnect&policy=relay#invite=…`."""

    session: str
    autoconnect: bool
    policy: str
    invitation: str
    """Bound to the session; it is in the fragment so that no server log has it, and belongs in none of ours."""

    def __repr__(self) -> str:
        """Leave the invitation out, so that no log can have it by accident."""
        return f"Address(session={self.session!r}, autoconnect={self.autoconnect}, policy={self.policy!r})"


class Page:
    """The document in front of the person.

    `emit` is called for each thing that the person does. `on_error` is told of every exception of a handler.
    """

    def __init__(self, emit: Callable[[Event], None], on_error: OnError) -> None:
        self._emit = emit
        self._on_error = on_error
        self._view = View(state="loading")
        self._elements: dict[str, Any] = {"body": document.body, "document": document}
        self._written: dict[tuple[str, str], str | bool] = {}
        self._facts: tuple[str, ...] = ()
        self._bubbles: list[Any] = []
        """Of the conversation, in its order."""
        self._undelivered: set[int] = set()
        """Places in the conversation of one's own messages that are not delivered."""
        self._earlier = 0
        """How many bubbles are not shown."""
        self._reads_newest = True
        self._newest_log_line = 0
        self._log_drawing: asyncio.Task[None] | None = None
        self._problem_read = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._copying: dict[str, asyncio.Task[None]] = {}
        self._listeners = Listeners(on_error)
        self._listen()
        field = self._element("session")
        field.value = field.value or self.address().session or suggested_session()
        self._keep_in_address(field.value)
        self._show_link()

    # The address.

    @staticmethod
    def address() -> Address:
        """Read the page's address."""
        query = URL.new(location.href).searchParams
        fragment = URLSearchParams.new(location.hash[1:])
        return Address(
            session=plain(query.get("session")) or "",
            autoconnect=query.has("autoconnect"),
            policy=plain(query.get("policy")) or "",
            invitation=plain(fragment.get("invite")) or "",
        )

    @staticmethod
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
            window.sessionStorage.setItem(_TAB_KEY, key)
            return key
        return os.urandom(16).hex()

    def link_for(self, session: str) -> str:
        """Return the address to give to the other side: that of this page for `session`, invitation included."""
        invitation = self.address().invitation
        fragment = f"#invite={encodeURIComponent(invitation)}" if invitation else ""
        return f"{location.origin}{location.pathname}?session={encodeURIComponent(session)}{fragment}"

    def _keep_in_address(self, session: str) -> None:
        """Let a reload, and a copied address, lead back to this session."""
        url = URL.new(location.href)
        if plain(url.searchParams.get("session")) != session:
            url.searchParams.set("session", session)
            history.replaceState(None, "", url.href)

    # What the runner asks for.

    def mark_ready(self) -> None:
        """Say that the page takes clicks, and hand on the request that came first: a kept click, or `autoconnect`."""
        self._on("join", "submit", lambda _: self._submit_session())
        performance.mark("console-ready")  # until here runtime/page/boot.mjs keeps the click
        root = document.documentElement
        clicked = root.hasAttribute("data-pending-connect")
        root.removeAttribute("data-pending-connect")
        if clicked or self.address().autoconnect:
            self._submit_session()
        else:
            self._emit(ConnectExpected(self._element("session").value.strip()))

    def render(self, view: View) -> None:
        """Put `view` on the screen."""
        before, self._view = self._view, view
        controls_changed = _controls(before) != _controls(view)
        focused = document.activeElement if controls_changed else None
        self._show_state(view)
        if _session_part(view) != _session_part(before):
            self._show_session(view)
        if view.facts != before.facts:
            self._show_facts(view.facts)
        if view.media != before.media:
            self._show_media(view.media)
        if len(view.messages) > len(self._bubbles) or view.delivered_count != before.delivered_count:
            self._show_messages(view.messages)
        if view.log is not before.log:
            self._show_log_soon()
        if controls_changed:
            self._keep_focus(focused)

    def show_remote_stream(self, stream: Any) -> None:
        """Play the other side's `MediaStream`, or nothing when it is `None`."""
        self._element("remote-video").srcObject = stream
        if stream is None:
            self._write("play", "hidden", True)
        else:
            self._run("play", self._play())

    def show_local_stream(self, stream: Any) -> None:
        """Show one's own `MediaStream`, or nothing when it is `None`."""
        self._element("local-video").srcObject = stream

    # What the person does.

    def _listen(self) -> None:
        on = self._on
        on("session", "input", lambda _: self._session_edited())
        on("link", "focus", lambda _: self._element("link").select())
        on("copy-link", "click", lambda _: self._copy("copy-link", self._element("link").value))
        on("hangup", "click", lambda _: self._emit(HangUpRequested()))
        on("restart-ice", "click", lambda _: self._emit(RestartRequested()))
        for kind in _MEDIA_KINDS:
            on(kind, "click", self._media_toggle(kind))
        on("message-form", "submit", lambda _: self._submit_message())
        on("message", "keydown", self._message_key)
        on("message", "input", lambda _: self._fit_message())
        on("diagnostics", "toggle", lambda _: self._show_log_soon())
        on("thread", "scroll", lambda _: self._thread_scrolled())
        on("earlier", "click", lambda _: self._show_earlier())
        on("copy-diagnostics", "click", lambda _: self._copy("copy-diagnostics", self._diagnostics()))
        on("play", "click", lambda _: self._run("play", self._play()))
        self._listeners.add(window, "pagehide", lambda _: self._emit(PageClosing()))

    def _media_toggle(self, kind: MediaKind) -> Callable[[Any], None]:
        return lambda _: self._emit(MediaToggled(kind))

    def _on(self, identifier: str, event: str, callback: Callable[[Any], object]) -> None:
        self._listeners.add(self._element(identifier), event, callback)

    def _submit_session(self) -> None:
        self._problem_read = False
        self._emit(ConnectRequested(self._element("session").value.strip()))

    def _session_edited(self) -> None:
        """Keep the address and the link in step with the field; a problem with the old name says nothing of the new."""
        name = self._element("session").value.strip()
        self._keep_in_address(name)
        self._emit(SessionEdited(name))
        self._problem_read = True
        self._show_session(self._view)

    def _submit_message(self) -> None:
        field = self._element("message")
        text = field.value
        if not self._view.can_send or not text.strip():
            return
        self._emit(MessageSubmitted(text))
        field.focus()
        if not self._view.message_problem:  # what was refused stays, to be changed
            field.value = ""
            field.style.height = ""

    def _message_key(self, event: Any) -> None:
        """Enter sends; with Shift, or while an input method composes, it is an ordinary key."""
        if event.key == "Enter" and not event.shiftKey and not event.isComposing:
            event.preventDefault()
            self._submit_message()

    def _fit_message(self) -> None:
        """Let the field grow with its text, up to the height that the style sheet allows."""
        field = self._element("message")
        field.style.height = "auto"
        field.style.height = f"{field.scrollHeight + 2}px"

    # Parts of the screen.

    def _show_state(self, view: View) -> None:
        for name, value in (
            ("data-state", view.state),
            ("data-path", view.path),
            ("data-local-candidate", view.local_candidate),
            ("data-remote-candidate", view.remote_candidate),
            ("data-protocol", view.protocol),
            ("data-relay-protocol", view.relay_protocol),
            ("data-ice-generation", str(view.ice_generation)),
        ):
            self._write("body", name, value)
        self._write("status", "data-level", view.level)
        self._write("headline", "textContent", view.headline)
        self._write("detail", "textContent", view.detail)
        self._write("cause", "textContent", view.cause)
        self._write("cause-box", "hidden", not view.cause)
        for name, shown in (
            ("data-remote-video", view.remote_video),
            ("data-remote-audio", view.remote_audio),
            ("data-local-video", view.local_video),
        ):
            self._write("stage", name, "true" if shown else "false")
        self._write("connect", "disabled", not view.can_connect)
        self._write("connect-label", "textContent", _CONNECT_LABELS.get(view.state, "Connect"))
        self._write("hangup", "disabled", not view.can_hang_up)
        self._write("restart-ice", "disabled", not view.can_restart)
        self._write("send", "disabled", not view.can_send)
        self._write("media-problem", "textContent", view.media_problem)
        self._write("media-problem", "hidden", not view.media_problem)
        self._write("message-problem", "textContent", view.message_problem)
        self._write("message-problem", "hidden", not view.message_problem)
        near = view.relay_protocol or view.protocol
        self._write("leg-direct", "textContent", view.protocol.upper())
        self._write("leg-near", "textContent", near.upper())
        self._write("leg-far", "textContent", view.protocol.upper())
        parts = (view.headline, view.session, "ICE Console")
        self._write("document", "title", " · ".join(part for part in parts if part))

    def _show_session(self, view: View) -> None:
        field = self._element("session")
        if view.session and (view.can_hang_up or not field.value):
            field.value = view.session
        self._write("session", "readOnly", view.can_hang_up)
        problem = "" if self._problem_read else view.session_problem
        self._write("session-problem", "textContent", problem)
        self._write("session-problem", "hidden", not problem)
        self._write("session", "aria-invalid", "true" if problem else "false")
        self._write("session-name", "textContent", view.session)
        self._write("session-chip", "hidden", not view.can_hang_up)
        self._show_link()

    def _show_link(self) -> None:
        session = self._element("session").value.strip()
        link = self.link_for(session) if session else ""
        self._write("link", "value", link)
        self._write("copy-link", "disabled", not link)

    def _show_facts(self, facts: Sequence[Fact]) -> None:
        identifiers = tuple(fact.id for fact in facts)
        if identifiers != self._facts:
            self._facts = identifiers
            self._element("facts").replaceChildren(*(self._fact_row(fact.id) for fact in facts))
            self._write("facts", "hidden", not facts)
            self._write("facts-empty", "hidden", bool(facts))
        for fact in facts:
            self._write(f"fact-{fact.id}-label", "textContent", fact.label)
            self._write(f"fact-{fact.id}", "textContent", fact.value)

    def _fact_row(self, identifier: str) -> Any:
        row, term, value = (document.createElement(name) for name in ("div", "dt", "dd"))
        term.id, value.id = f"fact-{identifier}-label", f"fact-{identifier}"
        for element in (term, value):
            self._elements[element.id] = element
            self._written.pop((element.id, "textContent"), None)
        row.append(term, value)
        return row

    def _show_media(self, media: Sequence[MediaControl]) -> None:
        controls = {control.kind: control for control in media}
        for kind in _MEDIA_KINDS:
            control = controls.get(kind)
            self._write(kind, "disabled", control is None)
            self._write(kind, "aria-pressed", "true" if control and control.on else "false")
            self._write(kind, "aria-busy", "true" if control and control.busy else "false")
            if control:
                self._write(f"{kind}-label", "textContent", control.label)

    def _show_messages(self, messages: Sequence[Message]) -> None:
        """Show what is new: the conversation of a page load only grows."""
        for place in [place for place in self._undelivered if messages[place].delivered]:
            self._show_message_status(place, is_delivered=True)
        if new := messages[len(self._bubbles) :]:
            for message in new:
                self._append_message(message)
            if new[-1].mine:
                self._go_to_newest()
            self._hide_earlier()

    def _append_message(self, message: Message) -> None:
        place = len(self._bubbles)
        bubble = document.createElement("li")
        bubble.textContent = message.text
        bubble.style.order = str(place)
        self._bubbles.append(bubble)
        if message.mine:
            bubble.append(document.createElement("span"))
            self._show_message_status(place, is_delivered=message.delivered)
        self._element("sent" if message.mine else "messages").append(bubble)
        self._write("thread-empty", "hidden", True)

    def _show_message_status(self, place: int, *, is_delivered: bool) -> None:
        status = "delivered" if is_delivered else "sending"
        bubble = self._bubbles[place]
        bubble.setAttribute("data-status", status)
        bubble.lastChild.textContent = _MESSAGE_STATUS[status]
        (self._undelivered.discard if is_delivered else self._undelivered.add)(place)

    def _thread_scrolled(self) -> None:
        # The thread is laid out from its end: there it is 0, and above it is less.
        self._reads_newest = self._element("thread").scrollTop > -NEAR_THE_END

    def _go_to_newest(self) -> None:
        if not self._reads_newest:
            self._element("thread").scrollTop = 0
            self._reads_newest = True

    def _hide_earlier(self) -> None:
        """Show only the newest messages, unless the person reads earlier ones now."""
        if self._reads_newest:
            self._show_from(max(len(self._bubbles) - SHOWN_MESSAGES, self._earlier))

    def _show_earlier(self) -> None:
        self._reads_newest = False  # and not before the person has gone back there
        self._show_from(max(self._earlier - SHOWN_MESSAGES, 0))
        if not self._earlier:
            self._element("thread").focus()  # the button, which had it, is gone

    def _show_from(self, first: int) -> None:
        for place in range(*sorted((first, self._earlier))):
            self._bubbles[place].hidden = place < first
        self._earlier = first
        self._write("earlier", "hidden", not first)

    def _show_log_soon(self) -> None:
        if self._element("diagnostics").open:
            self._show_log(self._view.log)
        elif self._log_drawing is None:
            self._log_drawing = self._run("log", self._show_log_later())

    async def _show_log_later(self) -> None:
        await asyncio.sleep(LOG_AFTER)
        self._log_drawing = None
        self._show_log(self._view.log)

    def _show_log(self, log: Sequence[LogLine]) -> None:
        if not log or log[0].number < self._newest_log_line:
            self._element("log").replaceChildren()
            self._newest_log_line = 0
        new = []
        for line in log[:MAX_LOG_LINES]:
            if line.number <= self._newest_log_line:
                break
            new.append(self._log_row(line))
        if not new:
            return
        self._newest_log_line = log[0].number
        rows = self._element("log")
        rows.prepend(*new)
        while rows.childElementCount > MAX_LOG_LINES:
            rows.lastElementChild.remove()
        self._write("log-count", "textContent", str(rows.childElementCount))

    def _log_row(self, line: LogLine) -> Any:
        template = self._element("log-line-with-detail" if line.detail else "log-line")
        row = template.content.firstElementChild.cloneNode(True)
        mark, time, text = row.children
        if line.detail:
            text, detail = text.children
            detail.textContent = line.detail
        row.setAttribute("data-mark", line.mark)
        row.className = "" if line.number % 2 else "even"
        mark.textContent = line.mark
        mark.title = _MARKS[line.mark]
        time.textContent = _clock(line.at)
        text.textContent = line.text
        return row

    def _keep_focus(self, focused: Any) -> None:
        """Give the keyboard a place to go on from, when the control that had it went away."""
        gone = getattr(focused, "disabled", False) or focused.getClientRects().length == 0
        if not focused.id or not gone:
            return
        view = self._view
        if focused.id == "send":
            self._element("message").focus()
        elif view.state == "waiting":
            self._element("copy-link").focus()
        elif view.can_connect:
            self._element("connect").focus()
        else:
            self._element("status-text").focus()

    # Copying and playing, which the browser may refuse.

    def _run(self, where: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, a task must not keep it to itself
                self._on_error(where, error)

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _copy(self, identifier: str, text: str) -> None:
        if earlier := self._copying.get(identifier):
            earlier.cancel()
        self._copying[identifier] = self._run(identifier, self._copy_and_say(identifier, text))

    async def _copy_and_say(self, identifier: str, text: str) -> None:
        copied = await _copy_to_clipboard(text)
        outcome = "Copied" if copied else "Copying was refused"
        self._write("announcement", "textContent", outcome)
        self._write(identifier, "data-copied", "true" if copied else "false")
        self._write(f"{identifier}-label", "textContent", outcome)
        await asyncio.sleep(COPIED_FOR)
        self._write("announcement", "textContent", "")
        self._write(identifier, "data-copied", "")
        self._write(f"{identifier}-label", "textContent", _COPY_LABELS[identifier])

    def _diagnostics(self) -> str:
        """Return what the page shows about the connection as text, to be passed on. The invitation is not in it."""
        view = self._view
        state = (view.headline, view.detail, view.cause)
        facts = (f"{fact.label}: {fact.value}" for fact in view.facts)
        log = (f"{_clock(line.at)} {line.mark} {line.text} {line.detail}".rstrip() for line in view.log)
        title = f"ICE Console, session {view.session or '(none)'}, {Date.new().toISOString()}"
        return "\n".join((title, navigator.userAgent, "", *filter(None, state), "", *facts, "", *log, ""))

    async def _play(self) -> None:
        """Play the other side, or offer a button for it: before a first click the browser may refuse to make sound."""
        try:
            await self._element("remote-video").play()
        except JsException as error:
            if error.name == "AbortError":  # another stream took its place, and is played by a call of its own
                return
            if error.name != "NotAllowedError":
                raise
            self._write("play", "hidden", False)
        else:
            self._write("play", "hidden", True)

    # The DOM.

    def _element(self, identifier: str) -> Any:
        if identifier not in self._elements:
            self._elements[identifier] = document.getElementById(identifier)
        return self._elements[identifier]

    def _write(self, identifier: str, name: str, value: str | bool) -> None:
        """Set a property, or a `data-` or `aria-` attribute, of an element, unless it was set to this before."""
        key = (identifier, name)
        if self._written.get(key) == value:
            return
        self._written[key] = value
        if name.startswith(("data-", "aria-")):
            self._element(identifier).setAttribute(name, value)
        else:
            setattr(self._element(identifier), name, value)


def suggested_session() -> str:
    """Return a name that is easy to say on the phone and hard to meet by chance: `calm-otter-417`."""
    first, second, high, low = os.urandom(4)
    words = _FIRST.split()[first % 16], _SECOND.split()[second % 16]
    return "-".join((*words, str(100 + (high * 256 + low) % 900)))


async def _copy_to_clipboard(text: str) -> bool:
    """Copy `text`, and return whether it worked. Without TLS there is no `navigator.clipboard`, only the old way."""
    if clipboard := getattr(navigator, "clipboard", None):
        try:
            await clipboard.writeText(text)
        except JsException as error:
            if error.name != "NotAllowedError":
                raise
        else:
            return True
    focused = document.activeElement
    field = document.createElement("textarea")
    field.className = "unseen"
    field.value = text
    document.body.append(field)
    field.select()
    copied = bool(document.execCommand("copy"))
    field.remove()
    focused.focus()
    return copied


def _controls(view: View) -> tuple[object, ...]:
    return view.state, view.can_connect, view.can_hang_up, view.can_restart, view.can_send


def _session_part(view: View) -> tuple[object, ...]:
    return view.session, view.session_problem, view.can_hang_up


def _clock(milliseconds: float) -> str:
    """Return the local time of day, to the millisecond."""
    time = Date.new(milliseconds)
    return f"{time.toTimeString()[:8]}.{int(milliseconds % 1000):03}"
