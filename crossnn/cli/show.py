"""`crossnn show`: a specification as formula, LaTeX, derivative, graph and generated code.

Nothing of a framework is imported unless a backend is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec

from crossnn.catalogue.build import settings
from crossnn.catalogue.example import SHOWABLE, Example, example
from crossnn.catalogue.layers import example_shapes
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.network import Assembly, record_layer
from crossnn.catalogue.rows import Layer, Row
from crossnn.catalogue.validate import check_values
from crossnn.cli.describe import describe, section
from crossnn.cli.options import comma_list, frameworks_here, parse_setting, split_arguments
from crossnn.cli.printed import latex_lines
from crossnn.cli.quiet import quiet
from crossnn.cli.standalone import show_alone, standalone_options
from crossnn.errors import CrossnnError, SpecError
from crossnn.formula.cost import cost
from crossnn.formula.graph import Graph, Node, leaves
from crossnn.formula.listing import pass_report
from crossnn.formula.loops import rolled
from crossnn.formula.simplify import simplify
from crossnn.formula.source import GENERIC, to_source

OTHER_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".pdf", ".webp")


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
@click.option("--svg", metavar="FILE", help="Draw that graph, before and after simplification, into this file.")
@click.option("--derivation", is_flag=True, help="Derive the derivative line by line, each with its rule.")
@click.option("--numbers", is_flag=True, help="Put numbers into every line, with its value; also into --derivation.")
@click.option("--at", multiple=True, metavar="NAME=NUMBER", help="The numbers: --at x=0.5, or all of an array: "
              "--at x=1,2,3; repeatable; implies --numbers.")  # fmt: skip
@click.option("--latex", "as_latex", is_flag=True, help="LaTeX instead of the description: alone, or "
              "with what --gradient, --graph and --backend add.")  # fmt: skip
@click.option("--picture", metavar="FILE.svg", help="Draw an activation, a schedule, a study or an experiment.")
@click.option("--knob", multiple=True, metavar="NAME=VALUE", help="Choose a convention or set a hyper-parameter; "
              "repeatable.")  # fmt: skip
@standalone_options
def show(
    names: Sequence[str], backend: Sequence[str], gradient: bool, graph: bool, as_latex: bool, picture: str | None,
    svg: str | None, derivation: bool, numbers: bool, at: Sequence[str], knob: Sequence[str], standalone: str | None,
    side_by_side: bool,
) -> None:  # fmt: skip
    """Show what NAME is: formula, LaTeX, derivative, and with options the graph and the generated code."""
    wanted, files = split_arguments(names)
    catalogue = load_catalogue(files)
    rows = [catalogue.find(name) for name in wanted] or [row for file in files for row in catalogue.of_file(file)]
    _once("--knob", knob)
    _once("--at", at)
    for option, file in (("--svg", svg), ("--picture", picture)):
        if file is not None and file.lower().endswith(OTHER_PICTURES):
            raise click.UsageError(f"{option} {file}: an SVG is written; name a file that ends in .svg")
    if picture is not None and backend:
        raise click.UsageError("--picture draws no code: leave --backend out")
    given = dict(parse_setting(text) for text in knob)
    alone = {"--standalone": standalone is not None, "--side-by-side": side_by_side, "--picture": picture is not None}
    others = gradient or graph or as_latex or svg is not None or derivation or numbers or bool(at)
    chosen = [name for name, is_chosen in alone.items() if is_chosen]
    if len(chosen) > 1 or (chosen and others):
        raise click.UsageError(f"{chosen[0]} stands alone: leave the other options out, but for --backend and --knob")
    if standalone is not None or side_by_side:
        click.echo(show_alone(rows, catalogue, backend, given, standalone))
        return
    if picture is not None:
        from crossnn.cli.picture import write_picture

        click.echo(write_picture(rows, given, files, picture))
        return
    if svg is not None and as_latex:
        raise click.UsageError("--latex is LaTeX alone: leave it out, or --svg")
    graph = graph or svg is not None
    lines = derivation or numbers or bool(at)
    further = gradient or graph or bool(backend)
    parts: list[str] = []
    for row in rows:
        if row.kind not in SHOWABLE and not (given or backend or gradient or graph or as_latex or lines):
            parts.append(describe(row))
            continue
        hyper = _checked(row, given)
        one = example(row, given)
        read = latex_lines(row, one.knobs) if as_latex else [describe(row, hyper, one.knobs)]
        if lines:
            from crossnn.cli.line_by_line import read_line_by_line

            found = read_line_by_line(row, given, derivation, at if numbers or at else None, as_latex)
            read = found if as_latex else [*read, *found]
        parts += [section(f"LaTeX of {row.name}", "\n".join(read))] if as_latex and further else read
        if graph:
            parts.append(section("graph", _graph_text(one, gradient)))
        if svg is not None:
            from crossnn.cli.line_by_line import write_svg

            fresh = example(row, given)
            drawn = _derivative(fresh) if gradient else fresh.graph
            parts.append(write_svg(drawn, svg, [each.name for each in rows]))
        if backend:
            for name in backend:
                with quiet():
                    parts += list(backend_code(one, name, gradient))
        elif gradient or not (graph or lines or as_latex):
            parts.append(section("code", _code(one, gradient)))
    click.echo(("\n" if as_latex and not further else "\n\n").join(parts))


def _once(option: str, texts: Sequence[str]) -> None:
    """Refuse a name that is given two values."""
    names = [text.partition("=")[0].strip() for text in texts]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"{option} gives {name} {names.count(name)} values; give one")


def parts_of(row: Row, given: Mapping[str, Any], *, gradient: bool = False, graph: bool = False) -> list[str]:
    """The description of a row, its graph where that is wanted, and our own code."""
    if row.kind not in SHOWABLE:
        return [describe(row)]
    hyper, one = _checked(row, given), example(row, given)
    parts = [describe(row, hyper, one.knobs)]
    if graph:
        parts.append(section("graph", _graph_text(one, gradient)))
    if gradient or not graph:
        parts.append(section("code", _code(one, gradient)))
    return parts


def _checked(row: Row, given: Mapping[str, Any]) -> dict[str, float]:
    """The hyper-parameters of a row with the `given` ones set; refuses those that no specification could say. A layer
    is recorded with them, because its example has small lengths of its own."""
    hyper, knobs = settings(row, given)
    if row.kind not in SHOWABLE:
        return hyper
    try:
        check_values(msgspec.structs.replace(row, **{"options" if isinstance(row, Layer) else "params": hyper}))
        if isinstance(row, Layer):
            options = {**hyper, **{name: size for name, size in row.sizes.items() if name in hyper}, **given}
            assembly = Assembly([])
            for name, shape in example_shapes(row, options).items():
                assembly.outputs[name] = Node(assembly.tape, "input", shape=shape, name=name)
            record_layer(assembly, None, row, "", {**options, **knobs, "inputs": row.inputs})
    except CrossnnError as error:
        shown = ", ".join(f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
                          for name, value in given.items())  # fmt: skip
        raise SpecError(f"{row.name} with {shown}: {error}" if given else str(error)) from None
    return hyper


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


def backend_code(one: Example, name: str, gradient: bool) -> Iterator[str]:
    """Exactly the text that is compiled for this backend, in each mode that has a text of its own."""
    from crossnn import registry
    from crossnn.formula.source import compile_graph
    from crossnn.parity.compute import meaning_of

    frameworks_here([name])
    adapter = registry.started(name)
    graphs = [(one.row.name, one.graph)]
    if gradient:
        graphs.append((f"{one.row.name}_gradient", _derivative(one)))
    for called, graph in graphs:
        simple = simplify(graph)
        seen: set[str] = set()
        for mode in adapter.modes:
            short = rolled(simple) if mode in adapter.loops else simple
            text = to_source(short, called, meaning_of(adapter, mode), adapter.spelling)
            if text not in seen:
                yield section(f"code for {name}{f', {mode}' if seen else ''}", text)
            seen.add(text)
        function = compile_graph(simple, called, adapter.primitives, adapter.spelling, adapter.namespace)
        for mode in adapter.modes[1:]:
            planned: Any = adapter.compile(function, mode)
            if hasattr(type(planned), "source"):
                import numpy as np

                planned(*(adapter.tensor(np.full(node.shape, 0.5)) for node in leaves(simple.arguments)))
                yield section(f"code for {name}, {mode}", planned.source)
