"""TensorFlow in the lesson: eager, tf.function with AutoGraph, and with XLA behind it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from crossnn.adapter import Adapter, Function
from crossnn.lesson.protocol import Compiler

CONTROL = ("If", "StatelessIf", "While", "StatelessWhile", "Switch", "Merge", "Case")
"""The operations of a graph that decide what runs."""


def spelling() -> Mapping[str, str]:
    return {"log": "tf.math.log(h)", "total": "tf.reduce_sum(x)", "pick": "tf.gather(x, i)"}


def namespace(adapter: Adapter) -> Mapping[str, Any]:
    return {"tf": tf}


def compilers(adapter: Adapter) -> Mapping[str, Compiler]:
    return {"eager": lambda f: f, "graph": tf.function, "xla": functools.partial(tf.function, jit_compile=True)}


def slow() -> tuple[str, ...]:
    return ()


def quick_views() -> Mapping[str, int]:
    return {}


def graphs(compiled: Function) -> int | None:
    count = getattr(compiled, "experimental_get_tracing_count", None)
    return None if count is None else int(count())


def own_memory_name() -> str:
    return "tf.config.experimental.get_memory_info"


def own_memory(compiled: Function, arguments: tuple[Any, ...], mode: str) -> int | None:
    """The allocator's peak above what is allocated already."""
    tf.config.experimental.reset_memory_stats("CPU:0")
    before = tf.config.experimental.get_memory_info("CPU:0")["current"]
    result = compiled(*arguments)
    found = int(tf.config.experimental.get_memory_info("CPU:0")["peak"] - before)
    del result
    return found or None


def if_positive(x: tf.Tensor) -> tf.Tensor:
    if tf.reduce_sum(x) > 0:
        return x * 2
    return x - 1


def cond_positive(x: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1)


def while_above(x: tf.Tensor) -> tf.Tensor:
    while tf.reduce_sum(x) > 1:
        x = x / 2
    return x


def own_ways() -> Iterator[Mapping[str, Any]]:
    points = [tf.constant([point, 0.0], tf.float64) for point in (3.0, -3.0)]
    for way, program in (("AutoGraph: if", if_positive), ("tf.cond", cond_positive), ("AutoGraph: while", while_above)):
        f = tf.function(program)
        values = [float(f(x)[0]) for x in points]
        operations = f.get_concrete_function(points[0]).graph.get_operations()
        inside = sorted({one.type for one in operations} & set(CONTROL))
        yield {"way": way, "code": inspect.getsource(program), "values": values, "inside": inside, "note": ""}
