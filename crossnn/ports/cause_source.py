"""Causes that show when one place of a port's source is edited: a constant, a keyword, a sign, the place of epsilon.

The edited function is compiled and called in memory, with the names that the original sees; so are those functions of
the same module that it calls. No file is changed. `causes=False` turns all of this off.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import FunctionType
from typing import Any

from crossnn.ports.causes import Suspect, Trial

EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0.0)
SLOPES = (0.01, 0.2, 0.3, 0.1, 0.25, 0.05, 1.0, 0.5)
AXES = (-1, 0, 1, 2, -2)
KEYWORDS: Sequence[tuple[str, str, Mapping[str, Sequence[Any]]]] = (
    ("gelu", "approximate gelu", {"approximate": (False, "none", True, "tanh")}),
    ("norm", "epsilon", {"eps": EPSILONS, "epsilon": EPSILONS}),
    ("leaky", "activation slope", {"negative_slope": SLOPES, "alpha": SLOPES}),
    ("elu", "activation slope", {"alpha": SLOPES}),
    ("var", "biased variance", {"unbiased": (False, True), "ddof": (0, 1), "correction": (0, 1)}),
    ("std", "biased variance", {"unbiased": (False, True), "ddof": (0, 1), "correction": (0, 1)}),
    ("softmax", "softmax axis", {"axis": AXES, "dim": AXES}),
    ("loss", "reduction", {"reduction": ("mean", "sum", "none")}),
    ("entropy", "reduction", {"reduction": ("mean", "sum", "none")}),
    ("kl_div", "reduction", {"reduction": ("batchmean", "mean", "sum")}),
    ("entropy", "label smoothing", {"label_smoothing": (0.0, 0.1)}),
    ("entropy", "from logits", {"from_logits": (True, False)}),
    ("norm", "training or inference", {"training": (False, True), "train": (False, True)}),
    ("drop", "training or inference", {"training": (False,), "p": (0.0,), "rate": (0.0,), "deterministic": (True,)}),
    ("attention", "training or inference", {"dropout_p": (0.0,)}),
    ("conv", "padding", {"padding": ("same", "valid", "SAME", "VALID", 0, 1, 2)}),
    ("pool", "padding", {"padding": ("same", "valid", "SAME", "VALID", 0, 1, 2)}),
)
"""A part of a function's name, what it is called if this was the mistake, and the keywords to try."""
REDUCTIONS = {"mean": "sum", "sum": "mean", "reduce_mean": "reduce_sum", "reduce_sum": "reduce_mean"}


@dataclass(frozen=True)
class Source:
    """Functions of a module that call each other, the first one the port; parsed, with the names that they see."""

    trees: tuple[ast.FunctionDef, ...]
    lines: tuple[int, ...]
    names: Mapping[str, Any]

    def built(self, number: int, changed: ast.FunctionDef) -> Callable[..., Any]:
        space = dict(self.names)
        for place, tree in reversed(list(enumerate(self.trees))):
            module = ast.Module([changed if place == number else tree], [])
            exec(compile(ast.fix_missing_locations(module), "<edited>", "exec", dont_inherit=True), space)
        function: Callable[..., Any] = space[self.trees[0].name]
        return function


@dataclass(frozen=True)
class Edit:
    """One changed place: `node` counts in the order of ast.walk, `new` makes what stands there instead. `also` are
    places that say the same and are changed with it."""

    cause: str
    node: int
    new: Callable[[Any], ast.AST]
    also: tuple[int, ...] = ()


def edited(suspect: Suspect) -> Iterator[Trial]:
    """The source of the port first, then that of the reference."""
    here, there = source_of(suspect.runner.port.function), source_of(suspect.right.port.function)
    for source, other, name, holds in (
        (here, there, "it agrees", suspect.mends),
        (there, here, "the reference agrees with it", suspect.spoils),
    ):
        if source is None:
            continue
        known = constants(other)
        for number, tree in enumerate(source.trees):
            for edit in edits(tree, known):
                changed = copy.deepcopy(tree)
                before, after, line = _applied(changed, edit)
                if before == after:
                    continue
                places = f" (and {len(edit.also)} more)" if edit.also else ""
                where = f"line {source.lines[number] + line - 1}{places} of {tree.name}"
                says = f"{name} when {where} reads `{after}` instead of `{before}`"
                yield Trial(edit.cause, says, partial(_tried, source, number, changed, holds))


def _tried(source: Source, number: int, changed: ast.FunctionDef, holds: Callable[..., bool]) -> bool:
    return holds({}, source.built(number, changed))


