"""JAX in the lesson: operation by operation, and jax.jit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from crossnn.adapter import Adapter, Function
from crossnn.lesson.protocol import Compiler

CONTROL = ("cond", "while", "scan", "switch")
"""The primitives of a jaxpr that decide what runs."""


def spelling() -> Mapping[str, str]:
    return {"log": "jnp.log(h)", "total": "jnp.sum(x)", "pick": "x[i]"}


def namespace(adapter: Adapter) -> Mapping[str, Any]:
    return {"jnp": jnp, "jax": jax}


def compilers(adapter: Adapter) -> Mapping[str, Compiler]:
    return {"eager": lambda f: f, "jit": jax.jit}


def slow() -> tuple[str, ...]:
    return ()


def quick_views() -> Mapping[str, int]:
    return {}


def graphs(compiled: Function) -> int | None:
    count = getattr(compiled, "_cache_size", None)
    return None if count is None else int(count())


def own_memory_name() -> str:
    return "memory_analysis"


def own_memory(compiled: Function, arguments: tuple[Any, ...], mode: str) -> int | None:
    """What the compiler planned: temporaries and results. Operation by operation nobody plans, and on the CPU nobody
    counts."""
    if mode != "jit":
        return None
    found = compiled.lower(*arguments).compile().memory_analysis()  # type: ignore[attr-defined]
    return None if found is None else int(found.temp_size_in_bytes + found.output_size_in_bytes)


def cond_positive(x: jax.Array) -> jax.Array:
    return jax.lax.cond(jnp.sum(x) > 0, lambda x: x * 2, lambda x: x - 1, x)


def while_above(x: jax.Array) -> jax.Array:
    return jax.lax.while_loop(lambda x: jnp.sum(x) > 1, lambda x: x / 2, x)


def where_positive(x: jax.Array) -> jax.Array:
    return jnp.where(jnp.sum(x) > 0, x * 2, x - 1)


def own_ways() -> Iterator[Mapping[str, Any]]:
    points = [jnp.asarray([point, 0.0]) for point in (3.0, -3.0)]
    ways = (("jax.lax.cond", cond_positive), ("jax.lax.while_loop", while_above), ("jnp.where", where_positive))
    for way, program in ways:
        f = jax.jit(program)
        values = [float(f(x)[0]) for x in points]
        names = {one.primitive.name for one in jax.make_jaxpr(program)(points[0]).jaxpr.eqns}
        yield {"way": way, "code": inspect.getsource(program), "values": values,
               "inside": sorted(names & set(CONTROL)), "note": ""}  # fmt: skip
