"""Part of the page's library: makes the dataclasses that the build has prepared, without what `@dataclass` does for it.

`@dataclass(slots=True)` looks through the annotations, writes the methods as text, and makes every class twice, since
slots can only be given to a new one. In WebAssembly that took three quarters of the time to import `pyapp/`. What comes
of it depends only on the sources, so `record.py` notes it when the build imports them, as a `Plan`. Here the class is
made once, with its slots and methods; the decorator then finds it made. A class without a plan is left to it.

What differs from the decorator's class: `__dataclass_fields__` is computed when it is first asked for, which for most
classes is never, and the annotations of `__init__` are not there.
"""

import builtins
import dataclasses
from types import SimpleNamespace

TYPE_CHECKING = False  # known to mypy; this Python evaluates annotations only if somebody asks (PEP 649)
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, TypeAlias

    Plan: TypeAlias = tuple[
        CodeType, tuple[str, ...], tuple[bool, ...], dict[str, Any], tuple[str, ...], tuple[str, ...]
    ]
    """How a class is made: the function that returns its methods, their names, the decorator's parameters, attributes
    to add, the fields that the class declares, and what else it declares (`InitVar`, `ClassVar`)."""

_library: Any = dataclasses
_build_class = builtins.__build_class__
_process_class = _library._process_class  # noqa: SLF001 - replaced below, since the library offers no other way
_Function: Any = type(lambda: None)
_DEFAULT = "__dataclass_dflt_"
"""How the library's argument with the default of a field begins; two underscores follow the name."""
_GIVEN = {
    "__dataclass_HAS_DEFAULT_FACTORY__": _library._HAS_DEFAULT_FACTORY,  # noqa: SLF001 - as the library passes it
    "__dataclass_builtins_object__": object,
    "__dataclasses_recursive_repr": _library.recursive_repr,
    "FrozenInstanceError": dataclasses.FrozenInstanceError,
    "cls": None,  # the class itself: filled in once it is made
}
"""The other arguments with which the library has its methods made."""

plans: dict[str, Plan] = {}
"""By `MODULE:QUALIFIED NAME` of the class."""


class Fields:
    """Stands in for `__dataclass_fields__` until somebody asks for it."""

    def __init__(self, defaults: dict[str, Any], *, kw_only: bool) -> None:
        self._defaults = defaults
        self._kw_only = kw_only

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the class whose fields these are."""
        self._owner = owner
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> dict[str, Any]:
        """Compute the fields as the decorator does, and put them into the class."""
        found: dict[str, Any] = {}
        for base in self._owner.__mro__[:0:-1]:
            found.update(getattr(base, self._name, {}))
        declared = SimpleNamespace(**self._defaults, __module__=self._owner.__module__)
        annotations = _library.annotationlib
        for name, kind in annotations.get_annotations(self._owner, format=annotations.Format.FORWARDREF).items():
            found[name] = _library._get_field(declared, name, kind, self._kw_only)  # noqa: SLF001
        setattr(self._owner, self._name, found)
        return found


def install(prepared: dict[str, Plan]) -> None:
    """Make classes by these plans from now on."""
    plans.update(prepared)
    builtins.__build_class__ = _build
    _library._process_class = _process  # noqa: SLF001


def _build(body: Any, name: str, /, *bases: Any, **keywords: Any) -> Any:
    """Do what a class statement does: run its body, and have the metaclass make the class."""
    plan = plans.get(f"{body.__module__}:{body.__qualname__}")
    if plan is None or keywords:
        return _build_class(body, name, *bases, **keywords)

    def make(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        return _made(plan, body.__globals__, name, bases, namespace)

    return _build_class(body, name, *bases, metaclass=make)


def _process(cls: type, *parameters: bool) -> Any:
    """Do what the decorator does, unless it is done."""
    return cls if "__dataclass_params__" in cls.__dict__ else _process_class(cls, *parameters)


def _made(plan: Plan, names: dict[str, Any], name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    code, methods, parameters, attributes, fields, others = plan
    defaults = {field: namespace.pop(field) for field in fields if field in namespace}
    arguments = [
        _GIVEN[argument] if argument in _GIVEN else _default(argument[len(_DEFAULT) : -2], defaults, namespace, bases)
        for argument in code.co_varnames[: code.co_argcount]
    ]
    for method, function in zip(methods, _Function(code, names)(*arguments), strict=True):
        namespace.setdefault(method, function)
    for attribute, value in attributes.items():
        namespace.setdefault(attribute, value)
    defaults |= {other: namespace[other] for other in others if other in namespace}
    made_with = _library._DataclassParams(*parameters)  # noqa: SLF001
    namespace["__dataclass_params__"] = made_with
    namespace["__dataclass_fields__"] = Fields(defaults, kw_only=made_with.kw_only)
    namespace["__replace__"] = _library._replace
    if made_with.frozen:
        namespace.setdefault("__getstate__", _library._dataclass_getstate)  # noqa: SLF001
        namespace.setdefault("__setstate__", _library._dataclass_setstate)  # noqa: SLF001
    made = type(name, bases, namespace)
    if made_with.frozen:
        function = namespace["__setattr__"]
        function.__closure__[function.__code__.co_freevars.index("cls")].cell_contents = made
    return made


def _default(field: str, defaults: dict[str, Any], namespace: dict[str, Any], bases: tuple[type, ...]) -> Any:
    """Return the default of a field, or what makes one."""
    if field in defaults or field in namespace:
        value = defaults[field] if field in defaults else namespace[field]  # `InitVar` leaves it in the class
    else:
        inherited = (getattr(base, "__dataclass_fields__", {}) for base in bases)
        value = next(known[field] for known in inherited if field in known)
    if not isinstance(value, dataclasses.Field):
        return value
    return value.default if value.default_factory is dataclasses.MISSING else value.default_factory
