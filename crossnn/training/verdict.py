"""The verdict on a training: does it coincide with the reference, as far as rounding lets trainings coincide?

Judged are the loss curve, the curve of held-out samples in inference, and the ending where one is known. Derived from
the journal whenever it is read, never stored: the reference may arrive after the curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from crossnn.catalogue.rows import Row
from crossnn.parity.rule import FLOOR, ILL_CONDITIONED, LIMIT, ROUNDOFF
from crossnn.runs.cell import ORACLE, Cell, Numbers, Record, Training, Verdict, Worst, finite

QUANTITY = "loss curve"
HELD_OUT = "held-out curve"
CASE = "training"


def judge_curves(trainings: Sequence[Training]) -> tuple[list[Training], list[Record]]:
    """The trainings with their `curve_r`, and a record for each judged quantity. The reference itself is not judged."""
    references = {(one.spec, one.seed, one.spec_sha): one for one in trainings if one.backend == ORACLE}
    judged: list[Training] = []
    records: list[Record] = []
    for training in trainings:
        reference = references.get((training.spec, training.seed, training.spec_sha))
        if training.backend == ORACLE:
            judged.append(training)
            continue
        found = list(_records(training, reference))
        sizes = [record.r for record in found if record.r is not None]
        judged.append(msgspec.structs.replace(training, curve_r=max(sizes, default=None)))
        records += found
    return judged, records


def not_run(cell: Cell, row: Row, reason: str) -> Record:
    """The record of a training for which something is missing here."""
    return Record(
        spec=cell.spec, kind=row.kind, backend=cell.backend, implementation="formula", mode=cell.mode,
        dtype=cell.dtype, device=cell.device, quantity=QUANTITY, verdict="NOT-RUN", seed=cell.seed, spec_sha=row.sha,
        case=CASE, message=reason,
    )  # fmt: skip


def _records(training: Training, reference: Training | None) -> Iterator[Record]:
    if reference is None:
        yield _record(
            training, "", QUANTITY, "NOT-RUN", message="there is no reference in this run: nothing to compare"
        )
        return
    about = reference.about
    kind, ending = (about.kind, about.ending) if about else ("", "")
    pairs = (
        (QUANTITY, training.loss, reference.loss, reference.noise),
        (HELD_OUT, training.held_out_loss, reference.held_out_loss, reference.held_out_noise),
        (ending, training.ending, reference.ending, reference.ending_noise),
    )
    for quantity, values, truths, noises in pairs:
        if not truths and not values:
            continue
        if not len(values) == len(truths) == len(noises):
            message = f"{len(values)} numbers, where the reference has {len(truths)}"
            yield _record(training, kind, quantity, "ERROR", message=message)
            continue
        ratios = _ratios(values, truths, noises, training.dtype)
        known = _predictable(truths, noises, training.dtype)
        verdict: Verdict = "EQUAL"
        message = ""
        if max(ratios[:known], default=0.0) > LIMIT:
            verdict = "FORMULA" if training.dtype == "float64" else "ACCURACY"
            ratios = ratios[:known]
            message = "parts from the reference further than rounding carries it"
        elif any(_visible(value, truth) for value, truth in list(zip(values, truths, strict=True))[known:]):
            verdict = "ILL-CONDITIONED"
            message = f"from number {known + 1} of {len(truths)} on, rounding leaves fewer than three digits: chaotic"
        place = int(np.argmax(ratios))
        worst = Worst((place,), repr(truths[place]), repr(values[place]))
        yield _record(training, kind, quantity, verdict, finite(ratios[place]), worst, message)


def _record(
    training: Training, kind: str, quantity: str, verdict: Verdict, r: float | None = None, worst: Worst | None = None,
    message: str = "",
) -> Record:  # fmt: skip
    return Record(
        spec=training.spec, kind=kind or "experiment", backend=training.backend, implementation="formula",
        mode=training.mode, dtype=training.dtype, device=training.device, quantity=quantity, verdict=verdict, r=r,
        worst=worst, seconds=training.seconds, seed=training.seed, spec_sha=training.spec_sha, case=CASE,
        message=message,
    )  # fmt: skip


def _ratios(values: Numbers, truths: Numbers, noises: Numbers, dtype: str) -> list[float]:
    """r of every number. What is not finite on one side only is infinitely wrong; where nothing rounds, every
    difference is."""
    ratios = []
    for value, truth, noise in zip(values, truths, noises, strict=True):
        if value is None or truth is None or noise is None:
            ratios.append(0.0 if value is None and truth is None else float("inf"))
            continue
        scale = max(noise, FLOOR * abs(truth))
        difference = abs(value - truth)
        with np.errstate(divide="ignore", over="ignore"):
            ratios.append(float(np.float64(difference) / (ROUNDOFF[dtype] * scale)) if difference else 0.0)
    return ratios


def _predictable(truths: Numbers, noises: Numbers, dtype: str) -> int:
    """How many numbers come before unavoidable rounding leaves fewer than three digits: a training may be chaotic."""
    found = [abs(truth) for truth in truths if truth is not None]
    typical = float(np.sqrt(np.mean(np.square(found)))) if found else 0.0
    for place, (truth, noise) in enumerate(zip(truths, noises, strict=True)):
        if truth is not None and noise is not None:
            size = max(abs(truth), typical)
            if ROUNDOFF[dtype] * noise > ILL_CONDITIONED * size:
                return place
    return len(truths)


def _visible(value: float | None, truth: float | None) -> bool:
    """Whether fewer than three digits agree."""
    if value is None or truth is None:
        return value is not truth
    return abs(value - truth) > ILL_CONDITIONED * abs(truth)
