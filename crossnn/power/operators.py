"""Mutation operators: the mistakes that people make in formulas, each as a function from a part to its wrong texts.

One operator is one kind of mistake; its name is what the report says. What an operator makes need not differ from the
original: whether it does is decided by the oracle, never here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from crossnn.formula.primitives import PRIMITIVES
from crossnn.power.site import Site, cut, flows

Operator = Callable[[Site], Iterator[str]]

SMALL = "1e-6"
"""A relative change that no eye sees and float64 shows by nine digits."""
DROP = "1e-8"
"""The relative size of what a float32 number in float64 code loses."""
SPLIT = 2.0**29 + 1
"""Dekker 1971: s*x - (s*x - x) is x rounded to the 24 bits of float32."""
ROUNDED = " + 0"
"""How the text of a mutant ends that differs in rounding alone."""

_SYMBOLS: Mapping[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@",
}  # fmt: skip
_OTHER: Mapping[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*"}
_NEXT: Mapping[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"), ast.LtE: ("<", ">="), ast.Gt: (">=", "<"), ast.GtE: (">", "<="),
    ast.Eq: ("!=",), ast.NotEq: ("==",),
}  # fmt: skip
_NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    "exp": ("expm1",), "expm1": ("exp",), "log": ("log1p",), "log1p": ("log",), "tanh": ("sigmoid",),
    "sigmoid": ("tanh",), "sin": ("cos",), "cos": ("sin",), "sinh": ("cosh",), "cosh": ("sinh",), "erf": ("erfc",),
    "erfc": ("erf",), "arctan": ("tanh",), "maximum": ("minimum",), "minimum": ("maximum",), "max": ("min",),
    "min": ("max",), "abs": ("",), "sqrt": ("",), "floor": ("",), "sign": ("",), "flip": ("",), "stop_gradient": ("",),
}  # fmt: skip
"""What is taken for a primitive by mistake; nothing stands for leaving it out."""


def _binary(site: Site) -> tuple[str, str, type[ast.operator]] | None:
    node = site.node
    return (site.text(node.left), site.text(node.right), type(node.op)) if isinstance(node, ast.BinOp) else None


def other_operator(site: Site) -> Iterator[str]:
    if (found := _binary(site)) and found[2] in _OTHER:
        yield f"{found[0]}{_OTHER[found[2]]}{found[1]}"


def term_dropped(site: Site) -> Iterator[str]:
    match _binary(site):
        case left, right, ast.Add:
            yield from (left, right)
        case left, right, ast.Sub:
            yield from (left, f"-{right}")


def factor_dropped(site: Site) -> Iterator[str]:
    match _binary(site):
        case left, right, ast.Mult:
            yield from (left, right)
        case left, right, ast.Div:
            yield from (left, f"1/{right}")
        case left, _, ast.Pow:
            yield left


def arguments_swapped(site: Site) -> Iterator[str]:
    match _binary(site):
        case left, right, (ast.Sub | ast.Div | ast.Pow | ast.MatMult) as operator:
            yield f"{right}{_SYMBOLS[operator]}{left}"
    if site.call in ("where", "concatenate"):
        *first, one, other = site.arguments
        yield site.called(arguments=[*first, other, one])


def sign_changed(site: Site) -> Iterator[str]:
    if isinstance(site.node, ast.UnaryOp):
        yield site.text(site.node.operand)
    elif site.call and len(site.arguments) == 1 and PRIMITIVES[site.call].elementwise:
        yield site.called(arguments=[f"-{site.arguments[0]}"])


def constant_moved(site: Site) -> Iterator[str]:
    if isinstance(site.node, ast.Constant) and isinstance(site.node.value, int | float):
        text, value = site.original, site.node.value
        yield from (f"{text} + 1", f"{text} - 1") if value else ("1", SMALL)
        if value:
            yield from (f"2*{text}", f"-{text}", f"{text}*(1 + {SMALL})")


def parameter_ignored(site: Site) -> Iterator[str]:
    """Its default stands in its place; or it is a little wrong."""
    if isinstance(site.node, ast.Name) and site.node.id in site.scope.numbers:
        yield f"{site.scope.numbers[site.node.id]!r}"
        yield f"{site.node.id}*(1 + {SMALL})"


def comparison_changed(site: Site) -> Iterator[str]:
    if isinstance(site.node, ast.Compare):
        left, right = site.text(site.node.left), site.text(site.node.comparators[0])
        yield from (f"{left} {sign} {right}" for sign in _NEXT[type(site.node.ops[0])])


def epsilon_moved(site: Site) -> Iterator[str]:
    """From inside a root to outside, from outside to inside, from a denominator to the numerator."""
    if site.call == "sqrt" and (inner := _with_epsilon(site, site.node.args[0])):  # type: ignore[attr-defined]
        yield f"sqrt({inner[0]}) + {inner[1]}"
    node = site.node
    if not (outer := _with_epsilon(site, node)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and (below := _with_epsilon(site, node.right)):
            yield f"{site.text(node.left)}/{below[0]} + {below[1]}"
        return
    if outer[0].startswith("sqrt("):
        yield f"sqrt({outer[0][5:-1]} + {outer[1]})"
    yield f"{outer[0]} - {outer[1]}"
    yield f"maximum({outer[0]}, {outer[1]})"


def _with_epsilon(site: Site, node: ast.expr) -> tuple[str, str] | None:
    """(what, epsilon) of `what + eps`."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=ast.Name(id=name)) if name.startswith("eps"):
            return site.text(left), name
    return None


def correction_missing(site: Site) -> Iterator[str]:
    """`1 - beta**t` is left out, or taken of the power before it."""
    match site.node:
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=ast.BinOp(op=ast.Pow(), left=beta)):
            yield "1"
            yield f"1 - {site.text(beta)}"


