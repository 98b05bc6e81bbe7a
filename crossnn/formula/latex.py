"""Formulas as a lecture prints them.

Both readings end in one `_apply`: the text of a formula keeps the author's shape; a graph is written out in full,
except for what the author named and what would otherwise be printed twice. A part is (LaTeX, level): how tightly it
binds, so that a parenthesis appears exactly where leaving it out would change the meaning.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from crossnn.formula.grammar import COMPARISONS, OPERATORS, Formula, Knobs, knob_condition, parse
from crossnn.formula.graph import Graph, Node
from crossnn.formula.primitives import PRIMITIVES

Part = tuple[str, int]

CASES, COMPARISON, SUM, PREFIX, PRODUCT, FRACTION, POWER, ATOM = range(8)
"""Levels, loosest first. PREFIX is `\\sum x` and `-x`: nothing may follow as a factor."""

_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega".split()
)
_LETTERS = {"eps": "\\varepsilon", "lr": "\\eta", "lam": "\\lambda", "fan": "n"}
_BINARY: Mapping[str, tuple[int, int, int]] = {  # name -> own level, least level of its left and of its right part
    "add": (SUM, SUM, SUM),
    "subtract": (SUM, SUM, PREFIX),
    "multiply": (PRODUCT, PRODUCT, PREFIX),
    "matmul": (PRODUCT, PRODUCT, PREFIX),
    "divide": (FRACTION, CASES, CASES),
    "power": (POWER, ATOM, CASES),
    **dict.fromkeys(COMPARISONS.values(), (COMPARISON, SUM, SUM)),
}
_SILENT = frozenset({"stop_gradient", "reshape", "broadcast"})
_LONG = 40


def latex(formula: Formula | str, knobs: Knobs | None = None) -> str:
    """A formula, or an update line with its arrow. Without `knobs` each convention is shown with its condition."""
    read = parse(formula) if isinstance(formula, str) else formula

    def visit(node: ast.expr) -> Part:
        match node:
            case ast.Constant():
                return _number(ast.get_source_segment(read.body, node) or ast.unparse(node))
            case ast.Name(id=name):
                return name_latex(name), ATOM
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return visit(operand)
            case ast.UnaryOp(operand=operand):
                return _apply("negative", [visit(operand)], {})
            case ast.BinOp(left=left, op=operator, right=right):
                return _apply(OPERATORS[type(operator)], [visit(left), visit(right)], {})
            case ast.Compare(left=left, ops=[operation], comparators=[right]):
                return _apply(COMPARISONS[type(operation)], [visit(left), visit(right)], {})
            case ast.IfExp(test=test, body=body, orelse=orelse):
                if knobs is not None:
                    return visit(body if knob_condition(read.text, test, knobs) else orelse)
                return _cases(visit(body)[0], _knob(ast.unparse(test)), visit(orelse)[0])
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                options = {str(option.arg): _option(option.value) for option in keywords}
                return _apply(name, [visit(argument) for argument in arguments], options)
        raise AssertionError(f"the grammar let {ast.dump(node)} pass")

    text = visit(read.tree)[0]
    return f"{name_latex(read.target)} \\leftarrow {text}" if read.target else text


def _option(node: ast.expr) -> Any:
    """The value of an option where it is written out, else its text."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def graph_latex(graph: Graph, names: Sequence[str] = ()) -> list[str]:
    """The graph line by line: first what is named or used twice, then each result, called by `names` where given."""
    live = graph.live()
    uses = Counter(id(child) for node in live for child in node.inputs)
    parts: dict[int, Part] = {}
    lines: list[str] = []
    shared = 0
    for node in live:
        part = _node(node, [parts[id(child)] for child in node.inputs])
        computed = node.operation not in ("input", "constant")
        if computed and (node.name or (uses[id(node)] > 1 and len(part[0]) > _LONG)):
            shared += not node.name
            name = name_latex(node.name) if node.name else f"u_{{{shared}}}"
            lines.append(f"{name} = {part[0]}")
            part = (name, ATOM)
        parts[id(node)] = part
    results = [parts[id(node)][0] for node in graph.results]
    heads = [*(f"{name} = " for name in names), *[""] * len(results)]
    return [*lines, *(head + text for head, text in zip(heads, results, strict=False))]


def _node(node: Node, parts: list[Part]) -> Part:
    if node.operation == "input":
        return name_latex(node.name), ATOM
    if node.operation == "constant":
        text = node.options["text"] or repr(node.options["value"])
        return (name_latex(node.name), ATOM) if node.name else _number(text)
    return _apply(node.operation, parts, node.options)


