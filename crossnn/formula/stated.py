"""Derivative rules as the table of primitives states them, to be read: of operands u and z; what arrives is g."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossnn.formula.primitives import PRIMITIVES, Primitive

SLOPE_OF_ERF = "1.12837916709551257389589031"
"""How 2/sqrt(pi) begins, which the rule of erf spells out."""
_OPERANDS = {"x": "u", "y": "z", "k": "z"}


@dataclass(frozen=True)
class Rule:
    """How a primitive hands a derivative on: `of` is the primitive applied to u and z, `by` one of these. `formula`:
    both texts are formulas of the language, and name no shapes or options."""

    of: str
    by: str
    text: str
    summed: bool = False
    formula: bool = True

    def __str__(self) -> str:
        more = ", summed over what was repeated" if self.summed else ""
        return f"d({self.of})/d{self.by}: {self.text}{more}"


def stated(primitive: Primitive, position: int, summed: bool = False) -> Rule:
    """The rule for one operand; `summed` where it was repeated and its shares are added up."""
    arguments = primitive.arguments
    argument = arguments[0] if primitive.variadic else arguments[position]
    renamed = {name: _OPERANDS.get(name, name) for name in arguments}
    tree = ast.parse(primitive.derivative[argument], mode="eval").body
    head = _head(primitive, list(renamed.values()))
    named = _Renamed(renamed, ast.parse(head, mode="eval").body if primitive.elementwise else None).visit(tree)
    text = ast.unparse(named)
    for sign in ("*", "/", "**"):
        text = text.replace(f" {sign} ", sign)
    return Rule(head, renamed[argument].lstrip("*"), text, summed, primitive.elementwise or primitive.name == "matmul")


def _head(primitive: Primitive, names: Sequence[str]) -> str:
    if primitive.symbol and len(names) == 2:
        tight = "" if primitive.symbol in ("*", "/", "**") else " "
        return f"{names[0]}{tight}{primitive.symbol}{tight}{names[1]}"
    return f"-{names[0]}" if primitive.symbol else f"{primitive.name}({', '.join(names)})"


class _Renamed(ast.NodeTransformer):
    """Operands by their new names, the result spelled out, and numbers that mean something as what they mean."""

    def __init__(self, names: Mapping[str, str], out: ast.expr | None) -> None:
        self.names = names
        self.out = out

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "out" and self.out is not None:
            return self.out
        return ast.Name(self.names.get(node.id, node.id))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """What derive.py looks up from shapes is named in words."""
        self.generic_visit(node)
        match node.func:
            case ast.Name(id="spread"):
                return ast.Call(ast.Name("repeated"), node.args[:1], [])
            case ast.Name(id="count"):
                return ast.Name("count")
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, float) and repr(node.value).startswith(SLOPE_OF_ERF[:15]):
            return ast.parse("2/sqrt(pi)", mode="eval").body
        return node


def rule_of(name: str, position: int = 0) -> Rule:
    """The rule by which a primitive hands a derivative on to one of its operands."""
    return stated(PRIMITIVES[name], position)
