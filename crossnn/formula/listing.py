"""A graph as text: one numbered line a node, before and after each simplification pass.

%0 = input x            float[128, 10]
%1 = constant 0.5
%2 = multiply %0 %1     float[128, 10]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher

from crossnn.formula.graph import Graph, Node
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.simplify import PASSES


def listing(graph: Graph) -> str:
    """Every node in recording order; what the result does not need is marked, and the last lines count."""
    return "\n".join([*_lines(graph), f"return {', '.join(_results(graph))}", counts(graph)])


def counts(graph: Graph) -> str:
    """`7 nodes: 1 input, 2 constants, 4 primitives (2 add, 1 exp, 1 multiply); 1 unused`."""
    kinds = Counter(node.operation for node in graph.nodes)
    inputs, constants = kinds.pop("input", 0), kinds.pop("constant", 0)
    each = ", ".join(f"{number} {name}" for name, number in sorted(kinds.items()))
    unused = len(graph.nodes) - len({id(node) for node in graph.live()} & {id(node) for node in graph.nodes})
    parts = [_plural(inputs, "input"), _plural(constants, "constant"), _plural(sum(kinds.values()), "primitive")]
    tail = f" ({each})" if each else ""
    return f"{_plural(len(graph.nodes), 'node')}: {', '.join(parts)}{tail}" + (f"; {unused} unused" if unused else "")


def pass_report(graph: Graph) -> str:
    """Run the passes as `simplify` does, and show what each removed (-) and put in its place (+)."""
    parts = [f"as recorded\n{listing(graph)}"]
    for turn in (1, 2):
        for name, step in PASSES.items():
            after = step(graph)
            changed = _difference(graph, after)
            if changed or turn == 1:
                head = name if turn == 1 else f"{name}, again"
                body = "\n".join(changed) if changed else "  nothing to do"
                parts.append(f"{head}: {len(graph.nodes)} -> {len(after.nodes)} nodes\n{body}")
            graph = after
    parts.append(f"simplified\n{listing(graph)}")
    return "\n\n".join(parts)


def _difference(before: Graph, after: Graph) -> list[str]:
    """Removed lines with the numbers of `before`, added lines with those of `after`; users are not repeated only
    because a number shifted."""
    old, new = _lines(before), _lines(after)
    matcher = SequenceMatcher(None, _signatures(before), _signatures(after), autojunk=False)
    changed = []
    for tag, first, last, start, stop in matcher.get_opcodes():
        if tag != "equal":
            changed += [f"- {line}" for line in old[first:last]] + [f"+ {line}" for line in new[start:stop]]
    return changed


def _signatures(graph: Graph) -> list[tuple[object, ...]]:
    return [
        (node.operation, node.name, node.shape, repr(sorted(_options(node).items())), tuple(map(_leaf, node.inputs)))
        for node in graph.nodes
    ]


def _leaf(node: Node) -> object:
    """Inputs of a node that keep their identity through every pass: arguments and numbers."""
    if node.operation == "constant":
        return node.name or node.options["value"]
    return node.name if node.operation == "input" else node.operation


def _options(node: Node) -> Mapping[str, object]:
    if node.operation == "constant":
        return {"value": node.options["value"]}
    defaults = PRIMITIVES[node.operation].options if node.operation in PRIMITIVES else {}
    return {key: value for key, value in node.options.items() if value != defaults.get(key, ())}


def _lines(graph: Graph) -> list[str]:
    number = {id(node): index for index, node in enumerate(graph.nodes)}
    needed = {id(node) for node in graph.live()} | {id(node) for node in graph.nodes if node.operation == "input"}
    shown = [(f"%{number[id(node)]} = {_expression(node, number)}", node) for node in graph.nodes]
    width = min(max((len(text) for text, _ in shown), default=0), 60)
    lines = []
    for text, node in shown:
        shape = "" if node.operation == "constant" else f"{node.dtype}{list(node.shape)}"
        name = f"  {node.name}" if node.name and node.operation not in ("input", "constant") else ""
        unused = "" if id(node) in needed else "  unused"
        lines.append(f"{text:<{width}}  {shape}{name}{unused}".rstrip())
    return lines


def _expression(node: Node, number: Mapping[int, int]) -> str:
    if node.operation == "input":
        return f"input {node.name}"
    if node.operation == "constant":
        value = node.options["text"] or repr(node.options["value"])
        return f"constant {value}" + (f" ({node.name})" if node.name else "")
    operands = [f"%{number[id(child)]}" for child in node.inputs]
    return " ".join([node.operation, *operands, *(f"{key}={value!r}" for key, value in _options(node).items())])


def _results(graph: Graph) -> list[str]:
    number = {id(node): index for index, node in enumerate(graph.nodes)}
    return [f"%{number[id(node)]}" for node in graph.results]


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