def step_off_by_one(site: Site) -> Iterator[str]:
    if isinstance(site.node, ast.Name) and site.node.id in site.scope.counts:
        yield from (f"{site.node.id} - 1", f"{site.node.id} + 1")


def reduction_changed(site: Site) -> Iterator[str]:
    if site.call in ("sum", "mean"):
        yield site.called("mean" if site.call == "sum" else "sum")
    if site.call == "mean":
        total = site.called("sum")
        count = site.called("sum", [f"ones_like({site.arguments[0]})"])
        yield f"{total}/({count} - 1)"


def axis_changed(site: Site) -> Iterator[str]:
    axis = site.options.get("axis")
    if site.call not in ("sum", "mean", "max", "min", "argmax", "iota", "flip", "concatenate", "slice") or axis is None:
        return
    others = {
        "-1": ("0", "-2"),
        "0": ("-1",),
        "1": ("-1", "0"),
        "leading": ("-1", "0"),
        "spatial": ("-1", "1", "leading"),
    }
    yield from (site.called(axis=one) for one in others.get(axis.strip("()"), ("0", "1")))
    if site.call in ("sum", "mean", "max", "min"):
        yield site.called(axis=None)


def transposed(site: Site) -> Iterator[str]:
    match _binary(site):
        case left, right, ast.MatMult:
            yield from (f"transpose({left}) @ {right}", f"{left} @ transpose({right})")
    if site.call == "transpose":
        yield site.arguments[0]
        axes = site.options.get("axes", "").strip("()").split(", ")
        if len(axes) > 2:
            yield site.called(axes=f"({', '.join([*axes[:-2], axes[-1], axes[-2]])})")
    if site.call == "reshape" and site.options["shape"].count(",") > 1:
        first, *rest = site.options["shape"].strip("()").split(", ")
        yield site.called(shape=f"({', '.join([first, *rest[::-1]])})")


def gate_exchanged(site: Site) -> Iterator[str]:
    """Another part of what is cut into gates."""
    if site.call == "slice":
        mine = cut(site.node)
        for options in site.scope.slices:
            if options != mine:
                yield f"slice({site.arguments[0]}, {options})"


def option_changed(site: Site) -> Iterator[str]:
    """What is not set stands at its default."""
    for name, text in site.options.items():
        if name == "padding":
            yield site.called(padding="'valid'" if "same" in text else "'same'")
        elif name in ("strides", "dilation", "groups", "fill", "keepdims"):
            left_out: dict[str, str | None] = {name: None}
            yield site.called(None, None, **left_out)


def neighbour_taken(site: Site) -> Iterator[str]:
    for other in _NEIGHBOURS.get(site.call, ()):
        yield site.called(other) if other else site.arguments[0]


def name_exchanged(site: Site) -> Iterator[str]:
    """Another tensor of the row stands here."""
    if isinstance(site.node, ast.Name) and site.node.id in site.scope.values:
        others = [name for name in site.scope.values if name != site.node.id]
        place = site.scope.values.index(site.node.id)
        yield from dict.fromkeys([*others[place : place + 1], *others[:1]])


def knob_ignored(site: Site) -> Iterator[str]:
    if isinstance(site.node, ast.IfExp):
        yield from (site.text(site.node.body), site.text(site.node.orelse))


def precision_dropped(site: Site) -> Iterator[str]:
    """A constant as a float32 number has it, an intermediate value rounded to float32, or wrong by as much."""
    node = site.node
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        short = float(np.float32(node.value))
        if short != node.value and np.isfinite(short):
            yield f"{short!r}"
        elif node.value:
            yield f"{site.original}*(1 + {DROP})"
    elif isinstance(node, ast.Name) and node.id in site.scope.numbers:
        yield f"{node.id}*(1 + {DROP})"
    elif isinstance(node, ast.BinOp | ast.Call) and not site.condition:
        yield f"{site.whole}*(1 + {DROP})"
        part, split = site.whole, f"{SPLIT:.0f}*{site.whole}"
        yield f"{part} + stop_gradient({split} - ({split} - {part}) - {part}){ROUNDED}"


def gradient_spoiled(site: Site) -> Iterator[str]:
    """The value is right and the slope is not: no slope, twice the slope, the opposite one, one wrong by a little."""
    node = site.node
    if site.condition or site.flat or not flows(node, site.scope.smooth):
        return
    if not isinstance(node, ast.Name | ast.BinOp | ast.Call):
        return
    yield f"stop_gradient({site.original})"
    yield f"2*{site.whole} - stop_gradient({site.whole})"
    yield f"2*stop_gradient({site.whole}) - {site.whole}"
    yield f"{site.whole} + ({SMALL}*{site.whole} - stop_gradient({SMALL}*{site.whole}))"


OPERATORS: Mapping[str, Operator] = {
    "operator": other_operator,
    "term dropped": term_dropped,
    "factor dropped": factor_dropped,
    "arguments swapped": arguments_swapped,
    "sign": sign_changed,
    "constant": constant_moved,
    "parameter": parameter_ignored,
    "comparison": comparison_changed,
    "epsilon": epsilon_moved,
    "bias correction": correction_missing,
    "step count": step_off_by_one,
    "reduction": reduction_changed,
    "axis": axis_changed,
    "transpose": transposed,
    "gate order": gate_exchanged,
    "option": option_changed,
    "neighbour": neighbour_taken,
    "name": name_exchanged,
    "knob": knob_ignored,
    "precision": precision_dropped,
    "gradient only": gradient_spoiled,
}
"""Name -> operator on one part of a formula; those on whole rows are in exchanged.py."""
