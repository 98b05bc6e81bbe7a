"""What TensorFlow runs eagerly: every operation, told by its own callbacks.

The callbacks are private (`tensorflow.python.framework.op_callbacks`); the debugger that TensorFlow ships is built on
them. They are called after an operation, so the time of one is the time since the one before was written down: the
Python that leads to it is in it, as it is in every eager step.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from crossnn.adapter import Function, Tree
from crossnn.drawing.making import named
from crossnn.errors import BackendError
from crossnn.formula.graph import leaves, map_tree
from crossnn.trace.executed import WEIGHTS, Executed, Log


def watched(
    f: Function, arguments: Sequence[Tree], array: Callable[[Any], np.ndarray], cotangent: np.ndarray | None
) -> tuple[Tree, list[Executed]]:
    given, names = map_tree(tf.convert_to_tensor, list(arguments)), list(leaves(named(f, arguments)))
    _once(f, given, names, array, cotangent)  # the first time costs more
    return _once(f, given, names, array, cotangent)


def _once(
    f: Function, given: Tree, names: Sequence[str], array: Callable[[Any], np.ndarray], cotangent: np.ndarray | None
) -> tuple[Tree, list[Executed]]:
    log = Log(array, holder=lambda tensor: getattr(tensor, "_id", id(tensor)))
    for name, tensor in zip(names, leaves(given), strict=True):
        log.argument(name, tensor)
    gradients: dict[int, Any] = {}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([one for one in leaves(given) if one.dtype.is_floating])
        with _written(log, backward=False):
            result = f(*given)
    if cotangent is not None:
        target = next(iter(leaves(result)))
        seed = tf.constant(cotangent, target.dtype)
        sources = {place: one[0] for place, one in enumerate(log.tensors) if one[0].dtype.is_floating}
        if cotangent.size > 1:
            log.call(seed, WEIGHTS)
        with _written(log, backward=True):
            gradients = tape.gradient(target, sources, output_gradients=seed)
    # The gradient of a gather is a tf.IndexedSlices: rows and where they belong.
    found = {place: array(tf.convert_to_tensor(one)) for place, one in gradients.items() if one is not None}
    return result, log.finish(leaves(result), found)


@contextlib.contextmanager
def _written(log: Log, backward: bool) -> Iterator[None]:
    """Every operation that runs in this block goes into the log."""
    try:
        from tensorflow.python.framework import op_callbacks
    except ImportError as error:
        raise BackendError(f"tensorflow {tf.__version__} has no op_callbacks: its operations cannot be seen") from error
    last = 0.0

    def write(kind: Any, inputs: Any, attributes: Any, outputs: Any, op_name: Any = None, graph: Any = None) -> None:
        nonlocal last
        seconds = time.perf_counter() - last
        if graph is None:
            operation = kind.decode() if isinstance(kind, bytes) else str(kind)
            log.add(operation, [log.key(one) for one in inputs], list(outputs), seconds, backward=backward)
        last = time.perf_counter()

    op_callbacks.add_op_callback(write)
    last = time.perf_counter()
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(write)
