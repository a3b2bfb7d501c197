"""The conversation, and the field for the next message."""

from collections.abc import Callable, Sequence
from typing import Any

from js import Date, Intl, document, window
from pyodide.ffi import to_js

from pyapp.browser.ffi import jsobj
from pyapp.browser.page.dom import Dom
from pyapp.core.conversation import Message
from pyapp.core.events import Event, MessageSentAgain, MessageSubmitted
from pyapp.view.company import LEFT, SEND_AGAIN
from pyapp.view.console import Thread
from pyapp.view.links import Span, spans
from pyapp.view.words import MESSAGE_STATUS

SHOWN_MESSAGES = 200
"""The newest, which each message lays out anew. The earlier ones stay in the document, and are a button away."""
COMPOSING = 229
"""The `keyCode` of a key that an input method takes for itself (UI Events, section "Legacy key attributes")."""
NEAR_THE_END = 8.0
"""CSS pixels from the newest message, within which the person reads the newest."""


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
        self._stranded: tuple[tuple[int, ...], bool] = ((), False)
        """Places of those that were for somebody who left, and whether they can go to somebody else."""
        self._earlier = 0
        """How many bubbles are not shown."""
        self._reads_newest = True
        self._clock = Intl.DateTimeFormat.new(to_js([]), jsobj({"timeStyle": "short"}))
        self._calendar = Intl.DateTimeFormat.new(to_js([]), jsobj({"dateStyle": "full", "timeStyle": "medium"}))
        self._is_composing = False
        """Whether what the input method shows in the field is not decided yet."""
        dom.on("message", "compositionstart", lambda _: self._composes(is_so=True))
        dom.on("message", "compositionend", lambda _: self._composes(is_so=False))
        dom.on("thread", "copy", self._copy)
        dom.on("sent", "click", self._clicked)
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
        self._show_stranded(thread)

    def _show_stranded(self, thread: Thread) -> None:
        if (thread.stranded, thread.can_send_again) == self._stranded:
            return
        before, self._stranded = self._stranded[0], (thread.stranded, thread.can_send_again)
        for place in set(before) - set(thread.stranded):
            self._show_status(place, is_delivered=thread.messages[place].delivered)
        for place in thread.stranded:
            bubble = self._bubbles[place]
            bubble.setAttribute("data-status", "left")
            bubble.lastChild.textContent = LEFT
            if thread.can_send_again:
                bubble.lastChild.append(self._offer(place))

    def _offer(self, place: int) -> Any:
        button = document.createElement("button")
        button.type = "button"
        button.className = "again"
        button.textContent = SEND_AGAIN
        button.dataset.place = str(place)
        return button

    def _clicked(self, event: Any) -> None:
        if place := getattr(event.target.dataset, "place", ""):
            self._emit(MessageSentAgain(int(place)))

    def _submit(self) -> None:
        field = self._dom.element("message")
        if self._is_composing:  # the button was pressed: let the input method end, or it writes the text once more
            field.blur()
        text = field.value
        if not self._thread.can_send or not text.strip():
            return
        self._emit(MessageSubmitted(text))
        field.focus(jsobj({"preventScroll": True}))  # or a button that is just being pressed moves away
        if not self._thread.problem:  # what was refused stays, to be changed
            field.value = ""
            field.style.height = ""

    def _key(self, event: Any) -> None:
        """Enter sends; with Shift, or while an input method composes, it is an ordinary key.

        Safari ends the composition before it tells of the Enter that ended it: only its `keyCode` says what it was.
        """
        is_taken = event.isComposing or event.keyCode == COMPOSING
        if event.key == "Enter" and not event.shiftKey and not is_taken:
            event.preventDefault()
            self._submit()

    def _composes(self, *, is_so: bool) -> None:
        self._is_composing = is_so

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
        bubble.append(*(_node(span) for span in spans(message.text)))
        bubble.dir = "auto"
        bubble.style.order = str(place)
        self._stamp(bubble)
        self._bubbles.append(bubble)
        if message.mine:
            bubble.append(document.createElement("span"))
            self._show_status(place, is_delivered=message.delivered)
        self._dom.element("sent" if message.mine else "messages").append(bubble)
        self._dom.write("thread-empty", "hidden", True)

    def _stamp(self, bubble: Any) -> None:
        """Say when the message came, or was written. The style sheet shows it: the text stays the message alone."""
        now = Date.new()
        bubble.setAttribute("data-time", self._clock.format(now))
        bubble.title = self._calendar.format(now)

    def _copy(self, event: Any) -> None:
        """Copy several messages as they are shown, one below the other: the document has theirs and ours apart."""
        selection = window.getSelection()
        ends = [_place(node) for node in (selection.anchorNode, selection.focusNode)]
        if None in ends or ends[0] == ends[1]:
            return  # within one, the browser copies what is selected
        first, last = sorted(place for place in ends if place is not None)
        text = "\n".join(message.text for message in self._thread.messages[first : last + 1])
        event.clipboardData.setData("text/plain", text)
        event.preventDefault()

    def _show_status(self, place: int, *, is_delivered: bool) -> None:
        status = "delivered" if is_delivered else "sending"
        bubble = self._bubbles[place]
        bubble.setAttribute("data-status", status)
        bubble.lastChild.textContent = MESSAGE_STATUS[status]
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


def _node(span: Span) -> Any:
    """Return a text, or a link that opens in a tab of its own, which learns nothing of this one."""
    if not span.href:
        return span.text
    link = document.createElement("a")
    link.href = span.href
    link.target = "_blank"
    link.rel = "noopener noreferrer"
    link.textContent = span.text
    return link


def _place(node: Any) -> int | None:
    """Return the place in the conversation of the bubble that `node` is in."""
    if not node:
        return None
    element = node if hasattr(node, "closest") else node.parentElement
    bubble = element.closest("#thread li")
    return int(bubble.style.order) if bubble else None
