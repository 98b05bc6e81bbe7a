"""Formulas as a lecture prints them.

Both readings end in one `_apply`: the text of a formula keeps the author's shape; a graph is written out in full,
except for what the author named and what would otherwise be printed twice. A part is (LaTeX, level): how tightly it
binds, so that a parenthesis appears exactly where leaving it out would change the meaning. A part of a text also knows
what its axes are called, as far as that follows from the inputs: a sum says over what it goes, by `{below}` in the
`latex` of its primitive.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crossnn.formula.axes import SETS, Axes, axes_of, called, literal, places
from crossnn.formula.grammar import COMPARISONS, OPERATORS, Formula, Knobs, knob_condition, parse
from crossnn.formula.graph import Graph, Node
from crossnn.formula.primitives import CONSTANTS, PRIMITIVES


class Part(NamedTuple):
    """A piece of LaTeX, how tightly it binds, and the axes of its value."""

    text: str
    level: int
    axes: Axes = None


CASES, COMPARISON, SUM, PREFIX, SIGNED, PRODUCT, FRACTION, POWER, ATOM = range(9)
"""Levels, loosest first. PREFIX is `\\sum x`: nothing may follow as a factor. SIGNED is `-x`: nothing may precede."""

_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split()
)
_LETTERS = {"eps": "\\varepsilon", "lr": "\\eta", "lam": "\\lambda", "lambd": "\\lambda", "fan": "n"}
_EULER = "\\mathrm{e}"
_BINARY: Mapping[str, tuple[int, int, int]] = {  # name -> own level, least level of its left and of its right part
    "add": (SUM, SUM, SUM),
    "subtract": (SUM, SUM, PREFIX),
    "multiply": (PRODUCT, SIGNED, PREFIX),
    "matmul": (PRODUCT, SIGNED, PREFIX),
    "divide": (FRACTION, CASES, CASES),
    "power": (POWER, ATOM, CASES),
    **dict.fromkeys(COMPARISONS.values(), (COMPARISON, SUM, SUM)),
    **dict.fromkeys(("conv", "conv_transposed", "conv_kernel"), (SUM, POWER, POWER)),
}
_SILENT = frozenset({"stop_gradient", "reshape", "broadcast"})
_LONG = 40


@dataclass
class Notation:
    """What the names of a row are printed as, and what the axes of their values are called; `latex` adds the axes of
    what a line assigns."""

    symbols: Mapping[str, str] = field(default_factory=dict)
    axes: dict[str, Axes] = field(default_factory=dict)
    elementwise: str = ""
    """The sign between the factors of an element by element product, where there are matrix products beside it."""

    def symbol(self, name: str) -> str:
        return self.symbols.get(name) or name_latex(name)


def latex(formula: Formula | str, knobs: Knobs | None = None, notation: Notation | None = None) -> str:
    """A formula, or an update line with its arrow. Without `knobs` each convention is shown with its condition."""
    read = parse(formula) if isinstance(formula, str) else formula
    reading = _Reading(read.text, read.body, knobs, notation or Notation())
    found = reading.part(read.tree)
    if read.target is None:
        return found.text
    reading.notation.axes[read.target] = found.axes
    return f"{reading.notation.symbol(read.target)} \\leftarrow {found.text}"


def distinct_symbols(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A symbol for each name, no two alike: the name itself stands upright where its symbol is `taken` already."""
    found: dict[str, str] = {}
    used = {_EULER, *taken}
    for name in dict.fromkeys(names):
        shown = name_latex(name)
        if shown in used:
            shown = f"\\mathrm{{{_plain(name)}}}"
        while shown in used:
            shown += "'"
        used.add(shown)
        found[name] = shown
    return found


