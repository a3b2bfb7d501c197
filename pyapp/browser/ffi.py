"""The border to JavaScript: every proxy and every JavaScript null is dealt with here.

Three rules keep proxies from leaking or dying early. Values come in through `plain()`, so that the rest of the program
sees Python only. Values go out through `jsobj()`, which copies: a raw dict or list would be a borrowed proxy, destroyed
when the call returns. Callbacks go out through `Listeners`, which keeps each proxy until it is detached.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from js import JSON, AbortController, Object
from pyodide.ffi import JsProxy, create_proxy, jsnull, to_js

OnError: TypeAlias = Callable[[str, Exception], None]
"""Told of an exception that a callback raised: where it happened (`click on #connect`), and the exception."""


def plain(value: Any) -> Any:
    """Return the Python counterpart of a JavaScript value: `None`, a scalar, or dicts and lists of them.

    `null` and `undefined` are `None`, inside an object too (a key whose value is `undefined` is left out). An object
    crosses as JSON, in one call, so what JSON leaves out (functions, inherited getters without `toJSON`) is left out:
    pick such fields first. An `RTCStatsReport` is a map: `plain(Object.fromEntries(report))`.
    """
    if value is jsnull:
        return None
    if isinstance(value, JsProxy):
        text = JSON.stringify(value)
        return None if text is None else json.loads(text)
    return value


def jsobj(value: Mapping[str, Any]) -> JsProxy:
    """Return a new JavaScript object with the entries of `value`, copied deeply, with no proxy in it."""
    return to_js(value, dict_converter=Object.fromEntries, create_pyproxies=False)


def promise_of(target: Any, method: str, *arguments: Any) -> Any:
    """Call a method that returns a promise, and return that promise, or `None` if the method returned nothing.

    Of a promise that a call returns Pyodide makes an asyncio future, whose callbacks come two turns of the browser's
    loop later. Of the value of a getter it does not: so the method is called as one.
    """
    bound = getattr(target, method).bind(target, *arguments)
    return Object.create(jsnull, jsobj({"promise": {"get": bound}})).promise


def when_settled(
    promise: Any, fulfilled: Callable[[Any], None], rejected: Callable[[Any], None], on_error: OnError
) -> None:
    """Call `fulfilled` or `rejected` with what comes of `promise`, in the same turn of the browser's loop.

    A task that awaits the promise would hear of it a turn or two later, after events that the browser sent after it;
    and so would callbacks of a promise that did not come through `promise_of`.
    """
    proxies: list[JsProxy] = []

    def guarded(callback: Callable[[Any], None]) -> JsProxy:
        def settled(value: Any) -> None:
            try:
                callback(value)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end in the browser's console only
                on_error("a promise", error)
            finally:
                for proxy in proxies:
                    proxy.destroy()

        proxies.append(create_proxy(settled))
        return proxies[-1]

    promise.then(guarded(fulfilled), guarded(rejected))


class Listeners:
    """Python callbacks on JavaScript event targets, detached together by `close()`.

    The browser reports an exception of an event handler to nobody but its console. Here it goes to `on_error`.
    """

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self._controller = AbortController.new()
        self._options = jsobj({})
        self._options.signal = self._controller.signal
        self._proxies: list[JsProxy] = []

    def add(self, target: Any, event: str, callback: Callable[[Any], object]) -> None:
        """Call `callback` with each `event` of `target` until `close()`."""
        target.addEventListener(event, self.callback(event, callback, target), self._options)

    def callback(self, event: str, callback: Callable[[Any], object], target: Any = None) -> JsProxy:
        """Return `callback` for JavaScript, to be called until `close()`; `event` and `target` say when it is."""

        def guarded(argument: Any) -> None:
            try:
                callback(argument)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end in the browser's console only
                self._on_error(event if target is None else f"{event} on {_name_of(target)}", error)

        self._proxies.append(create_proxy(guarded))
        return self._proxies[-1]

    def close(self) -> None:
        """Detach every callback and release it. Later calls do nothing."""
        self._controller.abort()
        while self._proxies:
            self._proxies.pop().destroy()


def _name_of(target: Any) -> str:
    identifier = getattr(target, "id", None)
    kind = target.constructor.name
    return f"{kind} #{identifier}" if isinstance(identifier, str) and identifier else str(kind)
