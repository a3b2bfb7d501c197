"""The rows in which nothing happens to the network: nothing may be suspected or shown."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.lab.delay import Delay
from tests.lab.recovery_rows import GIVEN_UP, Row
from tests.lab.recovery_scene import last
from tests.lab.recovery_seen import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.lab.browser import End
    from tests.lab.recovery_scene import Scene

STALLS = (0.7, 1.2, 2.5, 5.0)
"""Seconds for which a page's script is blocked."""

_BETWEEN = 2.0  # seconds between two stalls
_HURRIED = 0.7  # seconds between two things that a person does, at least
_AT_EASE = 3.0  # the same at most
_PRESSED = 15_000  # ms until a button has done what it does
_PASTE = 20_000  # characters
_BUSY = 4  # processes


def _healthy(seconds: float) -> Callable[[Scene], None]:
    return lambda _: last(seconds)


def _hidden(seconds: float) -> Callable[[Scene], None]:
    def each_in_turn(scene: Scene) -> None:
        for end in scene.ends:
            end.page.evaluate("pump.hide(true)")
            last(seconds / 2)
            end.page.evaluate("pump.hide(false)")

    return each_in_turn


def _lossy(seconds: float) -> Callable[[Scene], None]:
    def lossy(scene: Scene) -> None:
        place = scene.places[0]
        scene.lab.network.shape(place, Delay(ms=scene.delay.ms, jitter_ms=30, loss=0.05))
        scene.undo.append(lambda: scene.lab.network.shape(place, scene.delay))
        last(seconds)

    return lossy


def _stalled(stalls: Sequence[float], *sides: int) -> Callable[[Scene], None]:
    """Block the scripts of the pages at the same moment; the network goes on."""

    def stalled(scene: Scene) -> None:
        for seconds in stalls:
            for side in sides:
                scene.ends[side].page.evaluate(f"pump.stall({seconds * 1000})")
            last(seconds + _BETWEEN)

    return stalled


def _press(name: str, *, on: bool) -> Callable[[End], None]:
    def press(end: End) -> None:
        button = end.page.locator(f"#{name}")
        if button.get_attribute("aria-pressed") != str(on).lower():
            button.click(timeout=_PRESSED)
            try:
                expect(button).to_have_attribute("aria-pressed", str(on).lower(), timeout=_PRESSED)
            except AssertionError as error:
                asked, busy = end.page.evaluate("pump.asked"), button.get_attribute("aria-busy")
                told = end.page.locator("#media-problem").text_content()
                raise AssertionError(f"#{name}, busy: {busy}, told: {told}, the browser was asked: {asked}") from error

    return press


def _comes_back(name: str) -> Callable[[End], None]:
    def come_back(end: End) -> None:
        expect(end.page.locator(f"#{name}")).to_have_attribute("aria-pressed", "true", timeout=_PRESSED)

    return come_back


def _look_at_diagnostics(end: End) -> None:
    end.page.locator("#diagnostics > summary").click(timeout=_PRESSED)


def _paste(end: End) -> None:
    if not end.page.evaluate(f"pump.paste({_PASTE})"):
        end.problems.append("a long message was not taken")


def _resize(width: int, height: int) -> Callable[[End], None]:
    return lambda end: end.page.set_viewport_size({"width": width, "height": height})


_DEEDS: tuple[Callable[[End], None], ...] = (
    _press("camera", on=False),
    _look_at_diagnostics,
    _press("camera", on=True),
    _paste,
    _press("microphone", on=False),
    _resize(390, 844),
    _press("microphone", on=True),
    _press("screen", on=True),
    _look_at_diagnostics,
    _resize(1280, 720),
    _press("screen", on=False),
    _comes_back("camera"),  # the screen took its place
)
"""What a person does with a page, in order; in the end everything is as it was."""


def _in_use(seconds: float) -> Callable[[Scene], None]:
    """Do all of it at one end and then at the other, again and again."""

    def in_use(scene: Scene) -> None:
        pace = min(max(seconds / (len(scene.ends) * len(_DEEDS)), _HURRIED), _AT_EASE)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for end in scene.ends:
                for deed in _DEEDS:
                    deed(end)
                    last(pace)

    return in_use


def _beside_busy_processes(seconds: float) -> Callable[[Scene], None]:
    def beside(scene: Scene) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(_BUSY):
                process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
                stack.callback(process.wait)
                stack.callback(process.kill)
            _in_use(seconds)(scene)

    return beside


def false_alarms(seconds: float, *, stalls: Sequence[float] = STALLS) -> list[Row]:
    """Return the rows in which nothing happens, for so many seconds, and nothing may; `stalls` are seconds, too."""
    lasting = [
        Row(
            name=name,
            title=f"{title}, {seconds:.0f} s",
            act=act(seconds),
            modes=frozenset(Mode) if shows else frozenset({Mode.CAMERA}),
            shows=shows,
            restarts=False,
            problems=GIVEN_UP,
            seconds=seconds,
            of_yardstick=False,
        )
        for name, title, act, shows in (
            ("healthy", "nothing happens", _healthy, True),
            ("hidden", "hidden tab, at each end in turn", _hidden, True),
            ("lossy", "5 % loss and 30 ms jitter", _lossy, True),
            ("in-use", "in use", _in_use, False),
            ("busy", f"in use, beside {_BUSY} busy processes", _beside_busy_processes, False),
        )
    ]
    standing = [
        Row(
            name=name,
            title=f"{whose} stand{s} still for {', '.join(f'{length:g}' for length in stalls)} s",
            act=_stalled(stalls, *sides),
            restarts=False,
            problems=GIVEN_UP,
            seconds=sum(length + _BETWEEN for length in stalls),
            bound=max(stalls) + 2,
            of_yardstick=False,
        )
        for name, whose, s, sides in (
            ("stall-own", "the first page", "s", (0,)),
            ("stall-far", "the second page", "s", (1,)),
            ("stall-both", "both pages", "", (0, 1)),
        )
    ]
    return [*lasting, *standing]
