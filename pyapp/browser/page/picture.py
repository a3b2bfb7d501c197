"""The far picture: full screen, in a small window of its own, and kept as a still."""

import asyncio
from collections.abc import Callable
from typing import Any

from js import URL, Date, document
from pyodide.ffi import JsException, create_once_callable, jsnull

from pyapp.browser.page.dom import Dom
from pyapp.view.media import NO_FULL_SCREEN, NO_WINDOW, Media

KEPT_FOR = 60.0
"""Seconds for which a still is kept: Firefox reads it some time after the click."""

_REFUSALS = ("TypeError", "NotAllowedError", "InvalidStateError")
"""Firefox refuses full screen after the small window has had the keyboard; any browser without a picture or a click."""


class PicturePanel:
    """Offers what this browser can do with a picture, while there is one."""

    def __init__(self, dom: Dom) -> None:
        self._dom = dom
        self._video = dom.element("remote-video")
        self._stage = dom.element("stage")
        may_fill = hasattr(self._stage, "requestFullscreen") and getattr(document, "fullscreenEnabled", False)
        has_full_screen = may_fill or hasattr(self._video, "webkitEnterFullscreen")
        dom.write("full-screen", "hidden", not has_full_screen)
        has_window = getattr(document, "pictureInPictureEnabled", False)
        dom.write("picture-in-picture", "hidden", not (has_window and hasattr(self._video, "requestPictureInPicture")))
        dom.on("full-screen", "click", self._guarded("full-screen", self._toggle_full_screen, NO_FULL_SCREEN))
        dom.on("picture-in-picture", "click", self._guarded("picture-in-picture", self._toggle_window, NO_WINDOW))
        dom.on("save-picture", "click", lambda _: self._save())
        dom.on(document, "fullscreenchange", lambda _: self._press("full-screen", on=self._is_full_screen))
        for event in ("enterpictureinpicture", "leavepictureinpicture"):
            dom.on("remote-video", event, lambda _: self._press("picture-in-picture", on=self._is_in_window))

    def draw(self, media: Media) -> None:
        """Leave full screen and window when the picture is gone: there is no way out of them on a phone otherwise."""
        if media.remote_video:
            return
        self._dom.write_problem("picture-problem", "")
        if self._is_full_screen:
            self._dom.run("full-screen", self._toggle_full_screen())
        if self._is_in_window:
            self._dom.run("picture-in-picture", self._toggle_window())

    @property
    def _is_full_screen(self) -> bool:
        return bool(getattr(document, "fullscreenElement", None))

    @property
    def _is_in_window(self) -> bool:
        return bool(getattr(document, "pictureInPictureElement", None))

    def _press(self, identifier: str, *, on: bool) -> None:
        self._dom.write(identifier, "aria-pressed", "true" if on else "false")

    def _guarded(self, where: str, work: Callable[[], Any], refused: str) -> Callable[[Any], None]:
        """Do `work` at a click, and say `refused` if the browser does not."""

        async def attempt() -> None:
            self._dom.write_problem("picture-problem", "")
            try:
                await work()
            except JsException as error:
                if error.name not in _REFUSALS:
                    raise
                self._dom.write_problem("picture-problem", refused)

        def begin(_: Any) -> None:
            self._dom.run(where, attempt())

        return begin

    async def _toggle_full_screen(self) -> None:
        if self._is_full_screen:
            await document.exitFullscreen()
        elif hasattr(self._stage, "requestFullscreen"):
            await self._stage.requestFullscreen()
        else:  # iPhones show nothing but a video in full
            self._video.webkitEnterFullscreen()

    async def _toggle_window(self) -> None:
        if self._is_in_window:
            await document.exitPictureInPicture()
        else:
            await self._video.requestPictureInPicture()

    def _save(self) -> None:
        canvas = document.createElement("canvas")
        canvas.width, canvas.height = self._video.videoWidth, self._video.videoHeight
        canvas.getContext("2d").drawImage(self._video, 0, 0)
        canvas.toBlob(create_once_callable(_download), "image/png")


def _download(blob: Any) -> None:
    if blob is jsnull:
        return  # there was no picture yet
    link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = f"picture {Date.new().toISOString()[:19].replace(':', '-')}.png"
    link.click()
    asyncio.get_running_loop().call_later(KEPT_FOR, URL.revokeObjectURL, link.href)
