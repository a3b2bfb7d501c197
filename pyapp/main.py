"""The composition root: builds the session, the shells and the runner, and connects them. No logic."""

import asyncio
import gc
import os
import time
import traceback
from itertools import chain
from typing import Any, Literal

from js import Math, console, performance, window

from pyapp.browser.constructor import is_firefox
from pyapp.browser.ffi import Listeners
from pyapp.browser.media import LocalMedia
from pyapp.browser.network import Network
from pyapp.browser.page.address import page_address, page_build, read_address, remembered_name, tab_key
from pyapp.browser.page.page import Page
from pyapp.browser.page.remembered import remembered_choices
from pyapp.browser.peers import PeerConnections
from pyapp.browser.signaling import Server
from pyapp.browser.tabs import Tabs
from pyapp.core.devices import Devices
from pyapp.core.media import Media
from pyapp.core.session import Session
from pyapp.shell.rehearsal import rehearse
from pyapp.shell.runner import Runner


def main() -> None:
    """Start the console."""
    performance.mark("console-imported")  # for `make bench-boot`
    address = read_address()
    policy: Literal["all", "relay"] = "relay" if address.policy == "relay" else "all"
    session = Session(
        participant=os.urandom(16).hex(),
        key=tab_key(),
        time_origin=float(performance.timeOrigin),
        invitation=address.invitation,
        policy=policy,
        is_firefox=is_firefox(),
        page=page_address(),
        media=Media(devices=Devices(remembered_choices())),
        display_name=remembered_name(),
        build=page_build(),
    )
    runner = Runner(
        session,
        clock=lambda: float(performance.now()) / 1000,
        wall=time.time,
        random=Math.random,
        report=_show_to_developers,
    )
    _report_what_nobody_handled(runner)
    page = Page(runner.emit, runner.fault)
    tabs = Tabs(runner.emit, runner.fault)
    server = Server(runner.emit, runner.fault, invitation=session.invitation, borrow=tabs.borrow)
    media = LocalMedia(runner.emit, runner.fault, show_local=page.show_local, show_remote=page.show_remote)
    peers = PeerConnections(runner.emit, runner.fault, media)
    runner.attach(server=server, peers=peers, media=media, tabs=tabs, screen=page)
    tabs.listen()
    Network(runner.emit, runner.fault)
    page.mark_ready()
    runner.defer(page.complete)
    runner.rehearse(chain(peers.rehearse(), rehearse()))
    # The runtime switched the collector off for the start. What is there by now stays: never look through it again.
    gc.freeze()
    gc.enable()


def _show_to_developers(error: BaseException) -> None:
    console.error("".join(traceback.format_exception(error)))


def _report_what_nobody_handled(runner: Runner) -> None:
    """Bring exceptions of tasks and of JavaScript to the one place where faults are reported."""

    def of_a_task(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        runner.fault(str(context.get("message", "task")), context.get("exception") or RuntimeError("no exception"))

    asyncio.get_running_loop().set_exception_handler(of_a_task)
    listeners = Listeners(runner.fault)
    listeners.add(window, "error", lambda event: runner.fault("window", RuntimeError(str(event.message))))
    listeners.add(window, "unhandledrejection", lambda event: runner.fault("promise", RuntimeError(str(event.reason))))


main()