def name_latex(name: str) -> str:
    """`beta1` is \\beta_{1}, `lr` \\eta, `fan_in` n_{\\mathrm{in}}, `y_hat` \\hat{y}; a word stands upright."""
    head, _, rest = name.partition("_")
    if rest == "hat":
        return f"\\hat{{{name_latex(head)}}}"
    split = re.fullmatch(r"([A-Za-z]+)(\d+)", head)
    letters, number = split.groups() if split else (head, "")
    if letters in _LETTERS:
        shown = _LETTERS[letters]
    elif letters.lower() in _GREEK:
        shown = f"\\{letters}"
    else:
        shown = letters if len(letters) == 1 else f"\\mathrm{{{_plain(letters)}}}"
    below = ", ".join([*([number] if number else []), *(_below(word) for word in rest.split("_") if word)])
    return f"{shown}_{{{below}}}" if below else shown


def _knob(test: str) -> str:
    name, equals, choice = test.partition(" == ")
    return f"\\text{{{_plain(name)}}}" + (f" = \\text{{{_plain(choice[1:-1])}}}" if equals else "")


def _below(word: str) -> str:
    return word if len(word) == 1 or word.isdigit() else f"\\mathrm{{{_plain(word)}}}"


def _plain(text: str) -> str:
    return re.sub(r"([_%&#$])", r"\\\1", text)


def _number(text: str) -> Part:
    if not re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", text.lower()):
        return name_latex(text), ATOM
    mantissa, _, exponent = text.lower().partition("e")
    level = ATOM
    if mantissa.endswith(".0"):
        mantissa = mantissa[:-2]
    if exponent:
        power = f"10^{{{int(exponent)}}}"
        level = POWER if mantissa == "1" else PRODUCT
        mantissa = power if mantissa == "1" else f"{mantissa} \\cdot {power}"
    return mantissa, PREFIX if mantissa.startswith("-") else level


def _wrap(part: Part, level: int) -> str:
    text, own = part
    return text if own >= level else f"\\left({text}\\right)"


def _apply(name: str, parts: list[Part], options: Mapping[str, Any]) -> Part:
    if name in _BINARY:
        return _binary(name, *parts)
    if name == "where":
        condition, chosen, otherwise = (text for text, _ in parts)
        return _cases(chosen, condition, otherwise)
    if name == "slice":
        return f"{_wrap(parts[0], ATOM)}_{{{options['start']}:{options['stop']}}}", POWER
    if len(parts) != 1 or PRIMITIVES[name].variadic:
        return _fill(name, *(text for text, _ in parts)), ATOM
    (part,) = parts
    axis, axes = options.get("axis"), options.get("axes")
    match name:
        case "negative":
            return f"-{_wrap(part, PRODUCT)}", PREFIX
        case "log1p" if part[0].startswith("-"):
            return f"\\ln\\left(1 - {part[0][1:]}\\right)", ATOM
        case "log1p":
            return _fill(name, _wrap(part, SUM)), ATOM
        case "sum" | "max" | "min" | "argmax":
            below = "" if axis in (None, -1) else f"_{{\\text{{axis }} {axis}}}"
            return _fill(name, _wrap(part, PRODUCT)).replace(" ", f"{below} ", 1), PREFIX
        case "transpose" if axes is None:
            return _fill(name, _wrap(part, ATOM)), POWER
        case "transpose":
            return f"\\operatorname{{transpose}}_{{{axes}}}\\left({part[0]}\\right)", ATOM
        case _ if name in _SILENT:
            return part
    return _fill(name, part[0]), POWER if name == "exp" else ATOM


def _binary(name: str, left: Part, right: Part) -> Part:
    own, least_left, least_right = _BINARY[name]
    first, second = _wrap(left, least_left), _wrap(right, least_right)
    if SUM <= own <= PRODUCT and second.startswith("-"):
        second = f"\\left({second}\\right)"
    elif own == PRODUCT and right[1] == PREFIX:
        own = PREFIX
    if name == "multiply" and second[0].isdigit():
        return f"{first} \\cdot {second}", own
    return _fill(name, first, second), own


def _fill(name: str, *texts: str) -> str:
    primitive = PRIMITIVES[name]
    if primitive.variadic:
        return primitive.latex.format(inputs=", ".join(texts))
    return primitive.latex.format(**dict(zip(primitive.arguments, texts, strict=True)))


def _cases(chosen: str, condition: str, otherwise: str) -> Part:
    """Cases inside the last case become further lines of the same brace."""
    inner = re.fullmatch(r"\\begin\{cases\} (.*) \\end\{cases\}", otherwise)
    single = inner is not None and inner.group(1).count("\\begin{cases}") == inner.group(1).count("\\end{cases}")
    balanced = single and "\\end{cases}" not in str(inner and inner.group(1)).split("\\begin{cases}")[0]
    last = inner.group(1) if inner is not None and balanced else f"{otherwise} & \\text{{otherwise}}"
    return f"\\begin{{cases}} {chosen} & \\text{{if }} {condition} \\\\ {last} \\end{{cases}}", CASES
