"""A row in words: what it says, what it is printed as in a lecture, and, of an activation, what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossnn.catalogue.rows import (
    Activation,
    Formulated,
    Layer,
    Loss,
    Network,
    Optimizer,
    Question,
    Reduction,
    Row,
    Trained,
)
from crossnn.cli.printed import latex_lines
from crossnn.cli.trained import made_of


def section(title: str, body: str) -> str:
    """A title with indented lines."""
    return f"{title}\n" + "\n".join(f"  {line}".rstrip() for line in body.splitlines())


def describe(row: Row, hyper: Mapping[str, float] | None = None, knobs: Mapping[str, bool | str] | None = None) -> str:
    """Everything that the row says, with these settings, as LaTeX too, and what an activation is measured to be."""
    knobs = knobs or {}
    parts = [f"{row.name}  ({row.kind}, {row.file})"]
    details = [("source", row.source), *((key, value) for key, value in _settings(row, hyper or {}) if value)]
    if any(value for _, value in details):
        width = max(len(key) for key, _ in details)
        parts[0] += "\n" + "\n".join(f"  {key:<{width}}  {value}" for key, value in details if value)
    if isinstance(row, Formulated):
        texts = [("definition", row.definition), ("let", "\n".join(row.let)), ("formula", row.formula)]
        parts += [section(title, text) for title, text in [*texts, ("derivative, as claimed", row.derivative)] if text]
        if isinstance(row, Activation) and row.acts_on == "element":
            parts.append(section("measured, not typed", "\n".join(_measured(row, {**(hyper or {}), **knobs}))))
    elif isinstance(row, Optimizer):
        parts.append(section("update", "\n".join(row.update)))
    elif isinstance(row, Layer):
        lines = [
            ("let", row.let),
            (f"step, for each place of {row.over}", row.step),
            ("running statistics", row.update),
        ]
        parts += [section(title, "\n".join(text)) for title, text in lines if text]
        parts += [section(title, text) for title, text in row.texts()]
    elif isinstance(row, Network):
        parts.append(section("layers", "\n".join(_inline(layer) for layer in row.layers)))
    elif isinstance(row, Question):
        given = [f"{name} = {value}" for name, value in (("protocol", row.protocol), *row.settings.items())]
        claim = f"{row.says}\ntaken to mean: {row.means}" if row.means else row.says
        parts += [section("claim", claim), section("holds where", "\n".join(row.holds))]
        parts.append(section("measured by", "\n".join([*given, f"repetitions = {row.seeds}"])))
    elif isinstance(row, Trained):
        parts.append(section("made of", "\n".join(made_of(row))))
    chosen = ", ".join(f"{name} = {value}".lower() for name, value in knobs.items())
    printed = latex_lines(row, knobs)
    title = f"LaTeX, with {chosen}" if chosen else "LaTeX"
    return "\n\n".join([*parts, *([section(title, "\n".join(printed))] if printed else [])])


def _measured(row: Activation, given: Mapping[str, Any]) -> Iterator[str]:
    from crossnn.cli.measured import table
    from crossnn.parity.properties import MeasureError, measure

    try:
        for title, text in table(measure(row, given)):
            yield f"{title:<10}  {text}"
    except MeasureError as error:
        yield f"nothing: {error}"


def _inline(table: Mapping[str, Any]) -> str:
    """`dense units = 10, kernel = he_normal`: what is meant first, then how."""
    first = next((key for key in ("layer", "use") if key in table), "")
    rest = ", ".join(f"{key} = {_plain(value)}" for key, value in table.items() if key != first)
    return f"{table.get(first, '')}  {rest}".strip()


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _settings(row: Row, hyper: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    params = row.options if isinstance(row, Layer) else {} if isinstance(row, Trained) else getattr(row, "params", {})
    yield "parameters", ", ".join(f"{name} = {_plain(hyper.get(name, value))}" for name, value in params.items())
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
        yield "kinks", ", ".join(map(str, row.kinks))
    if isinstance(row, Loss):
        yield "inputs", "; ".join(f"{name} {domain}" for name, domain in _inputs(row).items())
        yield "ends", ", ".join(f"{end:g}" for end in row.ends)
        yield "reductions", "; ".join(["mean", *map(_reduction, row.reductions)])


def _inputs(row: Loss) -> dict[str, str]:
    return {"y": row.prediction, **(row.inputs or {"t": row.target})}


def _reduction(one: Reduction) -> str:
    weights = f" with weights of each {one.weights}" if one.weights else ""
    return one.by + weights + (" of no samples" if one.samples == 0 else "")
