"""Options of primitives: `axis=-1`, `shape=(batch, -1)`, `strides=strides`, `stop=2*units`.

An option is decided before anything runs. It is a literal, the name of a setting (a knob, an option of a layer, a
dimension of its input), or whole-number arithmetic of these: + - * // and tuples, in which a name that stands for
several numbers gives all of them. Values are bounded like everything in a formula.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

from crossnn.errors import FormulaError, choices
from crossnn.formula.limits import MAX_ELEMENTS, python_tree, refusal, shorten

Statics = Mapping[str, Any]
"""What a name may stand for in an option: a whole number, several, True or False, or the choice of a knob."""

MAX_PARTS = 60
_SIZES = frozenset({"size", "strides", "dilation"})
_COUNTS = frozenset({"start", "stop", "before", "after", "groups"})
_CHOICES = {"padding": ("valid", "same"), "fill": ("zero", "lowest")}


def check_option(text: str, name: str, node: ast.expr) -> None:
    """Refuse at reading what can be no option; what contains a name is looked at again when it is known."""
    _check_size(text, node)
    if not names_in(text, node):
        option_value(text, name, node, {})


def _check_size(text: str, node: ast.expr) -> None:
    if sum(1 for _ in ast.walk(node)) > MAX_PARTS:
        raise refusal(text, node, f"an option has at most {MAX_PARTS} parts")


def names_in(text: str, node: ast.expr) -> set[str]:
    """The settings that an option names; refuses what is no option at all."""
    match node:
        case ast.Constant(value=bool() | int() | str() | None):
            return set()
        case ast.Name(id=name):
            return {name}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return names_in(text, operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv(), right=right):
            return names_in(text, left) | names_in(text, right)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return set().union(*(names_in(text, part) for part in parts))
    raise refusal(text, node, "an option is a literal such as -1, True or (0, 1), a setting, or arithmetic of these")


def option_value(text: str, name: str, node: ast.expr, statics: Statics) -> Any:
    """The value of the option `name`, checked against what that option may be."""
    value = _value(text, node, statics)
    whole = isinstance(value, int) and not isinstance(value, bool)
    several = isinstance(value, tuple)
    numbers: tuple[int, ...] = value if isinstance(value, tuple) else (value,) if whole else ()
    if name == "keepdims":
        right, wanted = isinstance(value, bool), "True or False"
    elif name == "axis":
        right, wanted = whole or several or value is None, "a whole number, a tuple of them, or None"
    elif name == "axes":
        right, wanted = several or value is None, "a tuple of whole numbers, or None"
    elif name in _SIZES:
        right = (whole or several) and all(number >= 1 for number in numbers)
        wanted = "a whole number from 1, or a tuple of them"
    elif name in _COUNTS:
        right, wanted = whole and value >= 0, "a whole number from 0"
    elif name in _CHOICES:
        right, wanted = value in _CHOICES[name], choices(_CHOICES[name])
    else:
        right, wanted = several, "a tuple of whole numbers"
    if not right:
        raise refusal(text, node, f"{name} is {wanted}" + (f", not {value!r}" if names_in(text, node) else ""))
    if any(abs(number) > MAX_ELEMENTS for number in numbers) or math.prod(numbers) > MAX_ELEMENTS:
        raise refusal(text, node, f"{name} is larger than {MAX_ELEMENTS:,}")
    return value


def whole_numbers(text: str, statics: Statics) -> tuple[int, ...]:
    """The numbers that a text such as `4*units` or `kernel_size` stands for."""
    try:
        tree = python_tree(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormulaError(f"{shorten(text)!r} cannot be read: whole numbers, names, + - * //") from None
    _check_size(text, tree)
    names_in(text, tree)
    value = _value(text, tree, statics)
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_ELEMENTS:
            raise FormulaError(f"{shorten(text)} = {number!r}; a length is a whole number from 1 to {MAX_ELEMENTS:,}")
    return numbers


def _value(text: str, node: ast.expr, statics: Statics) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            if name not in statics:
                raise refusal(text, node, f"{name!r} is no setting here; known: {choices(statics) or 'none'}")
            return _plain(statics[name])
        case ast.UnaryOp(operand=operand):
            return -_number(text, operand, statics)
        case ast.BinOp(left=left, op=operator, right=right):
            return _arithmetic(text, node, operator, _number(text, left, statics), _number(text, right, statics))
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            values = [_value(text, part, statics) for part in parts]
            flat = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
            if not all(type(one) is int for one in flat):
                raise refusal(text, node, "a tuple holds whole numbers only")
            return tuple(flat)
    raise AssertionError(ast.dump(node))


def _number(text: str, node: ast.expr, statics: Statics) -> int:
    value = _value(text, node, statics)
    if type(value) is not int:
        raise refusal(text, node, f"{value!r} is no whole number to calculate with")
    return value


def _arithmetic(text: str, node: ast.expr, operator: ast.operator, left: int, right: int) -> int:
    if isinstance(operator, ast.FloorDiv) and right == 0:
        raise refusal(text, node, "division by zero")
    match operator:
        case ast.Add():
            value = left + right
        case ast.Sub():
            value = left - right
        case ast.Mult():
            value = left * right
        case _:
            value = left // right
    if abs(value) > MAX_ELEMENTS:
        raise refusal(text, node, f"{value:,} is larger than {MAX_ELEMENTS:,}")
    return value


def _plain(value: Any) -> Any:
    """A setting as an option takes it: 6.0 from a file is the number 6, a list is a tuple."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
