"""What the source of a user's function or class tells: its arguments, the numbers in it, the framework that it uses."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import CodeType
from typing import Any

FRAMEWORKS = {"torch": "torch", "keras": "tensorflow", "tensorflow": "tensorflow", "optax": "jax", "jax": "jax",
              "jaxlib": "jax"}  # fmt: skip
"""The package that a name comes from -> the backend that runs it."""


def parameters_of(found: Any) -> list[inspect.Parameter]:
    """Those that it has names for; of what does not tell, one."""
    try:
        every = inspect.signature(found).parameters.values()
    except (ValueError, TypeError):
        return [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)]
    return [one for one in every if one.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]


def arguments(found: Any) -> list[str]:
    """Their names."""
    return [one.name for one in parameters_of(found)]


def required(found: Any) -> int:
    """How many arguments it must be given."""
    return sum(one.default is inspect.Parameter.empty for one in parameters_of(found))


def backend_of(found: Any) -> str:
    """The backend of the framework that a class is of, or whose names a function uses; NumPy takes what is of none."""
    roots = [base.__module__ for base in (found if isinstance(found, type) else type(found)).__mro__]
    for code, scope in _written(found):
        used = [scope[name] for name in _names(code) if name in scope]
        roots += [str(getattr(one, "__module__", None) or getattr(one, "__name__", "")) for one in used]
    backends = [FRAMEWORKS[root] for one in roots if (root := one.partition(".")[0]) in FRAMEWORKS]
    return backends[0] if backends else "numpy"


def numbers(found: Any) -> dict[str, Any]:
    """The numbers that a function or a class names, then those that it only writes."""
    settings: dict[str, Any] = {}
    try:
        parameters = inspect.signature(found).parameters.values()
        settings.update({one.name: one.default for one in parameters if isinstance(one.default, int | float | tuple)})
    except (ValueError, TypeError):
        pass
    for code, scope in _written(found):
        for name in _names(code):
            if type(scope.get(name)) in (int, float):
                settings.setdefault(name, scope[name])
        written = [one for one in _constants(code) if one not in settings.values()]
        settings.update({f"the number {one!r}": one for one in dict.fromkeys(written)})
    return settings


def _written(found: Any) -> list[tuple[CodeType, Mapping[str, Any]]]:
    """The code that a user wrote for it, with the names of the module around: a function's, or all methods of a class,
    also where a decorator is around them."""
    kind = found if isinstance(found, type) else type(found)
    plain = inspect.isroutine(found) or hasattr(found, "__wrapped__")
    methods = [found] if plain else [one for one in vars(kind).values() if callable(one)]
    functions = [getattr(inspect.unwrap(one), "__func__", inspect.unwrap(one)) for one in methods]
    return [(one.__code__, one.__globals__) for one in functions if hasattr(one, "__code__")]


def _codes(code: CodeType) -> list[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [code, *(each for one in inner for each in _codes(one))]


def _names(code: CodeType) -> list[str]:
    return [name for one in _codes(code) for name in one.co_names]


def _constants(code: CodeType) -> list[float]:
    return [float(value) for one in _codes(code) for value in one.co_consts if type(value) in (int, float)]