def source_of(function: Callable[..., Any]) -> Source | None:
    """None for what is no Python function with a readable source."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType):
        return None
    found: dict[str, FunctionType] = {}
    pending = [function]
    names = dict(function.__globals__)
    names.update(inspect.getclosurevars(function).nonlocals)
    trees, lines = [], []
    while pending:
        one = pending.pop(0)
        tree = _parsed(one)
        if one.__name__ in found or tree is None:
            continue
        found[one.__name__] = one
        trees.append(tree)
        lines.append(one.__code__.co_firstlineno)
        called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        near = [names[name] for name in sorted(called) if isinstance(names.get(name), FunctionType)]
        pending += [each for each in near if each.__module__ == function.__module__]
    return Source(tuple(trees), tuple(lines), names) if trees and found.get(function.__name__) is function else None


def _parsed(function: FunctionType) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    if not isinstance(tree, ast.FunctionDef):
        return None
    tree.decorator_list, tree.returns = [], None
    for argument in ast.walk(tree.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return tree


def constants(source: Source | None) -> list[float]:
    found = [node.value for tree in (source.trees if source else ()) for node in ast.walk(tree)
             if isinstance(node, ast.Constant) and isinstance(node.value, int | float)]  # fmt: skip
    return list(dict.fromkeys(float(one) for one in found if not isinstance(one, bool)))


def edits(tree: ast.FunctionDef, known: Sequence[float]) -> Iterator[Edit]:
    """Every change that is tried, the telling ones first. `known`: the constants of the other port."""
    nodes = list(ast.walk(tree))
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    tables = (
        _keywords, _epsilons, _named_constants, _reductions, _signs, _transposes, _factors, _counts, _other_constants,
    )  # fmt: skip
    for table in tables:
        for number, node in enumerate(nodes):
            like = tuple(_alike(nodes, number))
            for edit in table(number, node, parents, known):
                yield edit
                if like and number < like[0]:
                    yield replace(edit, also=like)


def _alike(nodes: Sequence[ast.AST], number: int) -> Iterator[int]:
    """Other places with the same constant, or a call of the same function."""
    node = nodes[number]
    for place, other in enumerate(nodes):
        if place == number or type(other) is not type(node):
            continue
        if isinstance(node, ast.Constant) and isinstance(other, ast.Constant):
            if type(node.value) is type(other.value) and node.value == other.value:
                yield place
        elif isinstance(node, ast.Call) and isinstance(other, ast.Call) and _name(node.func) == _name(other.func):
            yield place


Parents = Mapping[int, ast.AST]


def _keywords(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if not isinstance(node, ast.Call):
        return
    called = _name(node.func).lower()
    for part, cause, options in KEYWORDS:
        if part not in called:
            continue
        for keyword, values in options.items():
            more = [one for one in known if 0 < one < 1] if values in (EPSILONS, SLOPES) else []
            for value in dict.fromkeys([*more, *values]):

                def new(call: ast.Call, keyword: str = keyword, value: Any = value) -> ast.AST:
                    kept = [one for one in call.keywords if one.arg != keyword]
                    return ast.Call(call.func, call.args, [*kept, ast.keyword(keyword, ast.Constant(value))])

                yield Edit(cause, number, new)


def _is_small(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float) and 0 < node.value <= 1e-2
    return "eps" in _name(node)


def _epsilons(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """sqrt(x + eps) becomes sqrt(x) + eps, and the reverse."""
    half = ast.Constant(0.5)
    if isinstance(node, ast.Call) and "sqrt" in _name(node.func):
        inside = node.args[0] if node.args else getattr(node.func, "value", None)
        if isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Add) and _is_small(inside.right):
            root = ast.BinOp(ast.BinOp(inside.left, ast.Pow(), half), ast.Add(), inside.right)
            one = ast.BinOp(ast.Constant(1.0), ast.Div(), root) if "rsqrt" in _name(node.func) else root
            yield Edit("epsilon", number, lambda _: one)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_small(node.right):
        square = ast.BinOp(ast.BinOp(node.left, ast.Pow(), ast.Constant(2)), ast.Add(), node.right)
        yield Edit("epsilon", number, lambda _: ast.BinOp(square, ast.Pow(), half))
        yield Edit("epsilon", number, lambda _: node.left)


def _named_constants(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Constants whose name or place says what they are."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return
    value, hint = node.value, _hint(node, parents)
    if isinstance(value, str):
        for words, cause in ((("SAME", "VALID"), "padding"), (("same", "valid"), "padding"),
                             (("mean", "sum", "none", "batchmean"), "reduction"),
                             (("tanh", "none"), "approximate gelu")):  # fmt: skip
            if value in words:
                yield from (Edit(cause, number, _constant(one)) for one in words if one != value)
        return
    if not isinstance(value, int | float):
        return
    calls = " ".join(_calls(node, parents))
    if isinstance(value, int) and ("axis" in hint or "dim" in hint or "softmax" in calls):
        cause = "softmax axis" if "softmax" in calls else "axis"
        yield from (Edit(cause, number, _constant(one)) for one in AXES if one != value)
    elif "eps" in hint or (0 < value <= 1e-2 and ("norm" in calls or isinstance(parents.get(id(node)), ast.BinOp))):
        small = [one for one in known if 0 < one <= 1e-2]
        yield from (Edit("epsilon", number, _constant(one)) for one in (*small, *EPSILONS) if one != value)
    elif "momentum" in hint or "decay" in hint:
        near = [one for one in known if 0 < one < 1]
        yield from (Edit("batch-norm momentum", number, _constant(one)) for one in (*near, 1 - value) if one != value)
    if any(word in f"{calls} {hint}" for word in ("relu", "elu", "where", "maximum", "slope", "alpha")) and value > 0:
        near = [one for one in known if 0 < one <= 2]
        slopes = [one for one in (*near, *SLOPES) if one != value and abs(one - value) > 1e-3 * value]
        yield from (Edit("activation slope", number, _constant(one)) for one in slopes)


def _reductions(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.Attribute) and node.attr in REDUCTIONS:
        yield Edit("reduction", number, lambda one: ast.Attribute(one.value, REDUCTIONS[one.attr], ast.Load()))


def _signs(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield Edit("sign", number, lambda one: ast.BinOp(one.left, other, one.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield Edit("sign", number, lambda one: one.operand)


def _transposes(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield Edit("transposed kernel", number, lambda one: one.value)
    parent = parents.get(id(node))
    if isinstance(node, ast.expr) and isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.MatMult):
        yield Edit("transposed kernel", number, lambda one: ast.Attribute(one, "T", ast.Load()))


def _factors(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A factor is left out, doubled or halved."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        if isinstance(node.right, ast.Constant):
            yield Edit("factor", number, lambda one: one.left)
        if isinstance(node.left, ast.Constant) and isinstance(node.op, ast.Mult):
            yield Edit("factor", number, lambda one: one.right)
        for factor in (2.0, 0.5):
            yield Edit("factor", number, partial(_times, factor))


def _times(factor: float, one: Any) -> ast.AST:
    return ast.BinOp(ast.Constant(factor), ast.Mult(), one)


def _counts(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Whole numbers one larger or smaller."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        calls = " ".join(_calls(node, parents)) + _hint(node, parents)
        cause = "padding" if any(word in calls for word in ("pad", "conv", "pool")) else "off-by-one step"
        yield from (Edit(cause, number, _constant(one)) for one in (node.value - 1, node.value + 1))


def _other_constants(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Any number becomes one that the other port has."""
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield from (Edit("constant", number, _constant(one)) for one in known if one != node.value)


