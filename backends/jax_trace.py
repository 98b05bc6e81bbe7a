"""What JAX runs: a function's jaxpr, interpreted equation by equation, each waited for.

Without `jit` JAX does the same: it runs each primitive as it is called. The jaxpr is run twice, since JAX compiles each
primitive for each shape when it first meets it; the second run is timed. Gradients come from one differentiation of the
same jaxpr, in which a zero is added to every value: the gradient with respect to that zero is the one with respect to
the value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossnn.adapter import Function, Tree
from crossnn.drawing.making import named
from crossnn.formula.graph import leaves, map_tree
from crossnn.trace.executed import Executed, Log

CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr",
         "remat", "remat2", "checkpoint")  # fmt: skip
"""Primitives that only call another jaxpr: what they call takes their place."""
OPAQUE = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
"""Functions with a derivative of their own, which would be lost if they were taken apart."""

After = Callable[[Any, list[Any], list[Any], float], list[Any]]
"""(equation, operands, results, seconds) -> the results to go on with."""


def watched(
    f: Function, arguments: Sequence[Tree], array: Callable[[Any], np.ndarray], cotangent: np.ndarray | None
) -> tuple[Tree, list[Executed]]:
    structure: list[Tree] = []

    def flat(*given: Tree) -> tuple[Any, ...]:
        """The results in the order of the function's own tree, where JAX sorts by name."""
        result = f(*given)
        structure.append(map_tree(lambda _: None, result))
        return tuple(leaves(result))

    closed = jax.make_jaxpr(flat)(*arguments)
    tensors = jax.tree.leaves(tuple(arguments))
    _run(closed.jaxpr, closed.consts, tensors, lambda equation, operands, results, seconds: results)
    log = Log(array)
    for name, tensor in zip(jax.tree.leaves(named(f, arguments)), tensors, strict=True):
        log.argument(name, tensor)

    def write(equation: Any, operands: list[Any], results: list[Any], seconds: float) -> list[Any]:
        log.add(_operation(equation), [log.key(one) for one in operands], results, seconds)
        return results

    found = _run(closed.jaxpr, closed.consts, tensors, write)
    gradients = {} if cotangent is None else _gradients(closed, tensors, jnp.asarray(cotangent))
    values = {number: array(gradient) for number, gradient in gradients.items()}
    each = iter(found)
    return map_tree(lambda _: next(each), structure[0]), log.finish(found, values)


def _operation(equation: Any) -> str:
    """The primitive; a function with a derivative of its own by its own name."""
    name = str(equation.primitive.name)
    inner = called(equation) if name in OPAQUE else None
    own = getattr(getattr(inner[0], "debug_info", None), "func_name", None) if inner else None
    return str(own or name)


def _run(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any], after: After) -> list[Any]:
    """Every equation in order, those of called jaxprs in their place."""
    known: dict[Any, Any] = {
        **dict(zip(jaxpr.constvars, constants, strict=True)), **dict(zip(jaxpr.invars, arguments, strict=True))
    }  # fmt: skip

    def read(atom: Any) -> Any:
        return jnp.asarray(atom.val, atom.aval.dtype) if literal(atom) else known[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        inner = None if equation.primitive.name in OPAQUE else called(equation)
        if inner is not None:
            results = _run(inner[0], inner[1], operands, after)
        else:
            subfunctions, parameters = _bound(equation)
            begin = time.perf_counter()
            made = equation.primitive.bind(*subfunctions, *operands, **parameters)
            if not any(isinstance(one, jax.core.Tracer) for one in jax.tree.leaves(made)):
                jax.block_until_ready(made)
            seconds = time.perf_counter() - begin
            results = after(equation, operands, list(made) if equation.primitive.multiple_results else [made], seconds)
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _bound(equation: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """What is bound beside the operands; older releases give functions apart."""
    found = equation.primitive.get_bind_params(equation.params)
    return found if isinstance(found, tuple) else ((), found)


def _gradients(closed: Any, arguments: Sequence[Any], cotangent: Any) -> dict[int, Any]:
    """The gradients by the numbers under which the log has the values: arguments first, then equations."""
    floating = [jnp.issubdtype(one.dtype, jnp.floating) for one in arguments]
    shapes: list[Any] = []

    def learn(equation: Any, operands: list[Any], results: list[Any], seconds: float) -> list[Any]:
        shapes.append(jax.ShapeDtypeStruct(results[0].shape, results[0].dtype))
        return results

    jax.eval_shape(lambda *given: _run(closed.jaxpr, closed.consts, given, learn), *arguments)
    probed = [place for place, one in enumerate(shapes) if jnp.issubdtype(one.dtype, jnp.floating)]

    def objective(probes: dict[int, Any]) -> Any:
        count = 0

        def add(equation: Any, operands: list[Any], results: list[Any], seconds: float) -> list[Any]:
            nonlocal count
            number = len(arguments) + count
            count += 1
            return [results[0] + probes[number], *results[1:]] if number in probes else results

        given = [one + probes[place] if place in probes else one for place, one in enumerate(arguments)]
        return jnp.sum(_run(closed.jaxpr, closed.consts, given, add)[0] * cotangent)

    zeros = {place: jnp.zeros_like(one) for place, one in enumerate(arguments) if floating[place]}
    zeros.update({len(arguments) + place: jnp.zeros(shapes[place].shape, shapes[place].dtype) for place in probed})
    return dict(jax.jit(jax.grad(objective))(zeros))


def called(equation: Any) -> Any:
    """The jaxpr that an equation only calls, as (jaxpr, constants); None where it is an operation."""
    if equation.primitive.name not in CALLS:
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None and (hasattr(inner, "eqns") or hasattr(inner, "jaxpr")):
            return (inner.jaxpr, inner.consts) if hasattr(inner, "jaxpr") else (inner, ())
    return None


def literal(atom: Any) -> bool:
    """Whether an operand is a number written in the equation."""
    return hasattr(atom, "val")
