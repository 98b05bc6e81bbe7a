"""The vocabulary of formulas: every primitive with its shape, derivative, rounding, cost and LaTeX.

A primitive is only a name here. What it *does* is said by a meaning, a table from name to function: NumPy's, a
framework's, arbitrary precision, noise, a graph recorder. Derivative rules are formulas over the same primitives, in
`g` (the cotangent), `out` (the result), the arguments and the options; broadcasting is undone by the caller, and
`spread`, `shape_of`, `count` and `inverse` are looked up from static shapes (derive.py). A missing rule means: no
gradient flows there. Each rule is tested against central differences in 60-digit arithmetic.

`rounding` says what one evaluation may legitimately get wrong: `rounded` (one relative unit), `exact` (nothing: the
result is one of the inputs, or a copy), `dot` (a unit of the root sum of squares of the products), `total` (the same
for the terms of a sum), `backward` (the exact result of an input wrong by a unit of its size: linear algebra).

`*inputs` stands for any number of arguments; the rule of one of them knows its `position`, and `begin` where it starts.
Data is channels-last: x is (batch, *spatial, channels), a kernel (*size, channels/groups, filters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from crossnn.formula import shapes
from crossnn.formula.shapes import ShapeRule

Rounding = Literal["rounded", "exact", "dot", "total", "backward"]
Dtype = Literal["float", "bool", "index"]

CONSTANTS = {"pi": "3.141592653589793"}
"""Named numbers that formulas may use; the oracle takes them to its own precision."""


@dataclass(frozen=True)
class Primitive:
    """One row of the vocabulary."""

    name: str
    arguments: tuple[str, ...]
    derivative: Mapping[str, str]
    latex: str
    shape: ShapeRule = shapes.broadcast
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    rounding: Rounding = "rounded"
    dtype: Dtype = "float"
    flops: float = 1.0
    symbol: str = ""

    @property
    def variadic(self) -> bool:
        return self.arguments[0].startswith("*")

    @property
    def arity(self) -> int:
        """How many arguments; 0 for any number."""
        return 0 if self.variadic else len(self.arguments)

    @property
    def signature(self) -> str:
        """How it is written: `sum(x, axis=None, keepdims=False)`."""
        shown = [*self.arguments, *(f"{name}={value!r}" for name, value in self.options.items())]
        return f"{self.name}({', '.join(shown)})"

    @property
    def elementwise(self) -> bool:
        return self.shape is shapes.broadcast


def _primitive(head: str, latex: str, derivative: Mapping[str, str] | None = None, **rest: Any) -> Primitive:
    name, arguments = head.rstrip(")").split("(")
    return Primitive(name, tuple(arguments.split(", ")), dict(derivative or {}), latex, **rest)


_REDUCE = {"axis": None, "keepdims": False}
_WINDOW = {"strides": 1, "dilation": 1, "padding": "valid"}
_SAME_WINDOW = "strides=strides, dilation=dilation, padding=padding"
_SAME_CONV = "strides=strides, dilation=dilation, groups=groups, padding=padding"
_HIT = "x == spread(out, x, axis, keepdims)"
_TIES = (
    f"where({_HIT}, spread(g, x, axis, keepdims)"
    f"/spread(sum(where({_HIT}, ones_like(x), 0), axis=axis, keepdims=keepdims), x, axis, keepdims), 0)"
)

_ROWS = [
    # arithmetic, written as operators
    _primitive("add(x, y)", "{x} + {y}", {"x": "g", "y": "g"}, symbol="+"),
    _primitive("subtract(x, y)", "{x} - {y}", {"x": "g", "y": "-g"}, symbol="-"),
    _primitive("multiply(x, y)", "{x} \\, {y}", {"x": "g*y", "y": "g*x"}, symbol="*"),
    _primitive("divide(x, y)", "\\frac{{{x}}}{{{y}}}", {"x": "g/y", "y": "-g*out/y"}, symbol="/", flops=4),
    _primitive("power(x, y)", "{x}^{{{y}}}", {"x": "g*y*x**(y - 1)", "y": "g*out*log(x)"}, symbol="**", flops=10),
    _primitive("negative(x)", "-{x}", {"x": "-g"}, symbol="-", rounding="exact"),
    # comparisons, written as operators
    _primitive("less(x, y)", "{x} < {y}", symbol="<", rounding="exact", dtype="bool"),
    _primitive("less_equal(x, y)", "{x} \\le {y}", symbol="<=", rounding="exact", dtype="bool"),
    _primitive("greater(x, y)", "{x} > {y}", symbol=">", rounding="exact", dtype="bool"),
    _primitive("greater_equal(x, y)", "{x} \\ge {y}", symbol=">=", rounding="exact", dtype="bool"),
    _primitive("equal(x, y)", "{x} = {y}", symbol="==", rounding="exact", dtype="bool"),
    _primitive("not_equal(x, y)", "{x} \\ne {y}", symbol="!=", rounding="exact", dtype="bool"),
    # functions of one number
    _primitive("abs(x)", "\\left|{x}\\right|", {"x": "g*sign(x)"}, rounding="exact"),
    _primitive("sign(x)", "\\operatorname{{sign}}\\left({x}\\right)", rounding="exact"),
    _primitive("floor(x)", "\\left\\lfloor{x}\\right\\rfloor", rounding="exact"),
    _primitive("exp(x)", "\\mathrm{{e}}^{{{x}}}", {"x": "g*out"}, flops=10),
    _primitive("expm1(x)", "\\left(\\mathrm{{e}}^{{{x}}} - 1\\right)", {"x": "g*exp(x)"}, flops=12),
    _primitive("log(x)", "\\ln\\left({x}\\right)", {"x": "g/x"}, flops=10),
    _primitive("log1p(x)", "\\ln\\left(1 + {x}\\right)", {"x": "g/(1 + x)"}, flops=12),
    _primitive("sqrt(x)", "\\sqrt{{{x}}}", {"x": "g/(2*out)"}, flops=4),
    _primitive("sin(x)", "\\sin\\left({x}\\right)", {"x": "g*cos(x)"}, flops=10),
    _primitive("cos(x)", "\\cos\\left({x}\\right)", {"x": "-g*sin(x)"}, flops=10),
    _primitive("tan(x)", "\\tan\\left({x}\\right)", {"x": "g*(1 + out**2)"}, flops=14),
    _primitive("sinh(x)", "\\sinh\\left({x}\\right)", {"x": "g*cosh(x)"}, flops=14),
    _primitive("cosh(x)", "\\cosh\\left({x}\\right)", {"x": "g*sinh(x)"}, flops=14),
    _primitive("tanh(x)", "\\tanh\\left({x}\\right)", {"x": "g*(1 - out**2)"}, flops=14),
    _primitive("arctan(x)", "\\arctan\\left({x}\\right)", {"x": "g/(1 + x**2)"}, flops=14),
    _primitive(
        "erf(x)",
        "\\operatorname{{erf}}\\left({x}\\right)",
        {"x": "1.1283791670955125738961589031215451716881012586579977136881714434*g*exp(-x**2)"},
        flops=20,
    ),
    _primitive(
        "erfc(x)",
        "\\operatorname{{erfc}}\\left({x}\\right)",
        {"x": "-1.1283791670955125738961589031215451716881012586579977136881714434*g*exp(-x**2)"},
        flops=20,
    ),
    _primitive("sigmoid(x)", "\\sigma\\left({x}\\right)", {"x": "g*out*(1 - out)"}, flops=14),
    # choices
    _primitive(
        "maximum(x, y)",
        "\\max\\left({x}, {y}\\right)",
        {"x": "where(x > y, g, where(x == y, g/2, 0))", "y": "where(x < y, g, where(x == y, g/2, 0))"},
        rounding="exact",
    ),
    _primitive(
        "minimum(x, y)",
        "\\min\\left({x}, {y}\\right)",
        {"x": "where(x < y, g, where(x == y, g/2, 0))", "y": "where(x > y, g, where(x == y, g/2, 0))"},
        rounding="exact",
    ),
    _primitive(
        "where(c, x, y)",
        "\\begin{{cases}} {x} & {c} \\\\ {y} & \\text{{otherwise}} \\end{{cases}}",
        {"x": "where(c, g, 0)", "y": "where(c, 0, g)"},
        rounding="exact",
    ),
    _primitive("ones_like(x)", "1", rounding="exact", flops=0),
    _primitive("stop_gradient(x)", "{x}", rounding="exact", flops=0),
    # reductions over `axis` (None: all axes)
    _primitive(
        "sum(x)",
        "\\sum{below} {x}",
        {"x": "spread(g, x, axis, keepdims)"},
        shape=shapes.reduction,
        options=_REDUCE,
        rounding="total",
    ),
    _primitive(
        "mean(x)",
        "\\operatorname{{mean}}{below}\\left({x}\\right)",
        {"x": "spread(g, x, axis, keepdims)/count(x, axis)"},
        shape=shapes.reduction,
        options=_REDUCE,
        rounding="total",
    ),
    _primitive(
        "max(x)", "\\max{below} {x}", {"x": _TIES}, shape=shapes.reduction, options=_REDUCE, rounding="exact"
    ),  # ties share the gradient, as in all three frameworks
    _primitive("min(x)", "\\min{below} {x}", {"x": _TIES}, shape=shapes.reduction, options=_REDUCE, rounding="exact"),
    _primitive(
        "argmax(x)",
        "\\operatorname{{arg\\,max}}{below} {x}",
        shape=shapes.reduction,
        options={"axis": -1},
        rounding="exact",
        dtype="index",
    ),
    # matrices and shapes
    _primitive(
        "matmul(x, y)",
        "{x} \\, {y}",
        {"x": "g @ transpose(y)", "y": "transpose(x) @ g"},
        shape=shapes.matrix_product,
        rounding="dot",
        symbol="@",
    ),
    _primitive(
        "transpose(x)",
        "{x}^\\top",
        {"x": "transpose(g, axes=inverse(axes))"},
        shape=shapes.permuted,
        options={"axes": None},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "reshape(x)",
        "{x}",
        {"x": "reshape(g, shape=shape_of(x))"},
        shape=shapes.reshaped,
        options={"shape": ()},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "flatten(x)",
        "\\operatorname{{flatten}}\\left({x}\\right)",
        {"x": "reshape(g, shape=shape_of(x))"},
        shape=shapes.flattened,
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "broadcast(x)",
        "{x}",
        {"x": "g"},
        shape=shapes.stretched,
        options={"shape": ()},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "slice(x)",
        "{x}",
        {"x": "pad(g, axis=axis, before=start, after=shape_of(x)[axis] - stop)"},
        shape=shapes.sliced,
        options={"axis": (), "start": (), "stop": ()},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "pad(x)",
        "\\operatorname{{pad}}\\left({x}\\right)",
        {"x": "slice(g, axis=axis, start=before, stop=before + shape_of(x)[axis])"},
        shape=shapes.padded,
        options={"axis": (), "before": (), "after": ()},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "flip(x)",
        "\\operatorname{{flip}}{below}\\left({x}\\right)",
        {"x": "flip(g, axis=axis)"},
        shape=shapes.along,
        options={"axis": 0},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "concatenate(*inputs)",
        "\\left[{inputs}\\right]",
        {"*inputs": "slice(g, axis=axis, start=begin(inputs, axis, position), stop=begin(inputs, axis, position + 1))"},
        shape=shapes.joined,
        options={"axis": -1},
        rounding="exact",
        flops=0,
    ),
    # indices: whole numbers
    _primitive("iota(x)", "i{below}", shape=shapes.along, options={"axis": -1}, rounding="exact", flops=0),
    _primitive("one_hot(i, like)", "\\mathbf{{1}}_{{{i}}}", shape=shapes.labelled, rounding="exact", flops=0),
    _primitive(
        "take(x, i)",
        "{x}_{{{i}}}",
        {"x": "put(g, i, shape=shape_of(x))"},
        shape=shapes.taken,
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "put(y, i)",
        "\\operatorname{{put}}_{{{i}}}\\left({y}\\right)",
        {"y": "take(g, i)"},
        shape=shapes.given,
        options={"shape": ()},
        rounding="total",
    ),
    # windows that slide over the spatial axes
    _primitive(
        "windows(x)",
        "\\operatorname{{windows}}\\left({x}\\right)",
        {"x": f"overlap_add(g, shape=shape_of(x), size=size, {_SAME_WINDOW})"},
        shape=shapes.windowed,
        options={"size": (), **_WINDOW, "fill": "zero"},
        rounding="exact",
        flops=0,
    ),
    _primitive(
        "overlap_add(y)",
        "\\operatorname{{windows}}^\\top\\left({y}\\right)",
        {"y": f"windows(g, size=size, {_SAME_WINDOW})"},
        shape=shapes.overlapped,
        options={"shape": (), "size": (), **_WINDOW},
        rounding="total",
    ),
    _primitive(
        "conv(x, k)",
        "{x} \\star {k}",
        {
            "x": f"conv_transposed(g, k, shape=shape_of(x), {_SAME_CONV})",
            "k": f"conv_kernel(x, g, shape=shape_of(k), {_SAME_CONV})",
        },
        shape=shapes.convolved,
        options={**_WINDOW, "groups": 1},
        rounding="dot",
    ),
    _primitive(
        "conv_transposed(y, k)",
        "{y} \\star^\\top {k}",
        {"y": f"conv(g, k, {_SAME_CONV})", "k": f"conv_kernel(g, y, shape=shape_of(k), {_SAME_CONV})"},
        shape=shapes.convolution_input,
        options={"shape": (), **_WINDOW, "groups": 1},
        rounding="dot",
    ),
    _primitive(
        "conv_kernel(x, y)",
        "{x} \\star^{{k}} {y}",
        {"x": f"conv_transposed(y, g, shape=shape_of(x), {_SAME_CONV})", "y": f"conv(x, g, {_SAME_CONV})"},
        shape=shapes.convolution_kernel,
        options={"shape": (), **_WINDOW, "groups": 1},
        rounding="dot",
    ),
    # linear algebra
    _primitive(
        "orthonormal(x)",
        "\\operatorname{{orth}}\\left({x}\\right)",
        shape=shapes.tall,
        rounding="backward",
        flops=4,
    ),
]

PRIMITIVES: Mapping[str, Primitive] = MappingProxyType({row.name: row for row in _ROWS})
"""Name -> primitive, in reading order."""
