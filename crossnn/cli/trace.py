"""`crossnn trace`: the imperative view of a specification, every primitive as it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from crossnn.cli.options import frameworks_here, json_option, parse_setting, split_arguments
from crossnn.errors import SpecError

if TYPE_CHECKING:
    import numpy as np

    from crossnn.trace.executed import Executed
    from crossnn.trace.subject import Traced

MOST = 10_000
"""So many numbers may be given on the command line."""


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME [FILE.toml ...]")
@click.option("--backend", default="numpy", show_default=True, metavar="NAME", help="Who runs it: numpy, torch, "
              "tensorflow, jax, or your own package.module:Adapter.")  # fmt: skip
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="A number or a JSON list of numbers, such "
              "as x=0.5 or x=[1,2]; repeatable. Others are drawn.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N",
              help="Draws the inputs that are not given.")  # fmt: skip
@click.option("--knob", multiple=True, metavar="NAME=VALUE", help="Choose a convention or set a hyper-parameter; "
              "repeatable.")  # fmt: skip
@click.option("--no-gradient", is_flag=True, help="Values alone.")
@json_option
def trace(
    names: Sequence[str], backend: str, inputs: Sequence[str], seed: int, knob: Sequence[str], no_gradient: bool,
    json_file: str | None,
) -> None:  # fmt: skip
    """Run NAME imperatively: every primitive with its inputs, value, gradient, time and bytes."""
    from crossnn.catalogue.load import load_catalogue
    from crossnn.trace.running import execute
    from crossnn.trace.subject import traced

    wanted, files = split_arguments(names)
    catalogue = load_catalogue(files)
    rows = [catalogue.find(name) for name in wanted] or [row for file in files for row in catalogue.of_file(file)]
    if len(rows) != 1:
        raise SpecError(f"trace runs one specification at a time, not {len(rows)}: name one")
    given = dict(map(_input, inputs))
    one = traced(rows[0], catalogue, dict(parse_setting(text) for text in knob), given, seed)
    frameworks_here([backend])
    _, executed = execute(one, backend, not no_gradient)
    if json_file != "-":
        click.echo(_text(one, backend, executed, not no_gradient))
    if json_file:
        _write(json_file, _document(one, backend, seed, executed, not no_gradient))


def _input(text: str) -> tuple[str, np.ndarray]:
    import numpy as np

    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name or not value:
        raise SpecError(f"--input {text!r}: write NAME=VALUE, such as --input x=0.5 or --input x=[1,2]")
    try:
        array = np.array(json.loads(value) if value.startswith("[") else float(value), dtype=np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise SpecError(
            f"--input {name}: {value[:60]!r} is no number and no JSON list of numbers, such as [1,2]"
        ) from None
    if not 1 <= array.size <= MOST:
        raise SpecError(f"--input {name}: {array.size} numbers; from 1 to {MOST:,} are allowed")
    return name, array


def _text(one: Traced, backend: str, executed: Sequence[Executed], gradient: bool) -> str:
    from crossnn.report.document import plain_table
    from crossnn.trace.executed import INPUT
    from crossnn.trace.text import short, table

    shown = gradient and one.weights is not None
    parts = [f"{one.row.name}  ({one.row.kind}), {backend}", plain_table(*table(executed, shown))]
    ran = [each for each in executed if each.operation != INPUT]
    backward = sum(each.backward for each in ran)
    what = f"{len(ran)} primitive{'' if len(ran) == 1 else 's'}" + (
        f", {backward} of them backward" if backward else ""
    )
    total = sum(each.seconds for each in ran) * 1e6
    parts.append(f"{what}; {total:.1f} µs; {sum(each.bytes for each in ran)} bytes were written")
    if one.weights is None:
        parts.append(f"gradient: {one.row.kind}s are never differentiated")
    elif gradient and all(each.gradient is None for each in executed):
        parts.append("gradient: none; nothing that is differentiated leads to the result, or the adapter does not tell")
    elif gradient and (one.weights == 1).all():
        parts.append("gradient: of the result" if not one.weights.shape else "gradient: of the sum of the result")
    elif gradient:
        parts.append(f"gradient: of sum(weights*result), weights {short(one.weights)}")
    return "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:])


def _document(one: Traced, backend: str, seed: int, executed: Sequence[Executed], gradient: bool) -> dict[str, Any]:
    from crossnn.trace.text import as_json

    weights = None if one.weights is None or not gradient else one.weights.tolist()
    return {
        "name": one.row.name, "kind": one.row.kind, "backend": backend, "seed": seed, "weights": weights,
        "executed": [as_json(each) for each in executed],
    }  # fmt: skip


def _write(file: str, document: dict[str, Any]) -> None:
    text = json.dumps(document, allow_nan=False, indent=1)
    if file == "-":
        click.echo(text)
        return
    with open(file, "w", encoding="utf-8") as out:
        out.write(text + "\n")
