"""Symbolic graphs: the interpreter that records a formula instead of computing it.

A `Node` stands where a number would stand. Arithmetic on it, or a primitive applied to it, appends a node to its
tape; nothing is computed. That recording is what Theano's graph, `tf.Graph` and a jaxpr are. A `Graph` is a recorded
function: named arguments, a result, and the tape in order of recording, dead ends included.

Arguments and results are trees: a node, or dictionaries and tuples of trees (`params["hidden.kernel"]`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from crossnn.errors import FormulaError, choices
from crossnn.formula.grammar import COMPARISONS, OPERATORS, Formula, Knobs, knob_condition
from crossnn.formula.options import Statics, option_value
from crossnn.formula.primitives import CONSTANTS, PRIMITIVES
from crossnn.formula.shapes import Shape

Tree = Any  # a Node, or dicts and tuples of trees


class Node:
    """One value of a recorded computation: an input, a constant, or a primitive applied to nodes. What was recorded
    in a repeated step knows which: (the loop, the place in it)."""

    __slots__ = ("dtype", "inputs", "name", "operation", "options", "shape", "step", "tape")

    def __init__(
        self,
        tape: list[Node],
        operation: str,
        inputs: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
        shape: Shape = (),
        dtype: str = "float",
        name: str = "",
    ) -> None:
        self.tape = tape
        self.operation = operation
        self.inputs = inputs
        self.options: Mapping[str, Any] = options or {}
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.step: tuple[int, int] | None = None
        tape.append(self)

    def __repr__(self) -> str:
        return f"<{self.name or self.operation} {self.dtype}{list(self.shape)}>"

    def apply(self, name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Node:
        """Record a primitive; plain numbers among the arguments become constants."""
        primitive = PRIMITIVES[name]
        inputs = tuple(self.lift(argument) for argument in arguments)
        complete = {**primitive.options, **options}
        shape = primitive.shape(name, [node.shape for node in inputs], complete)
        return Node(self.tape, name, inputs, complete, shape, primitive.dtype)

    def lift(self, value: Any) -> Node:
        if isinstance(value, Node):
            return value
        if getattr(value, "shape", ()) == ():
            return constant(self.tape, float(value))
        if value.size and not any(getattr(value, "strides", (1,))):  # one number, repeated
            number = constant(self.tape, float(value.flat[0]))
            return number.apply("broadcast", (number,), {"shape": tuple(value.shape)})
        raise FormulaError(f"an array of shape {value.shape} met a recorded graph: pass it as an argument instead")

    def __add__(self, other: Any) -> Node:
        return self.apply("add", (self, other), {})

    def __radd__(self, other: Any) -> Node:
        return self.apply("add", (other, self), {})

    def __sub__(self, other: Any) -> Node:
        return self.apply("subtract", (self, other), {})

    def __rsub__(self, other: Any) -> Node:
        return self.apply("subtract", (other, self), {})

    def __mul__(self, other: Any) -> Node:
        return self.apply("multiply", (self, other), {})

    def __rmul__(self, other: Any) -> Node:
        return self.apply("multiply", (other, self), {})

    def __truediv__(self, other: Any) -> Node:
        return self.apply("divide", (self, other), {})

    def __rtruediv__(self, other: Any) -> Node:
        return self.apply("divide", (other, self), {})

    def __pow__(self, other: Any) -> Node:
        return self.apply("power", (self, other), {})

    def __rpow__(self, other: Any) -> Node:
        return self.apply("power", (other, self), {})

    def __matmul__(self, other: Any) -> Node:
        return self.apply("matmul", (self, other), {})

    def __rmatmul__(self, other: Any) -> Node:
        return self.apply("matmul", (other, self), {})

    def __neg__(self) -> Node:
        return self.apply("negative", (self,), {})

    def __lt__(self, other: Any) -> Node:
        return self.apply("less", (self, other), {})

    def __le__(self, other: Any) -> Node:
        return self.apply("less_equal", (self, other), {})

    def __gt__(self, other: Any) -> Node:
        return self.apply("greater", (self, other), {})

    def __ge__(self, other: Any) -> Node:
        return self.apply("greater_equal", (self, other), {})

    def __bool__(self) -> bool:
        raise FormulaError(f"{self!r} has no value yet: a recorded graph cannot take an if; write where(c, x, y)")

    __array_ufunc__ = None  # so that `array * node` reaches __rmul__ instead of becoming an object array


def constant(tape: list[Node], value: float, text: str = "", name: str = "") -> Node:
    """A number. `text` is how it was written, which the oracle reads at its own precision; without it the binary
    value itself is meant, as for a hyper-parameter, whose `name` is kept for display."""
    return Node(tape, "constant", options={"value": value, "text": text}, name=name)


def _recorder(name: str) -> Callable[..., Node]:
    def record(*arguments: Any, **options: Any) -> Node:
        for argument in arguments:
            if isinstance(argument, Node):
                return argument.apply(name, arguments, options)
        raise FormulaError(f"{name}{arguments} has nothing to record: none of its arguments is symbolic")

    record.__name__ = name
    return record


GRAPH: Mapping[str, Callable[..., Node]] = {name: _recorder(name) for name in PRIMITIVES}
"""The meaning that records."""


def record(
    formula: Formula,
    names: Mapping[str, Node],
    tape: list[Node],
    knobs: Knobs | None = None,
    statics: Statics | None = None,
    meaning: Mapping[str, Callable[..., Node]] = GRAPH,
) -> Node:
    """Record a parsed formula. `names` gives a node for each free name, `knobs` decides each `a if knob else b`, and
    `statics` says what the names in options stand for. Another `meaning` may record a primitive as several."""

    def visit(node: ast.expr) -> Node:
        match node:
            case ast.Constant(value=int() | float() as value):
                return constant(tape, float(value), ast.get_source_segment(formula.body, node) or repr(value))
            case ast.Name(id=name):
                return lookup(name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return visit(operand)
            case ast.UnaryOp(operand=operand):
                return meaning["negative"](visit(operand))
            case ast.BinOp(left=left, op=operator, right=right):
                return meaning[OPERATORS[type(operator)]](visit(left), visit(right))
            case ast.Compare(left=left, ops=[operation], comparators=[right]):
                return meaning[COMPARISONS[type(operation)]](visit(left), visit(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return visit(body if knob_condition(formula.text, test, knobs or {}) else orelse)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                options = {
                    str(one.arg): option_value(formula.body, str(one.arg), one.value, statics or {}) for one in keywords
                }
                return meaning[name](*map(visit, arguments), **options)
        raise AssertionError(f"the grammar let {ast.dump(node)} pass")

    def lookup(name: str) -> Node:
        if name in names:
            return names[name]
        if name in CONSTANTS:
            return constant(tape, float(CONSTANTS[name]), name)
        raise FormulaError(
            f"in formula {formula.text!r}: unknown name {name!r}; known names: {choices([*names, *CONSTANTS])}"
        )

    return visit(formula.tree)


@dataclass(frozen=True)
class Graph:
    """A recorded function: argument trees by name, a result tree, and every node in recording order."""

    arguments: Mapping[str, Tree]
    result: Tree
    nodes: tuple[Node, ...]

    @classmethod
    def trace(cls, function: Callable[..., Tree], arguments: Mapping[str, Tree]) -> Self:
        """Call `function` with symbolic inputs. `arguments` holds shapes where the function wants tensors."""
        tape: list[Node] = []
        inputs = {name: symbolic(tape, name, shape) for name, shape in arguments.items()}
        result = function(**inputs)
        anchor = tape[0] if tape else constant(tape, 0.0)
        return cls(inputs, map_tree(anchor.lift, result), tuple(tape))

    @property
    def results(self) -> list[Node]:
        return list(leaves(self.result))

    def live(self) -> list[Node]:
        """The nodes that the result needs, inputs before users."""
        return topological(self.results)


class Indices(tuple[int, ...]):
    """The shape of an input that holds whole numbers: labels, tokens."""


def shape_of(array: Any) -> Shape:
    """The shape with which a function of this array is recorded."""
    return Indices(array.shape) if array.dtype.kind in "iu" else tuple(array.shape)


def symbolic(tape: list[Node], name: str, shape: Tree) -> Tree:
    """An input of this shape; of a tree of shapes, the inputs by their own names."""
    if isinstance(shape, Mapping):
        return {key: symbolic(tape, key, inner) for key, inner in shape.items()}
    dtype = "index" if isinstance(shape, Indices) else "float"
    return Node(tape, "input", shape=tuple(shape), dtype=dtype, name=name)


def leaves(tree: Tree) -> Iterator[Any]:
    """The tensors of a tree, in order."""
    if isinstance(tree, Mapping):
        for inner in tree.values():
            yield from leaves(inner)
    elif isinstance(tree, tuple | list):
        for inner in tree:
            yield from leaves(inner)
    else:
        yield tree


def map_tree(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with `function` applied to every tensor."""
    if isinstance(tree, Mapping):
        return {key: map_tree(function, inner) for key, inner in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(map_tree(function, inner) for inner in tree)
    return function(tree)


def topological(results: Sequence[Node]) -> list[Node]:
    """Everything the results depend on, inputs first; iterative, so that depth is no limit."""
    order: list[Node] = []
    seen: set[int] = set()
    pending: list[tuple[Node, bool]] = [(node, False) for node in reversed(results)]
    while pending:
        node, finished = pending.pop()
        if finished:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            pending.append((node, True))
            pending.extend((child, False) for child in reversed(node.inputs) if isinstance(child, Node))
    return order