@dataclass(frozen=True)
class _Reading:
    """One text that is read: a formula, or the name of an axis. `body` is what the tree was read from."""

    text: str
    body: str
    knobs: Knobs | None
    notation: Notation

    def part(self, node: ast.expr) -> Part:
        match node:
            case ast.Constant():
                return _number(ast.get_source_segment(self.body, node) or ast.unparse(node))._replace(axes=())
            case ast.Name(id=name):
                return Part(self.notation.symbol(name), ATOM, self.notation.axes.get(name, _scalar(name)))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.part(operand)
            case ast.UnaryOp(operand=operand):
                return self.call("negative", [operand], {})
            case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
                above, below = _wrap(self.part(left), PRODUCT), _wrap(self.part(right), POWER)
                return Part(f"\\lfloor {above} / {below} \\rfloor", ATOM)
            case ast.BinOp(left=left, op=operator, right=right):
                return self.call(OPERATORS[type(operator)], [left, right], {})
            case ast.Compare(left=left, ops=[operation], comparators=[right]):
                return self.call(COMPARISONS[type(operation)], [left, right], {})
            case ast.IfExp(test=test, body=body, orelse=orelse):
                if self.knobs is not None:
                    return self.part(body if knob_condition(self.text, test, self.knobs) else orelse)
                chosen, otherwise = self.part(body), self.part(orelse)
                cases = _cases(chosen.text, _knob(ast.unparse(test)), otherwise.text)
                return cases._replace(axes=chosen.axes if chosen.axes == otherwise.axes else None)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return Part(f"({', '.join(self.part(one).text for one in parts)})", ATOM)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                return self.call(name, arguments, {str(option.arg): option.value for option in keywords})
        raise AssertionError(f"the grammar let {ast.dump(node)} pass")

    def call(self, name: str, arguments: Sequence[ast.expr], options: Mapping[str, ast.expr]) -> Part:
        """A primitive on its arguments."""
        parts = [self.part(argument) for argument in arguments]
        values = {**PRIMITIVES[name].options, **{key: literal(node) for key, node in options.items()}}
        shown = {
            key: self.part(node).text for key, node in options.items() if key in _SHOWN and values[key] is not None
        }
        below = self.below(values.get("axis"), parts[0].axes)
        inputs = [one.axes for one in parts]
        sign = self.notation.elementwise if name == "multiply" and () not in inputs else ""
        found = _binary(name, parts, sign) if sign else _apply(name, parts, shown, below)
        return found._replace(axes=axes_of(name, inputs, values, self.notation.axes))

    # What axes are called.

    def below(self, axis: Any, axes: Axes) -> str:
        """The axes that an option names, as an index: by their names where these say which ones, else by number."""
        if axis is None:
            return ""
        which = places(axis, axes, self.notation.axes) or ()
        names = [called(axes, place) for place in which]
        if axes is not None and names and all(names) and not any(
            called(axes, place) in names for place in range(len(axes)) if place not in which
        ):  # fmt: skip
            return f"_{{{', '.join(self.axis_name(name) for name in dict.fromkeys(names))}}}"
        if isinstance(axis, ast.Name) and axis.id in SETS:
            return f"_{{\\text{{{SETS[axis.id]}}}}}"
        if isinstance(axis, ast.expr):
            return f"_{{\\text{{axes }} {self.part(axis).text}}}"
        return _numbered(axis)

    def axis_name(self, name: str) -> str:
        if name.isidentifier():
            return self.notation.symbol(name)
        return _Reading(name, name, None, self.notation).part(ast.parse(name, mode="eval").body).text


_SHOWN = frozenset({"start", "stop", "axes"})


def _scalar(name: str) -> Axes:
    return () if name in CONSTANTS else None


def _numbered(axis: Any) -> str:
    """The axes by their numbers."""
    if axis is None:
        return ""
    numbers = [axis] if isinstance(axis, int) else list(axis)
    if numbers == [-1]:
        return "_{\\text{last axis}}"
    return f"_{{\\text{{{'axis' if len(numbers) == 1 else 'axes'} }} {', '.join(map(str, numbers))}}}"


def graph_latex(graph: Graph, names: Sequence[str] = ()) -> list[str]:
    """The graph line by line: first what is named or used twice, then each result, called by `names` where given."""
    live = graph.live()
    uses = Counter(id(child) for node in live for child in node.inputs)
    symbols = distinct_symbols([node.name for node in live if node.name], names)
    parts: dict[int, Part] = {}
    lines: list[str] = []
    shared = 0
    for node in live:
        part = _node(node, [parts[id(child)] for child in node.inputs], symbols)
        computed = node.operation not in ("input", "constant")
        if computed and (node.name or (uses[id(node)] > 1 and len(part.text) > _LONG)):
            shared += not node.name
            while not node.name and f"u_{{{shared}}}" in symbols.values():
                shared += 1
            name = symbols[node.name] if node.name else f"u_{{{shared}}}"
            lines.append(f"{name} = {part.text}")
            part = Part(name, ATOM)
        parts[id(node)] = part
    results = [parts[id(node)].text for node in graph.results]
    heads = [*(f"{name} = " for name in names), *[""] * len(results)]
    return [*lines, *(head + text for head, text in zip(heads, results, strict=False))]


def _node(node: Node, parts: list[Part], symbols: Mapping[str, str]) -> Part:
    if node.operation == "input":
        return Part(symbols[node.name], ATOM)
    if node.operation == "constant":
        text = node.options["text"] or repr(node.options["value"])
        return Part(symbols[node.name], ATOM) if node.name else _number(text)
    shown = {key: str(value) for key, value in node.options.items() if key in _SHOWN and value is not None}
    return _apply(node.operation, parts, shown, _numbered(node.options.get("axis")))


