"""The conversation, and the field for the next message."""

from collections.abc import Callable, Sequence
from typing import Any

from js import document

from pyapp.browser.page.dom import Dom
from pyapp.core.conversation import Message
from pyapp.core.events import Event, MessageSubmitted
from pyapp.view.console import Thread

SHOWN_MESSAGES = 200
"""The newest, which each message lays out anew. The earlier ones stay in the document, and are a button away."""
NEAR_THE_END = 8.0
"""CSS pixels from the newest message, within which the person reads the newest."""

_STATUS = {"sending": "Sending…", "delivered": "Delivered"}


class ThreadPanel:
    """Shows the messages of a page load, which only become more."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._thread = Thread()
        self._bubbles: list[Any] = []
        """Of the conversation, in its order."""
        self._undelivered: set[int] = set()
        """Places in the conversation of one's own messages that are not delivered."""
        self._earlier = 0
        """How many bubbles are not shown."""
        self._reads_newest = True
        dom.on("message-form", "submit", lambda _: self._submit())
        dom.on("message", "keydown", self._key)
        dom.on("message", "input", lambda _: self._fit())
        dom.on("thread", "scroll", lambda _: self._scrolled())
        dom.on("earlier", "click", lambda _: self._show_earlier())

    def draw(self, thread: Thread) -> None:
        """Show it."""
        self._thread = thread
        self._dom.write("send", "disabled", not thread.can_send)
        self._dom.write_problem("message-problem", thread.problem)
        self._show_messages(thread.messages)

    def _submit(self) -> None:
        field = self._dom.element("message")
        text = field.value
        if not self._thread.can_send or not text.strip():
            return
        self._emit(MessageSubmitted(text))
        field.focus()
        if not self._thread.problem:  # what was refused stays, to be changed
            field.value = ""
            field.style.height = ""

    def _key(self, event: Any) -> None:
        """Enter sends; with Shift, or while an input method composes, it is an ordinary key."""
        if event.key == "Enter" and not event.shiftKey and not event.isComposing:
            event.preventDefault()
            self._submit()

    def _fit(self) -> None:
        """Let the field grow with its text, up to the height that the style sheet allows."""
        field = self._dom.element("message")
        field.style.height = "auto"
        field.style.height = f"{field.scrollHeight + 2}px"

    def _show_messages(self, messages: Sequence[Message]) -> None:
        for place in [place for place in self._undelivered if messages[place].delivered]:
            self._show_status(place, is_delivered=True)
        if new := messages[len(self._bubbles) :]:
            for message in new:
                self._append(message)
            if new[-1].mine:
                self._go_to_newest()
            self._hide_earlier()

    def _append(self, message: Message) -> None:
        place = len(self._bubbles)
        bubble = document.createElement("li")
        bubble.textContent = message.text
        bubble.style.order = str(place)
        self._bubbles.append(bubble)
        if message.mine:
            bubble.append(document.createElement("span"))
            self._show_status(place, is_delivered=message.delivered)
        self._dom.element("sent" if message.mine else "messages").append(bubble)
        self._dom.write("thread-empty", "hidden", True)

    def _show_status(self, place: int, *, is_delivered: bool) -> None:
        status = "delivered" if is_delivered else "sending"
        bubble = self._bubbles[place]
        bubble.setAttribute("data-status", status)
        bubble.lastChild.textContent = _STATUS[status]
        (self._undelivered.discard if is_delivered else self._undelivered.add)(place)

    def _scrolled(self) -> None:
        # The thread is laid out from its end: there it is 0, and above it is less.
        self._reads_newest = self._dom.element("thread").scrollTop > -NEAR_THE_END

    def _go_to_newest(self) -> None:
        if not self._reads_newest:
            self._dom.element("thread").scrollTop = 0
            self._reads_newest = True

    def _hide_earlier(self) -> None:
        """Show only the newest messages, unless the person reads earlier ones now."""
        if self._reads_newest:
            self._show_from(max(len(self._bubbles) - SHOWN_MESSAGES, self._earlier))

    def _show_earlier(self) -> None:
        self._reads_newest = False  # and not before the person has gone back there
        self._show_from(max(self._earlier - SHOWN_MESSAGES, 0))
        if not self._earlier:
            self._dom.element("thread").focus()  # the button, which had it, is gone

    def _show_from(self, first: int) -> None:
        for place in range(*sorted((first, self._earlier))):
            self._bubbles[place].hidden = place < first
        self._earlier = first
        self._dom.write("earlier", "hidden", not first)
