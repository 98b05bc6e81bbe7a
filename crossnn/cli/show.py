"""`crossnn show`: a specification as formula, LaTeX, derivative, graph and generated code.

Nothing of a framework is imported unless a backend is named.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from crossnn.catalogue.example import SHOWABLE, Example, example
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Experiment, Formulated, Layer, Network, Optimizer, Row
from crossnn.cli.options import comma_list, split_arguments
from crossnn.errors import BackendError, CrossnnError, SpecError
from crossnn.formula.cost import cost
from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph, leaves
from crossnn.formula.latex import latex, name_latex
from crossnn.formula.listing import pass_report
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.simplify import simplify
from crossnn.formula.source import OPERATORS, to_source

GENERIC: Mapping[str, Any] = {**dict.fromkeys(PRIMITIVES), **OPERATORS}
"""A meaning without functions: for code that is read and not run."""

_HEADS = {
    "activation": "f(x)",
    "loss": "\\ell(y, t)",
    "metric": "m(y, t)",
    "regularizer": "R(w)",
    "initializer": "w",
    "schedule": "\\eta(t)",
    "clipping": "g",
    "layer": "y",
}
_SLOPES = {
    "activation": "f'(x)",
    "loss": "\\frac{\\partial \\ell}{\\partial y}",
    "regularizer": "\\frac{\\partial R}{\\partial w}",
}


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME ... [FILE.toml ...]")
@click.option(
    "--backend",
    multiple=True,
    callback=comma_list(),
    metavar="NAME",
    help="The code that this backend runs; repeatable.",
)
@click.option("--gradient", is_flag=True, help="The code of the derivative, by crossnn's own rules.")
@click.option(
    "--graph",
    is_flag=True,
    help="The symbolic graph before and after each simplification; with --gradient, that of the derivative.",
)
@click.option("--latex", "as_latex", is_flag=True, help="LaTeX alone.")
@click.option("--knob", multiple=True, metavar="NAME=VALUE", help="Choose a convention or set a hyper-parameter; "
              "repeatable.")  # fmt: skip
def show(
    names: Sequence[str], backend: Sequence[str], gradient: bool, graph: bool, as_latex: bool, knob: Sequence[str]
) -> None:
    """Show what NAME is: formula, LaTeX, derivative, and with options the graph and the generated code."""
    wanted, files = split_arguments(names)
    catalogue = load_catalogue(files)
    rows = [catalogue.find(name) for name in wanted] or [row for file in files for row in catalogue.of_file(file)]
    given = dict(_setting(text) for text in knob)
    parts: list[str] = []
    for row in rows:
        if row.kind not in SHOWABLE and not (backend or gradient or graph or as_latex):
            parts.append(_table(row, {}))
            continue
        one = example(row, given)
        if as_latex:
            parts += latex_lines(row, one.knobs)
            continue
        parts.append(_table(row, one.knobs))
        if graph:
            parts.append(_section("graph", _graph_text(one, gradient)))
        if backend:
            for name in backend:
                parts += list(_backend_code(one, name, gradient))
        elif gradient or not graph:
            parts.append(_section("code", _code(one, gradient)))
    click.echo(("\n" if as_latex else "\n\n").join(parts))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name or not value:
        raise SpecError(f"--knob {text!r}: write NAME=VALUE, such as --knob eps_place=inside")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _section(title: str, body: str) -> str:
    return f"{title}\n" + "\n".join(f"  {line}".rstrip() for line in body.splitlines())


def _table(row: Row, knobs: Mapping[str, bool | str]) -> str:
    """Everything that the row says, with LaTeX and derivative."""
    parts = [f"{row.name}  ({row.kind}, {row.file})"]
    details = [("source", row.source), *((key, value) for key, value in _settings(row) if value)]
    if any(value for _, value in details):
        width = max(len(key) for key, _ in details)
        parts[0] += "\n" + "\n".join(f"  {key:<{width}}  {value}" for key, value in details if value)
    if isinstance(row, Formulated):
        texts = [("definition", row.definition), ("let", "\n".join(row.let)), ("formula", row.formula)]
        parts += [_section(title, text) for title, text in [*texts, ("derivative, as claimed", row.derivative)] if text]
    elif isinstance(row, Optimizer):
        parts.append(_section("update", "\n".join(row.update)))
    elif isinstance(row, Layer):
        lines = [
            ("let", row.let),
            (f"step, for each place of {row.over}", row.step),
            ("running statistics", row.update),
        ]
        parts += [_section(title, "\n".join(text)) for title, text in lines if text]
        parts += [_section(title, text) for title, text in row.texts()]
    elif isinstance(row, Network):
        parts.append(_section("layers", "\n".join(_inline(layer) for layer in row.layers)))
    elif isinstance(row, Experiment):
        parts.append(_section("made of", "\n".join(_parts(row))))
    chosen = ", ".join(f"{name} = {value}".lower() for name, value in knobs.items())
    lines = latex_lines(row, knobs)
    title = f"LaTeX, with {chosen}" if chosen else "LaTeX"
    return "\n\n".join([*parts, *([_section(title, "\n".join(lines))] if lines else [])])


def _inline(table: Mapping[str, Any]) -> str:
    """`dense units = 10, kernel = he_normal`: what is meant first, then how."""
    first = next((key for key in ("layer", "use") if key in table), "")
    rest = ", ".join(f"{key} = {_plain(value)}" for key, value in table.items() if key != first)
    return f"{table.get(first, '')}  {rest}".strip()


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _parts(row: Experiment) -> Iterator[str]:
    yield f"data         {row.data}, {row.held_out:g} of it held out"
    yield f"network      {row.network}"
    yield f"loss         {row.loss}"
    yield f"optimizer    {_inline(row.optimizer)}"
    for one in row.regularizers:
        yield f"regularizer  {_inline(one)}"
    yield f"metrics      {', '.join(row.metrics) or 'none'}"
    yield f"training     {row.epochs} epochs, batches of {row.batch_size}, seed {row.seed}"


def _settings(row: Row) -> Iterator[tuple[str, str]]:
    params = getattr(row, "params", {}) if not isinstance(row, Layer) else row.options
    yield "parameters", ", ".join(f"{name} = {_plain(value)}" for name, value in params.items())
    knobs: Mapping[str, Any] = getattr(row, "knobs", {})
    choices = {name: choice if isinstance(choice, list) else [choice, not choice] for name, choice in knobs.items()}
    yield "knobs", "; ".join(f"{name} = {' | '.join(map(str, all_)).lower()}" for name, all_ in choices.items())
    if isinstance(row, Optimizer):
        yield "state", ", ".join(f"{slot} from {start}" for slot, start in row.state.items())
    if isinstance(row, Network):
        yield "input", f"{_plain(row.input)} (one sample)"
    if isinstance(row, Layer):
        for title, slots in (("learned", row.params), ("kept", row.state)):
            yield title, ", ".join(f"{name} [{', '.join(one.shape)}]" for name, one in slots.items())
    if isinstance(row, Formulated) and row.kinks:
        yield "kinks", ", ".join(map(repr, row.kinks))


def latex_lines(row: Row, knobs: Mapping[str, bool | str]) -> list[str]:
    """The row as a lecture prints it, in the conventions that `knobs` choose."""
    head = _HEADS.get(row.kind, "")
    if isinstance(row, Formulated):
        lines = [latex(line, knobs).replace("\\leftarrow", "=", 1) for line in row.lets()]
        lines += [f"{head} = {latex(row.definition or row.formula, knobs)}"]
        if row.definition and row.definition != row.formula:
            lines[-1] += f" = {latex(row.formula, knobs)}"
        if row.derivative and row.kind in _SLOPES:
            lines.append(f"{_SLOPES[row.kind]} = {latex(row.derivative, knobs)}")
        return lines
    if isinstance(row, Optimizer):
        lines = [latex(line, knobs) for line in row.lines()]
        return [line for line in lines if len(set(line.split(" \\leftarrow "))) > 1]  # x = x: another convention's line
    if isinstance(row, Layer):
        inputs = ", ".join(map(name_latex, row.inputs))
        name = row.name.replace("_", "\\_")
        head = f"\\operatorname{{{name}}}\\left({inputs}\\right)"
        before = [latex(parse_assignment(line), knobs) for line in (*row.let, *row.step)]
        return [*before, f"{head} = {latex(parse(row.formula), knobs)}"]
    return []


def _derivative(one: Example) -> Graph:
    graph = one.derivative()
    if graph is None:
        raise SpecError(f"{one.row.name} ({one.row.kind}) is never differentiated: leave --gradient out")
    return graph


def _graph_text(one: Example, gradient: bool) -> str:
    graph = _derivative(one) if gradient else one.graph
    total = cost(simplify(graph))
    per = f"{total.flops:g} floating-point operations, {total.bytes} bytes moved in float64, for the shapes shown"
    return f"{pass_report(graph)}\n\n{per}"


def _code(one: Example, gradient: bool) -> str:
    """The value and, where there is one, the derivative that our own rules give."""
    texts = [to_source(simplify(one.graph), one.row.name, GENERIC)]
    if gradient or one.row.kind in ("activation", "loss", "regularizer"):
        texts.append(to_source(simplify(_derivative(one)), f"{one.row.name}_gradient", GENERIC))
    return "\n".join(texts)


def _backend_code(one: Example, name: str, gradient: bool) -> Iterator[str]:
    """Exactly the text that is compiled for this backend, in each mode that has a text of its own."""
    from crossnn import registry
    from crossnn.formula.source import compile_graph

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if ":" in name and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        adapter = registry.load(name)
        adapter.start("cpu", "float64", 1)
    except CrossnnError:
        raise
    except Exception as error:  # anyone's adapter may raise anything
        raise BackendError(f"backend {name!r} does not start: {type(error).__name__}: {error}") from error
    graphs = [(one.row.name, one.graph)]
    if gradient:
        graphs.append((f"{one.row.name}_gradient", _derivative(one)))
    for called, graph in graphs:
        simple = simplify(graph)
        yield _section(f"code for {name}", to_source(simple, called, adapter.primitives, adapter.spelling))
        function = compile_graph(simple, called, adapter.primitives, adapter.spelling, adapter.namespace)
        for mode in adapter.modes[1:]:
            planned: Any = adapter.compile(function, mode)
            if hasattr(type(planned), "source"):
                import numpy as np

                planned(*(adapter.tensor(np.full(node.shape, 0.5)) for node in leaves(simple.arguments)))
                yield _section(f"code for {name}, {mode}", planned.source)
