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
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
T = TypeVar("T")


def is_own(text: str) -> bool:
    """Whether this names a user's own function."""
    return ":" in text.partition("(")[0]


def tried(what: str, action: Callable[[], T]) -> T:
    """The result of anyone's code; what it raises becomes a message."""
    try:
        return action()
    except Exception as error:  # whatever a framework or a user throws
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
    except Exception as error:
        raise BackendError(f"{text!r}: importing {module} raises {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [one for one in vars(found) if not one.startswith("_") and callable(getattr(found, one))]
            raise BackendError(f"{text!r}: {module} has no {name!r}; it has {choices(public) or 'no functions'}")
        found = getattr(found, part)
    if not callable(found):
        raise BackendError(f"{text!r} is {type(found).__name__}, which cannot be called")
    return found


def is_plain(found: Any) -> bool:
    """Whether it is a function to be called with numbers, not one that makes an optimizer."""
    return required(found) > 0


def required(found: Any) -> int:
    """How many arguments it must be given."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (ValueError, TypeError):
        return 1
    place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in place and one.default is inspect.Parameter.empty for one in parameters)


def made(found: Any) -> Any:
    """What it makes when called with its defaults; None where it needs arguments."""
    return tried(getattr(found, "__name__", "it"), found) if required(found) == 0 else None


def backend_of(found: Any) -> str:
    """The backend of the framework that a class is of; NumPy takes what is of none. An instance is made only where
    that needs no arguments."""
    kind = found if isinstance(found, type) else type(found)
    frameworks = {"torch": "torch", "keras": "tensorflow", "tensorflow": "tensorflow", "optax": "jax", "jax": "jax"}
    bases = [base.__module__.partition(".")[0] for base in kind.__mro__]
    if not isinstance(found, type) and required(found) == 0:
        bases += [base.__module__.partition(".")[0] for base in type(made(found)).__mro__]
    return next((frameworks[base] for base in bases if base in frameworks), "numpy")


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
    text: str, found: Any, kind: str, tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray]
) -> Opened:
    """A user's function of tensors. Its settings are the numbers that it names: defaults of its arguments, constants
    of its module that it uses, and those written in it."""
    kind = kind_of(text, found, kind)
    settings = numbers(found)
    if kind == "optimizer":
        return Opened(kind, settings, Native(text, lambda params, hyper: Optimizer(text, found, tensor, array, params)))
    return Opened(kind, settings, Native(text, lambda *given: tried(text, lambda: found(*given))))


def numbers(found: Any) -> dict[str, Any]:
    """The numbers that a function names, then those that it only writes."""
    settings: dict[str, Any] = {}
    try:
        parameters = inspect.signature(found).parameters.values()
        settings.update({one.name: one.default for one in parameters if isinstance(one.default, int | float | tuple)})
    except (ValueError, TypeError):
        pass
    function = found if inspect.isfunction(found) else vars(type(found)).get("__call__")
    code = getattr(function, "__code__", None)
    if code is not None:
        scope = getattr(function, "__globals__", {})
        for name in _names(code):
            if type(scope.get(name)) in (int, float):
                settings.setdefault(name, scope[name])
        written = [one for one in _constants(code) if one not in settings.values()]
        settings.update({f"the number {one!r}": one for one in dict.fromkeys(written)})
    return settings


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
