"""Inviting: the link for the other side, and the panel about it."""

from collections.abc import Callable, Sequence
from typing import Any

from js import Array, Date, document, encodeURIComponent, navigator
from pyodide.ffi import JsException

from pyapp.browser.ffi import jsobj
from pyapp.browser.page.copying import CopyButton
from pyapp.browser.page.dom import Dom
from pyapp.core.events import (
    AddressChosen,
    Event,
    InvitationRequested,
    InviteClosed,
    InviteOpened,
    LinkWanted,
    RevocationRequested,
)
from pyapp.view.inviting import COPY, NO_CODE, REVOKE, REVOKE_NOW, UNTIL, Invite, Row, revocation

QUIET = 4
"""Modules of margin around a QR code (ISO/IEC 18004, section 9.1)."""


class InvitePanel:
    """Shows the link, in the lobby and in a dialog, with its QR code and the invitations."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._invite = Invite()
        self._pictured = ""
        """The link that the QR code shows."""
        self._dialog = dom.element("invite-panel")
        self._copies = tuple(CopyButton(dom, name, COPY, self._link) for name in ("copy-link", "invite-copy"))
        for name in ("link", "invite-link"):
            dom.on(name, "focus", self._selected(name))
        for event in ("pointerenter", "focus"):  # what a click will copy is there by then
            dom.on("copy-link", event, lambda _: emit(LinkWanted()))
        dom.on("invite", "click", lambda _: self._open())
        dom.on("invite-close", "click", lambda _: self._dialog.close())
        dom.on("invite-panel", "click", self._clicked)
        dom.on("invite-panel", "close", lambda _: emit(InviteClosed()))
        dom.on("invite-share", "click", lambda _: dom.run("invite-share", self._share()))
        dom.on("invite-new", "submit", lambda _: self._issue())
        dom.on("invite-address", "change", lambda event: emit(AddressChosen(str(event.target.value))))
        dom.on("invitations", "click", self._revoke)
        dom.on("invitations", "focusout", self._spare)
        if getattr(navigator, "share", None):
            dom.write("invite-share", "hidden", False)

    def draw(self, invite: Invite) -> None:
        """Show it."""
        before, self._invite = self._invite, invite
        write = self._dom.write
        for name in ("link", "invite-link"):
            write(name, "value", invite.link)
            write(name, "placeholder", invite.placeholder)
        for name in ("copy-link", "invite-copy", "invite"):
            write(name, "disabled", not invite.session)
        write("invite-share", "disabled", not invite.link)
        write("invite-session", "textContent", invite.session)
        write("invite-note", "textContent", invite.note)
        write("invite-until", "textContent", _moment(invite.expires) if invite.expires else "")
        for name in ("invite-notice", "link-notice", "invite-problem"):
            self._dom.write_problem(name, invite.problem if name == "invite-problem" else invite.notice)
        write("invite-operators", "hidden", not invite.may_issue)
        write("invite-issue", "disabled", invite.is_busy)
        if invite.addresses != before.addresses:
            self._dom.element("invite-address").replaceChildren(*(_option(*address) for address in invite.addresses))
            write("invite-address-row", "hidden", not invite.addresses)
        if invite.addresses:
            self._dom.element("invite-address").value = invite.address
        if invite.rows != before.rows:
            self._show_rows(invite.rows)
        if invite.is_settled:
            for copy in self._copies:
                copy.text_came()
        if self._dialog.open:
            self._picture()
            if before.is_busy and not invite.is_busy:
                self._dialog.scrollTop = 0  # on a phone the new link is out of sight

    def _link(self) -> str:
        if not self._invite.is_settled:
            self._emit(LinkWanted())
        return self._invite.link if self._invite.is_settled else ""

    def _selected(self, name: str) -> Callable[[Any], None]:
        def focused(_: Any) -> None:
            self._emit(LinkWanted())
            self._dom.element(name).select()

        return focused

    def _open(self) -> None:
        self._dialog.showModal()
        self._emit(InviteOpened())
        if self._dom.element("invite-qr").hidden:
            self._pictured = ""  # it did not come the last time
        self._picture()

    def _clicked(self, event: Any) -> None:
        """Close the dialog at a click beside it: such a click is on the dialog itself, and on nothing in it."""
        if event.target.id == "invite-panel":
            box = self._dialog.getBoundingClientRect()
            if not (box.left <= event.clientX <= box.right and box.top <= event.clientY <= box.bottom):
                self._dialog.close()

    def _issue(self) -> None:
        name = self._dom.element("invite-name")
        self._emit(InvitationRequested(name.value.strip(), int(self._dom.element("invite-ttl").value)))
        name.value = ""

    async def _share(self) -> None:
        """Hand the link to the system's share sheet, which the person may close again."""
        try:
            await navigator.share(jsobj({"title": document.title, "url": self._invite.link}))
        except JsException as error:
            if error.name != "AbortError":
                raise

    # The QR code.

    def _picture(self) -> None:
        link = self._invite.link
        if link == self._pictured:
            return
        self._pictured = link
        self._dom.write("invite-qr", "hidden", True)
        self._dom.write_problem("invite-qr-none", "")
        if link:
            self._dom.run("the QR code", self._draw_code(link))

    async def _draw_code(self, link: str) -> None:
        from console_runtime import import_module  # only there in the page

        try:
            module = await import_module("qr", "qrcode.mjs")
        except JsException:
            self._dom.write_problem("invite-qr-none", NO_CODE)
            raise
        if link != self._pictured:
            return  # another one by now
        code = module.qrcode(0, "L")  # the smallest that holds it: on a screen nothing is smudged
        code.addData(link)
        code.make()
        image = self._dom.element("invite-qr")
        image.src = f"data:image/svg+xml,{encodeURIComponent(code.createSvgTag(4, QUIET * 4))}"
        self._dom.write("invite-qr", "hidden", False)

    # The invitations.

    def _show_rows(self, rows: Sequence[Row]) -> None:
        self._dom.element("invitations").replaceChildren(*(self._row(row) for row in rows))

    def _row(self, row: Row) -> Any:
        line = document.createElement("li")
        about = f"{row.about} {_moment(row.made)}" if row.made else row.about
        for name, text in (("b", row.name), ("span", about), ("time", f"{UNTIL} {_moment(row.expires)}")):
            part = document.createElement(name)
            part.textContent = text
            line.append(part)
        button = document.createElement("button")
        button.type = "button"
        button.className = "button"
        button.textContent = REVOKE
        button.setAttribute("aria-label", revocation(row.name, about))
        button.dataset.id = row.id
        line.append(button)
        return line

    def _revoke(self, event: Any) -> None:
        """Take an invitation back at the second click: whoever came in with it is shown the door."""
        button = event.target
        identifier = getattr(button.dataset, "id", "")
        if not identifier:
            return
        if getattr(button.dataset, "asked", ""):
            button.disabled = True
            self._emit(RevocationRequested(str(identifier)))
            return
        button.dataset.asked = "true"
        button.textContent = REVOKE_NOW

    def _spare(self, event: Any) -> None:
        button = event.target
        if getattr(button.dataset, "asked", "") and not button.disabled:
            button.dataset.asked = ""
            button.textContent = REVOKE


def _option(address: str, label: str) -> Any:
    option = document.createElement("option")
    option.value, option.textContent = address, label
    return option


def _moment(seconds: int) -> str:
    """Return a time as the person is used to read it, without the year: invitations are short-lived."""
    options = {"weekday": "short", "day": "numeric", "month": "short", "hour": "2-digit", "minute": "2-digit"}
    return str(Date.new(seconds * 1000).toLocaleString(Array.new(), jsobj(options)))  # no language: the browser's own
