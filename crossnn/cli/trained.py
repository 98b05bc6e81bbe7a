"""What `show` says of an experiment or a study: what it is made of, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossnn.catalogue.rows import Experiment, Study, Trained


def made_of(row: Trained) -> Iterator[str]:
    """`optimizer    adam  lr = 0.01`, and so on; what is not there has no line."""
    for name, value in [*_own(row), *_common(row)]:
        if value:
            yield f"{name:<12} {value}"


def _own(row: Trained) -> Iterator[tuple[str, str]]:
    if isinstance(row, Study):
        yield "objective", "; ".join([*row.let, row.objective])
        yield "arrays", ", ".join(f"{name} = {value}" for name, value in row.data.items())
        yield "constants", ", ".join(f"{name} = {value:g}" for name, value in row.params.items())
        yield "start", str(row.start)
        yield "minimum", str(row.minimum) if row.minimum else ""
        yield "closed form", row.closed_form
        yield "training", f"{row.steps} steps"
    if isinstance(row, Experiment):
        limit = f", its first {row.samples}" if row.samples else ""
        scaled = ", normalised" if row.normalise else ""
        yield "data", f"{row.data}{limit}{scaled}, {row.held_out:g} of it held out"
        yield "network", row.network + (f", samples of shape {row.input}" if row.input else "")
        yield "loss", row.loss
        yield "metrics", ", ".join(row.metrics) or "none"
        batches = "all samples in a batch" if row.batch_size == "full" else f"batches of {row.batch_size}"
        yield "training", f"{row.epochs} epochs, {batches}, seed {row.seed}"
        yield "ends at", row.closed_form.replace("_", " ")
        for one in row.regularizers:
            yield "regularizer", _use(one)


def _common(row: Trained) -> Iterator[tuple[str, str]]:
    yield "optimizer", _use(row.optimizer)
    yield "schedule", _use(row.schedule)
    yield "clipping", _use(row.clip)
    for one in row.constraints:
        yield "constraint", _use(one)
    yield "printed", ", ".join(f"{name} = {value:g}" for name, value in row.printed.items())
    for mode, reason in row.left_out.items():
        yield "left out", f"{mode}: {reason}"


def _use(table: Mapping[str, Any]) -> str:
    """`adam  lr = 0.01`: what is meant first, then how."""
    rest = ", ".join(f"{key} = {_plain(value)}" for key, value in table.items() if key != "use")
    return f"{table.get('use', '')}  {rest}".strip()


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