def name_latex(name: str) -> str:
    """`beta1` is \\beta_{1}, `lr` \\eta, `fan_in` n_{\\mathrm{in}}, `y_hat` \\hat{y}; a word stands upright."""
    head, _, rest = name.partition("_")
    if rest == "hat":
        return f"\\hat{{{name_latex(head)}}}"
    split = re.fullmatch(r"([A-Za-z]+)(\d+)", head)
    letters, number = split.groups() if split else (head, "")
    if letters in _LETTERS:
        shown = _LETTERS[letters]
    elif letters in _GREEK:
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
        return Part(name_latex(text), ATOM)
    mantissa, _, exponent = text.lower().partition("e")
    level = ATOM
    if mantissa.endswith(".0"):
        mantissa = mantissa[:-2]
    if exponent:
        power = f"10^{{{int(exponent)}}}"
        level = POWER if mantissa == "1" else PRODUCT
        mantissa = power if mantissa == "1" else f"{mantissa} \\cdot {power}"
    return Part(mantissa, SIGNED if mantissa.startswith("-") else level)


def _wrap(part: Part, level: int) -> str:
    return part.text if part.level >= level else f"\\left({part.text}\\right)"


def _indexed(part: Part) -> str:
    """What an index is put to: one that has an index already is put into braces."""
    text = _wrap(part, ATOM)
    return f"{{{text}}}" if re.search(r"_\{[^()]*$", text) else text


def _apply(name: str, parts: Sequence[Part], options: Mapping[str, str], below: str) -> Part:
    """A primitive on parts; `options` and the axes `below` it as they are printed."""
    if name in _BINARY:
        return _binary(name, parts)
    if name == "where":
        condition, chosen, otherwise = (part.text for part in parts)
        return _cases(chosen, condition, otherwise)
    if name == "slice":
        return Part(f"{_indexed(parts[0])}_{{{options['start']}:{options['stop']}}}", POWER)
    if name == "take":
        return Part(_fill(name, _indexed(parts[0]), parts[1].text), POWER)
    if len(parts) != 1 or PRIMITIVES[name].variadic:
        return Part(_fill(name, *(part.text for part in parts)), ATOM)
    (part,) = parts
    match name:
        case "negative" if part.level == PREFIX and not part.text.startswith("-"):
            return Part(f"-{part.text}", PREFIX)
        case "negative":
            return Part(f"-{_wrap(part, PRODUCT)}", SIGNED)
        case "log1p" if part.text.startswith("-"):
            return Part(f"\\ln\\left(1 - {part.text[1:]}\\right)", ATOM)
        case "log1p":
            return Part(_fill(name, _wrap(part, SUM)), ATOM)
        case "sum" | "max" | "min" | "argmax":
            return Part(_fill(name, _wrap(part, PRODUCT), below=below), PREFIX)
        case "transpose" if "axes" not in options:
            return Part(_fill(name, _wrap(part, ATOM)), POWER)
        case "transpose":
            return Part(f"\\operatorname{{transpose}}_{{{options['axes']}}}\\left({part.text}\\right)", ATOM)
        case _ if name in _SILENT:
            return part
    return Part(_fill(name, part.text, below=below), POWER if name == "exp" else ATOM)


def _binary(name: str, parts: Sequence[Part], sign: str = "") -> Part:
    left, right = parts
    own, least_left, least_right = _BINARY[name]
    first, second = _wrap(left, least_left), _wrap(right, least_right)
    if SUM <= own <= PRODUCT and second.startswith("-"):
        second = f"\\left({second}\\right)"
    elif own == PRODUCT and right.level == PREFIX:
        own = PREFIX
    if own == PRODUCT and first.startswith("-"):
        own = SIGNED
    if name == "multiply" and second[0].isdigit():
        sign = sign or "\\cdot"
    if sign:
        return Part(f"{first} {sign} {second}", own)
    return Part(_fill(name, first, second), own)


def _fill(name: str, *texts: str, below: str = "") -> str:
    primitive = PRIMITIVES[name]
    if primitive.variadic:
        return primitive.latex.format(inputs=", ".join(texts))
    return primitive.latex.format(**dict(zip(primitive.arguments, texts, strict=True)), below=below)


def _cases(chosen: str, condition: str, otherwise: str) -> Part:
    """Cases inside the last case become further lines of the same brace."""
    inner = re.fullmatch(r"\\begin\{cases\} (.*) \\end\{cases\}", otherwise)
    single = inner is not None and inner.group(1).count("\\begin{cases}") == inner.group(1).count("\\end{cases}")
    balanced = single and "\\end{cases}" not in str(inner and inner.group(1)).split("\\begin{cases}")[0]
    last = inner.group(1) if inner is not None and balanced else f"{otherwise} & \\text{{otherwise}}"
    return Part(f"\\begin{{cases}} {chosen} & \\text{{if }} {condition} \\\\ {last} \\end{{cases}}", CASES)
