"""How TensorFlow's and Keras's own functions become rows: the call that a user would write, and for which settings it
is our formula. Of several rows of a specification the first that fits is bound, the others are its variants."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, When, fits, keywords

Function = Callable[..., Tensor]

PASSED = ("eager",)
"""The modes of a call that only passes its arguments on to another one that is bound: once is enough."""

BUILT = ("eager", "graph")
"""Those of what XLA compiles as it compiles another one that is bound, slowly."""


def named(call: str) -> Any:
    """What a public name stands for: `tf.nn.relu`."""
    root, _, path = call.partition(".")
    return operator.attrgetter(path)({"tf": tf, "keras": keras}[root])


def function(
    call: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, modes: tuple[str, ...] = (),
    shown: str = "", **ours: Any,
) -> Row:  # fmt: skip
    """A function of one tensor; `ours` maps its keywords to our settings."""
    own = named(call)

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None
        bound = keywords(knobs, fixed, ours)
        return Native(call + shown, lambda x: own(x, **bound), modes)

    return bind


def made(
    call: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, modes: tuple[str, ...] = (),
    shown: str = "", **ours: Any,
) -> Row:  # fmt: skip
    """An object that is called with one tensor, such as a layer without weights."""
    own = named(call)

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None
        return Native(call + shown, own(**keywords(knobs, fixed, ours)), modes)

    return bind


def called(
    call: str, function: Function, when: When | Callable[[Knobs], bool] | None = None, modes: tuple[str, ...] = ()
) -> Row:
    """A function that computes a layer: `function(knobs, p, *inputs)`."""

    def bind(knobs: Knobs) -> Native | None:
        if when is not None and not (when(knobs) if callable(when) else fits(knobs, when)):
            return None
        return Native(call, lambda p, *inputs: function(knobs, p, *inputs), modes)

    return bind