def _constant(value: Any) -> Callable[[Any], ast.AST]:
    return lambda _: ast.Constant(value)


def _name(node: ast.AST) -> str:
    """The last name of `torch.nn.functional.gelu`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _calls(node: ast.AST, parents: Parents) -> Iterator[str]:
    """The names of all functions among whose arguments a node stands."""
    up = parents.get(id(node))
    while up is not None:
        if isinstance(up, ast.Call):
            yield _name(up.func)
        up = parents.get(id(up))


def _hint(node: ast.AST, parents: Parents) -> str:
    """How a constant is called: the keyword, the argument whose default it is, the name that is assigned."""
    up = parents.get(id(node))
    match up:
        case ast.keyword(arg=str() as name):
            return name
        case ast.arguments():
            named = dict(zip(map(id, reversed(up.defaults)), reversed(up.args), strict=False))
            named.update(zip(map(id, up.kw_defaults), up.kwonlyargs, strict=False))
            return named[id(node)].arg if id(node) in named else ""
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def _applied(tree: ast.FunctionDef, edit: Edit) -> tuple[str, str, int]:
    """Edit in place; what the smallest part around it was and has become, and its line."""
    nodes = list(ast.walk(tree))
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    node = nodes[edit.node]
    shown: ast.AST = parents[id(node)]
    while isinstance(shown, ast.keyword | ast.arguments) or (
        not isinstance(shown, ast.stmt) and len(ast.unparse(shown)) < 12
    ):
        shown = parents[id(shown)]
    line = getattr(node, "lineno", getattr(shown, "lineno", 1))
    before = _short(shown)
    for place in (edit.node, *edit.also):
        _replace(parents[id(nodes[place])], nodes[place], ast.copy_location(edit.new(nodes[place]), nodes[place]))
    if isinstance(node, ast.Call | ast.BinOp):
        return _short(node), _short(edit.new(node)), line
    return before, _short(shown), line


def _replace(parent: ast.AST, node: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is node:
            setattr(parent, name, new)
        elif isinstance(value, list):
            value[:] = [new if one is node else one for one in value]


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef):
        node = ast.FunctionDef(node.name, node.args, [ast.Pass()], [], None)
        return ast.unparse(ast.fix_missing_locations(node)).splitlines()[0].rstrip(":")
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
