"""The mutants of a training, each judged by the verdict on curves that `crossnn run` pronounces.

The training is short: a few steps, whose reference and noise are measured as those of any training. A mutant that no
curve shows is trained again with many digits beside the original: where all that is read from both is the same, it is
equivalent. That takes long in large networks, where a survivor is called one unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Trained
from crossnn.errors import CrossnnError
from crossnn.experiment.problem import Problem
from crossnn.formula.oracle import AGREEMENT
from crossnn.formula.precise import Precise
from crossnn.power import mislaid, mistakes, penalties
from crossnn.power.alike import FRESH
from crossnn.power.mistakes import Kind, Mistake
from crossnn.power.practice import Practice, operations, oracle_compiler, practice_of, shortened
from crossnn.power.reasons import UNASKED, beside_rounding
from crossnn.runs.cell import ORACLE, Cell, Record
from crossnn.runs.findings import Survivor
from crossnn.training.loop import numbers, walk
from crossnn.training.reference import reference_training
from crossnn.training.verdict import judge_curves

BACKEND = "numpy"
DIGITS = 60
MOST_OPERATIONS = 3e7
"""As many as the oracle takes on in half a minute."""

KINDS: Mapping[str, Kind] = {
    "stale parameters": mistakes.stale_parameters,
    "gradient kept": mistakes.gradient_kept,
    "gradient wrong": mistakes.gradient_wrong,
    "loss reduction": mistakes.loss_reduction,
    "step count": mistakes.step_count,
    "learning rate": mistakes.learning_rate,
    "optimizer state": mistakes.optimizer_state,
    "batch order": mislaid.batch_order,
    "last batch": mislaid.last_batch,
    "mask": mislaid.draws,
    "training mixed up": mislaid.training_mixed_up,
    "evaluated early": mislaid.evaluated_early,
    "penalty": penalties.penalties,
    "setting": penalties.setting_moved,
}
"""Name -> kind of mistake in a training."""


@dataclass(frozen=True)
class Spoiled:
    """A mistake, and its kind."""

    operator: str
    mistake: Mistake

    @property
    def told(self) -> Survivor:
        """The mutant in words."""
        one = self.mistake
        return Survivor(operator=self.operator, place=one.place, original=one.original, mutant=one.mutant)


def spoiled(practice: Practice) -> list[Spoiled]:
    """Every mistake that can be made in this training."""
    return [Spoiled(name, one) for name, kind in KINDS.items() for one in kind(practice)]


class Rehearsal:
    """A short training whose mutants are judged."""

    def __init__(self, row: Trained, catalogue: Catalogue) -> None:
        self.row, self.catalogue = row, catalogue
        self.practice = practice_of(shortened(row, catalogue, 0))
        self.mutants = spoiled(self.practice)
        self.reference = reference_training(Cell(task="train", spec=row.name, backend=ORACLE), self.practice.problem)
        for record in self._records(self.practice):
            if record.failed:
                raise CrossnnError(f"{row.name} itself, shortened, fails ({record.quantity}): {record.message}")
        self._digits: dict[int, Digits] = {}

    def verdict(self, one: Spoiled) -> tuple[str, str]:
        """(killed, equivalent or survived; by what, or why)."""
        records = self._records(one.mistake.change(self.practice))
        for record in records:
            if record.failed:
                return "killed", f"{record.verdict} {record.quantity}"
        seen = beside_rounding(records)
        if operations(self.practice.problem) > MOST_OPERATIONS:
            return "survived", f"{seen}; {UNASKED}"
        for seed in (0, *FRESH):
            apart, where = self.with_many_digits(seed).apart(one)
            if apart > 10.0**-AGREEMENT:
                return "survived", f"differs by {apart:.1e} in {where} ({f'seed {seed}: ' if seed else ''}{seen})"
        return "equivalent", "the same training to 25 digits, with fresh data too"

    def _records(self, practice: Practice) -> list[Record]:
        with np.errstate(all="ignore"):
            found = walk(practice.problem, practice.machine())
        held_out = found.evaluations.pop("loss", [])
        training = msgspec.structs.replace(
            self.reference, backend=BACKEND, loss=numbers(found.loss), held_out_loss=numbers(held_out),
            ending=numbers(found.ending), noise=(), held_out_noise=(), ending_noise=(), about=None,
        )  # fmt: skip
        return judge_curves([self.reference, training])[1]

    def with_many_digits(self, seed: int) -> Digits:
        if seed not in self._digits:
            self._digits[seed] = Digits(shortened(self.row, self.catalogue, seed))
        return self._digits[seed]


class Digits:
    """A short training with many digits, beside which its mutants are run."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.mutants = spoiled(practice_of(problem))

    @cached_property
    def truth(self) -> list[np.ndarray]:
        """All that the loop reads in the training itself."""
        return self._read(None)

    def apart(self, one: Spoiled) -> tuple[float, str]:
        """The largest relative difference of all that the loop reads, and where; 0 where this training has no such
        mutant."""
        same = next((other for other in self.mutants if other.told == one.told), None)
        if same is None:
            return 0.0, ""
        found = self._read(same)
        if len(found) != len(self.truth):
            return 1.0, "how much is read"
        ends = [*self.problem.params, *self.problem.layers]
        names = ["a loss or an evaluation"] * (len(found) - len(ends)) + ends
        largest, where = 0.0, ""
        with Precise(DIGITS), np.errstate(all="ignore"):
            for name, a, b in zip(names, self.truth, found, strict=True):
                error, size = (np.asarray(each, np.float64) for each in (abs(a - b), np.maximum(abs(a), abs(b))))
                relative = float(np.max(np.where(error == 0, 0.0, error / size), initial=0.0))
                if not relative <= largest:
                    largest, where = relative, name
        return largest, where

    def _read(self, one: Spoiled | None) -> list[np.ndarray]:
        """Every number as it is before it becomes a float."""
        log: list[np.ndarray] = []

        def array(value: Any) -> np.ndarray:
            log.append(np.asarray(value))
            return np.asarray(value, np.float64)

        with Precise(DIGITS) as context, np.errstate(all="ignore"):
            practice = practice_of(self.problem, oracle_compiler(context, DIGITS), array)
            practice = practice if one is None else one.mistake.change(practice)
            walk(practice.problem, practice.machine())
        return log
