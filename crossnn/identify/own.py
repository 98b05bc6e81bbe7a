"""A user's own function or optimizer, found as `package.module:function` from where the command is called.

It is the user's code and runs as such. What it raises is a message with its own words, never a traceback.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, TypeVar

import numpy as np

from crossnn.adapter import Native, Opened, Tensor
from crossnn.errors import BackendError, choices

RATE = ("lr", "learning_rate")
FRAMEWORKS = {"torch": "torch", "keras": "tensorflow", "tensorflow": "tensorflow", "optax": "jax", "jax": "jax",
              "jaxlib": "jax"}  # fmt: skip
"""The package that a name comes from -> the backend that runs it."""
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
T = TypeVar("T")


def is_own(text: str) -> bool:
    """Whether this names a user's own function."""
    return ":" in text.partition("(")[0]


def tried(what: str, action: Callable[[], T]) -> T:
    """The result of anyone's code; what it raises becomes a message."""
    try:
        return action()
    except (Exception, SystemExit) as error:  # whatever a framework or a user throws
        lines = str(error).strip().splitlines() or [""]
        raise BackendError(f"{what}: {type(error).__name__}: {lines[0][:300]}") from error


def load(text: str) -> Any:
    """The function or class that `package.module:name` is."""
    if not _PATH.fullmatch(text.strip()):
        raise BackendError(f"{text[:80]!r}: your own function is named as package.module:function, without arguments")
    module, _, name = text.strip().partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"{text!r}: there is no module {error.name!r} here; modules are looked for in the current folder and among "
            "the installed packages"
        ) from error
    except (Exception, SystemExit) as error:
        raise BackendError(f"{text!r}: importing {module} raises {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [one for one in vars(found) if not one.startswith("_") and callable(getattr(found, one))]
            raise BackendError(f"{text!r}: {module} has no {name!r}; it has {choices(public) or 'no functions'}")
        found = getattr(found, part)
    if not callable(found):
        raise BackendError(
            f"{text!r} is an object of {type(found).__name__}, which starts only once: name its class, or a function "
            "that makes it"
        )
    return found


def _parameters(found: Any) -> list[inspect.Parameter]:
    """Those that it has names for; of what does not tell, one."""
    try:
        every = inspect.signature(found).parameters.values()
    except (ValueError, TypeError):
        return [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)]
    return [one for one in every if one.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]


def arguments(found: Any) -> list[str]:
    """Their names."""
    return [one.name for one in _parameters(found)]


def required(found: Any) -> int:
    """How many arguments it must be given."""
    return sum(one.default is inspect.Parameter.empty for one in _parameters(found))


def made(text: str, found: Any) -> Any:
    """What a class, or a function without required arguments, makes; None of a function that needs some."""
    needed = [one.name for one in _parameters(found) if one.default is inspect.Parameter.empty]
    if needed and isinstance(found, type):
        raise BackendError(
            f"{text} needs {choices(needed)}: give the class defaults, or name a function that makes an object of it"
        )
    return None if needed else tried(text, found)


def backend_of(found: Any) -> str:
    """The backend of the framework that a class is of, or whose names a function uses; NumPy takes what is of none."""
    roots = [base.__module__ for base in (found if isinstance(found, type) else type(found)).__mro__]
    for code, scope in _written(found):
        used = [scope[name] for name in _names(code) if name in scope]
        roots += [str(getattr(one, "__module__", None) or getattr(one, "__name__", "")) for one in used]
    backends = [FRAMEWORKS[root] for one in roots if (root := one.partition(".")[0]) in FRAMEWORKS]
    return backends[0] if backends else "numpy"


def kind_of(text: str, found: Any, kind: str) -> str:
    """The kind that was said, or that the number of arguments tells: f(x), f(y, t), f(w, g, state, t)."""
    if kind:
        return kind
    kinds = {1: "activation", 2: "loss", 4: "optimizer"}
    count = required(found)
    if count not in kinds:
        raise BackendError(
            f"{text}: of {count} required arguments its kind cannot be told; say --kind activation for f(x), loss for "
            "f(y, t), optimizer for f(w, g, state, t) -> (w, state)"
        )
    return kinds[count]


def opened(
    text: str, found: Any, kind: str, tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray],
    settings: Mapping[str, Any] | None = None,
) -> Opened:  # fmt: skip
    """A user's function of tensors. Its settings are the numbers that it names: defaults of its arguments, constants
    of its module that it uses, and those written in it."""
    kind = kind_of(text, found, kind)
    settings = numbers(found) if settings is None else settings
    if kind == "optimizer":
        return Opened(kind, settings, Native(text, lambda params, hyper: Optimizer(text, found, tensor, array, params)))
    return Opened(kind, settings, Native(text, lambda *given: tried(text, lambda: found(*given))))


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


class Optimizer:
    """A user's f(w, g, state, t) -> (w, state), one state for each parameter, None at first. Its learning rate is
    varied where it is an argument named `lr` or `learning_rate`."""

    def __init__(
        self, text: str, function: Callable[..., Any], tensor: Callable[[np.ndarray], Tensor],
        array: Callable[[Tensor], np.ndarray], params: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        self.text, self.function, self.tensor, self.array = text, function, tensor, array
        self.rate = next((name for name in RATE if name in numbers(function)), "")
        self.load(params, {}, 0)

    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Any], step: int) -> None:
        self.params = {name: self.tensor(np.array(value)) for name, value in params.items()}
        self.state: dict[str, Any] = dict.fromkeys(params)
        self.count = step

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        self.count += 1
        rate = {self.rate: learning_rate} if self.rate else {}
        for name, w in self.params.items():
            found = tried(
                self.text,
                lambda w=w, name=name: self.function(  # type: ignore[misc]
                    w, self.tensor(np.array(gradients[name])), self.state[name], self.count, **rate
                ),
            )
            if not (isinstance(found, tuple) and len(found) == 2):
                raise BackendError(f"{self.text} must return (w, state), and returns {type(found).__name__}")
            self.params[name], self.state[name] = found

    def updates(self, gradients: Sequence[Mapping[str, np.ndarray]], learning_rate: float) -> Callable[[int], Any]:
        raise BackendError("an opened optimizer is identified, not timed")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params = {name: np.array(self.array(w)) for name, w in self.params.items()}
        state: dict[str, dict[str, np.ndarray]] = {}
        for name, kept in self.state.items():
            for slot, value in _slots(kept).items():
                try:
                    shown = np.array(self.array(value), float)
                except (TypeError, ValueError, AttributeError):  # what is no tensor is no slot
                    continue
                state.setdefault(slot, {})[name] = shown
        return params, state


def _slots(kept: Any) -> dict[str, Any]:
    if isinstance(kept, Mapping):
        return {str(name): value for name, value in kept.items() if value is not None}
    if isinstance(kept, tuple | list):
        return {f"state[{place}]": value for place, value in enumerate(kept) if value is not None}
    return {} if kept is None else {"state": kept}
