"""StableHLO, read from its text: what JAX hands to the compiler.

Read as leniently as HLO (hlo.py). Functions that are called are walked through, since JAX makes one of every small
helper; what an operation holds in braces (the body of a loop or of a reduction) is part of it and makes no vertices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crossnn.drawing.view import Vertex, View

_FUNCTION = re.compile(r"^\s*func\.func\s+(?:\w+\s+)?@(?P<name>[\w.\-]+)\((?P<arguments>.*)$")
_LINE = re.compile(r"^\s*(?P<names>%[\w#]+(?::\d+)?(?:\s*,\s*%[\w#]+(?::\d+)?)*)\s*=\s*(?P<rest>.+)$")
_VALUE = re.compile(r"%[\w]+(?:#\d+)?")
_CONSTANT = re.compile(r"dense<(.*)>\s*:")
_TYPE = re.compile(r"tensor<([^<>]*)>")


@dataclass
class _Function:
    """The names of the parameters with their types, the lines of the body, the values that are returned."""

    parameters: list[tuple[str, str]]
    lines: list[tuple[str, str]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)


def stablehlo_view(text: str, engine: str, stage: str, names: Sequence[str] = (), note: str = "") -> View:
    """The view of the function `main`; `names` are those of its parameters, in order."""
    functions = _parse(text)
    if "main" not in functions:
        raise ValueError("this StableHLO text has no function @main")
    main = functions["main"]
    vertices: list[Vertex] = []
    known = {}
    for place, (value, shape) in enumerate(main.parameters):
        name = names[place] if place < len(names) else value.lstrip("%")
        vertices.append(Vertex(value, "parameter", (), "input", name, shape))
        known[value] = value
    results = _read(main, functions, known, "", vertices)
    return View(engine, stage, tuple(vertices), tuple(dict.fromkeys(results)), text, note=note)


def _parse(text: str) -> Mapping[str, _Function]:
    found: dict[str, _Function] = {}
    current: _Function | None = None
    depth = inside = 0
    for line in text.splitlines():
        head = _FUNCTION.match(line)
        if head:
            arguments = head["arguments"].split("->")[0]
            current = found[head["name"]] = _Function(re.findall(r"(%\w+)\s*:\s*tensor<([^<>]*)>", arguments))
            current.parameters[:] = [(value, _shape(kind)) for value, kind in current.parameters]
            inside = depth + 1
        elif current is not None and depth == inside:
            stripped = line.strip()
            if (match := _LINE.match(line)) is not None:
                current.lines.append((match["names"], match["rest"]))
            elif stripped.startswith(("return ", "func.return ", "stablehlo.return ")):
                current.results = _VALUE.findall(stripped)
        depth += line.count("{") - line.count("}")
        if current is not None and depth < inside:
            current = None
    return found


def _read(
    function: _Function, functions: Mapping[str, _Function], known: dict[str, str], prefix: str, vertices: list[Vertex]
) -> list[str]:
    for names, rest in function.lines:
        first = names.split(",")[0].split(":")[0].strip()
        call = re.match(r"(?:func\.)?call\s+@([\w.\-]+)\(([^)]*)\)", rest)
        if call and call[1] in functions:
            inner = functions[call[1]]
            given = [known[one] for one in _VALUE.findall(call[2]) if one in known]
            values = dict(zip((name for name, _ in inner.parameters), given, strict=False))
            results = _read(inner, functions, values, f"{prefix}{first}/", vertices)
            known.update({f"{first}#{place}": key for place, key in enumerate(results)})
            if results:
                known[first] = results[0]
            continue
        operation = rest.split("(")[0].split()[0].strip('"').removeprefix("stablehlo.").removeprefix("chlo.")
        types = _TYPE.findall(rest)
        shape = _shape(types[-1]) if types else ""
        key = f"{prefix}{first}"
        constant = _CONSTANT.search(rest) if operation == "constant" else None
        if operation == "constant":
            written = _number(constant[1]) if constant else ""
            vertices.append(Vertex(key, operation, (), "constant", written, shape))
        else:
            inputs = [known[one] for one in _VALUE.findall(rest) if one in known]
            vertices.append(Vertex(key, operation, tuple(inputs), "operation", "", shape))
        known[first] = key
        known.update({f"{first}#{place}": key for place in range(_count(names))})
    return [known[one] for one in function.results if one in known]


def _count(names: str) -> int:
    head = names.split(",")[0]
    return int(head.split(":")[1]) if ":" in head else 1


def _number(text: str) -> str:
    """`1.000000e+00` as 1; arrays of numbers have no short text."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text if len(text) <= 12 else ""


def _shape(kind: str) -> str:
    """`2x3xf64` as f64[2, 3], as HLO writes it."""
    *lengths, element = kind.split("x") if re.fullmatch(r"(?:\d+x)*[a-z]\w*", kind) else [kind]
    return f"{element}[{', '.join(lengths)}]"
