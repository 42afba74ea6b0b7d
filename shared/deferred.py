"""Modules that are loaded when something of theirs is used, and not before.

Libraries import all that any of their parts needs. Of what a program does without, whoever imports
it gets a stand-in, whose names load the module that it stands for as soon as one is called or
looked into.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ("defer", "is_deferred")


class _Later(type):
    """A name of a deferred module: a class, as most are, that annotations may name."""

    _module: str

    @property
    def _real(cls) -> Any:
        return getattr(_load(cls._module), cls.__name__)

    def __call__(cls, *args: Any, **named: Any) -> Any:
        return cls._real(*args, **named)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._real, name)

    def __getitem__(cls, key: Any) -> Any:
        return cls._real[key]

    def __iter__(cls) -> Iterator[Any]:
        return iter(cls._real)

    def __instancecheck__(cls, instance: object) -> bool:
        if is_deferred(cls._module):
            return False  # nobody has made one
        return isinstance(instance, cls._real)


class _StandIn(ModuleType):
    """A module of which nothing has been used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not is_deferred(self.__name__):
            return getattr(_load(self.__name__), name)
        later = _Later(name, (), {"_module": self.__name__})
        setattr(self, name, later)
        return later


class _Finder:
    """Finds stand-ins for modules, and for what is in them.

    A finder and loader as importlib.abc has them, which would take more than it saves.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if any(f"{name}.".startswith(f"{each}.") for each in self._names):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def defer(names: Sequence[str]) -> None:
    """Have those who import these modules from here on get stand-ins.

    None of their names may be a base class or a decorator where it is imported, nor a value that
    is handed on.
    """
    sys.meta_path.insert(0, _Finder(names))


def is_deferred(name: str) -> bool:
    """Whether the module of this name has not been loaded."""
    module = sys.modules.get(name)
    return module is None or isinstance(module, _StandIn)


def _load(name: str) -> ModuleType:
    """Load a module, and from here on all that is imported: a module that is loaded uses the names
    of others for what they are.
    """
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _Finder)]
    for each, module in list(sys.modules.items()):
        if isinstance(module, _StandIn):
            sys.modules.pop(each, None)  # by another thread meanwhile
            _forget_names(module)
    return import_module(name)


def _forget_names(module: _StandIn) -> None:
    """Have those who look a name up again in a stand-in find what it stands for."""
    for name, value in list(vars(module).items()):
        if isinstance(value, _Later | _StandIn):
            vars(module).pop(name, None)
