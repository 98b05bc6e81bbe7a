"""The verdict on a loss curve: does it coincide with the reference's, as far as rounding lets curves coincide?

Derived from the journal whenever it is read, never stored: the reference may arrive after the curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from crossnn.parity.rule import FLOOR, LIMIT, ROUNDOFF
from crossnn.runs.cell import ORACLE, Cell, Record, Training, Verdict, Worst, finite

QUANTITY = "loss curve"


def judge_curves(trainings: Sequence[Training]) -> tuple[list[Training], list[Record]]:
    """The trainings with their `curve_r`, and a record for each curve. The reference itself is not judged."""
    references = {(one.spec, one.seed, one.spec_sha): one for one in trainings if one.backend == ORACLE}
    judged: list[Training] = []
    records: list[Record] = []
    for training in trainings:
        reference = references.get((training.spec, training.seed, training.spec_sha))
        if training.backend == ORACLE:
            judged.append(training)
            continue
        record = _record(training, reference)
        judged.append(msgspec.structs.replace(training, curve_r=record.r))
        records.append(record)
    return judged, records


def not_run(cell: Cell, sha: str, reason: str) -> Record:
    """The record of a training for which the backend could not start."""
    return Record(
        spec=cell.spec, kind="experiment", backend=cell.backend, implementation="formula", mode=cell.mode,
        dtype=cell.dtype, device=cell.device, quantity=QUANTITY, verdict="NOT-RUN", seed=cell.seed, spec_sha=sha,
        case="training", message=reason,
    )  # fmt: skip


def _record(training: Training, reference: Training | None) -> Record:
    verdict: Verdict
    message, r, worst = "", None, None
    if reference is None:
        verdict, message = "NOT-RUN", "there is no reference curve in this run: nothing to compare with"
    else:
        r, epoch = _ratio(training, reference)
        failure: Verdict = "FORMULA" if training.dtype == "float64" else "ACCURACY"
        verdict = "EQUAL" if r <= LIMIT else failure
        worst = Worst((epoch,), repr(reference.loss[epoch]), repr(training.loss[epoch]))
        message = "" if verdict == "EQUAL" else "the curves part further than rounding carries them"
    return Record(
        spec=training.spec, kind="experiment", backend=training.backend, implementation="formula", mode=training.mode,
        dtype=training.dtype, device=training.device, quantity=QUANTITY, verdict=verdict,
        r=None if r is None else finite(r), worst=worst, seconds=training.seconds, seed=training.seed,
        spec_sha=training.spec_sha, case="training", message=message,
    )  # fmt: skip


def _ratio(training: Training, reference: Training) -> tuple[float, int]:
    """The largest r over the epochs, and its epoch. A loss that is not finite on one side only is infinitely wrong."""
    worst, place = 0.0, 0
    curves = zip(training.loss, reference.loss, reference.noise, strict=True)
    for epoch, (value, truth, noise) in enumerate(curves):
        if value is None or truth is None or noise is None:
            r = 0.0 if value is None and truth is None else float("inf")
        else:
            scale = max(noise, FLOOR * abs(truth))
            difference = abs(value - truth)
            r = difference / (ROUNDOFF[training.dtype] * scale) if difference else 0.0
        if r > worst:
            worst, place = r, epoch
    return worst, place
