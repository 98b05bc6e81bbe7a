"""What engines call the same operation: one name for each, so that a jaxpr can be laid beside the HLO made of it.

The name is that of our own primitive where there is one. What is not listed keeps its own name, without the prefixes
and suffixes by which an engine says where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PREFIX = re.compile(
    r"^((torch|ops|aten|prims?|stablehlo|mhlo|chlo|hlo|tf|raw_ops|math|np|jnp|lax|operator|_operator)[.:]+)+"
)
_SUFFIX = re.compile(r"\.(default|tensor\w*|scalar\w*|dim\w*|int|self\w*|out)$")

_SYNONYMS = {
    "add": "add addv2 addn iadd",
    "subtract": "sub subtract isub",
    "multiply": "mul multiply imul",
    "divide": "div divide truediv truedivide realdiv",
    "power": "pow power integerpow",
    "negative": "neg negate negative",
    "less": "lt less",
    "less_equal": "le lte lessequal",
    "greater": "gt greater",
    "greater_equal": "ge gte greaterequal",
    "equal": "eq equal",
    "not_equal": "ne notequal",
    "abs": "abs absolute",
    "exp": "exp exponential",
    "expm1": "expm1 exponentialminusone",
    "log": "log",
    "log1p": "log1p logplusone",
    "sin": "sin sine",
    "cos": "cos cosine",
    "arctan": "atan arctan",
    "sigmoid": "sigmoid logistic",
    "maximum": "maximum",
    "minimum": "minimum",
    "where": "where select selectn selectv2",
    "sum": "sum reducesum",
    "mean": "mean reducemean",
    "max": "max amax reducemax",
    "min": "min amin reducemin",
    "matmul": "matmul dot dotgeneral mm bmm batchmatmul batchmatmulv2 einsum",
    "transpose": "transpose permute t",
    "reshape": "reshape view unsafeview squeeze unsqueeze expanddims",
    "broadcast": "broadcast broadcastindim broadcastto expand",
    "convert": "convert convertelementtype cast tocopy",
    "copy": "copy copyp identity clone id bitcast",
    "concatenate": "concatenate concat concatv2 cat",
    "iota": "iota arange range",
    "take": "take gather gatherv2 embedding",
    "put": "put scatter scatteradd",
    "conv": "conv convolution convgeneraldilated conv2d",
    "stop_gradient": "stopgradient detach preventgradient",
    "ones_like": "oneslike",
    "element": "gettupleelement getitem",
}
_NAMES: Mapping[str, str] = {word: name for name, words in _SYNONYMS.items() for word in words.split()}

COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "equal", "not_equal"})
TRANSPARENT = frozenset({"broadcast", "reshape", "convert", "copy", "stop_gradient", "element"})
"""What changes how values lie in memory, or their type, but not what they are."""

COARSE: Mapping[str, frozenset[str]] = {
    "compare": frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}),
    "reduce": frozenset({"sum", "max", "min"}),
}
"""One name of StableHLO and HLO for several operations of others."""


def canonical(operation: str, engine: str = "") -> str:
    """`stablehlo.multiply`, `aten.mul.Tensor` and `Mul` are `multiply`. jax's `max` compares two arrays."""
    text = _SUFFIX.sub("", _PREFIX.sub("", operation.strip().lower()))
    word = re.sub(r"[_\-\s]", "", text)
    if "jax" in engine.lower() and word in ("max", "min"):
        return f"{word}imum"
    return _NAMES.get(word, text)
