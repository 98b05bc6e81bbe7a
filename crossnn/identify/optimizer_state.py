"""Which of their state is which of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crossnn.identify.optimizer_agreement import computed, parts_of
from crossnn.identify.optimizer_fit import Fit, Observed, Slot


def with_slots(fit: Fit, seen: Observed) -> Fit:
    """Which of their slots is which of ours, times one factor for all steps and numbers."""
    candidate, ran = fit.candidate, seen.ran
    values = [seen.values(fit.sources)]
    parts = [(names, computed(candidate, names, values, ran, fit.transposed)[1]) for names in parts_of(candidate, ran)]
    arrays = {slot for slot, kept in ran.slots.items() if any(one.shape[-1] > 1 for one in kept.values())}
    found: dict[str, Slot] = {}
    for ours in candidate.row.state:
        taken = {one.theirs for one in found.values()}
        for theirs, kept in ran.slots.items():
            factor = _factor(ours, kept, parts)
            if factor is not None and theirs not in taken:
                found[ours] = Slot(theirs, factor)
                break
    explained = {one.theirs for one in found.values()}
    return replace(fit, slots=found, unexplained=tuple(sorted(arrays - explained)))


def _factor(
    ours: str, kept: Mapping[str, np.ndarray], parts: Sequence[tuple[tuple[str, ...], Mapping[str, np.ndarray]]]
) -> float | None:
    """Theirs divided by ours, where that is one number everywhere."""
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    for names, slots in parts:
        if any(name not in kept for name in names):
            return None
        mine = slots[ours][:, 0]
        their = np.concatenate([kept[name] for name in names], axis=1)
        if mine.shape[1] == 1 and all(kept[name].shape[1] == 1 for name in names):
            their = kept[names[0]]
        if mine.shape != their.shape:
            if len(parts) > 1:  # optax calls the shorter side the rows
                continue
            return None
        left.append(their.ravel())
        right.append(mine.ravel())
        sizes.append(np.broadcast_to(np.abs(mine).max(axis=0), mine.shape).ravel())
    if not left:
        return None
    theirs, mine = np.concatenate(left), np.concatenate(right)
    if not np.isfinite(mine).all() or not mine.any():
        return None
    place = int(np.argmax(np.abs(mine)))
    factor = float(theirs[place] / mine[place])
    if not np.isfinite(factor) or factor == 0:
        return None
    nice = next((one for one in (1.0, -1.0) if abs(factor - one) < 1e-6), factor)
    with np.errstate(all="ignore"):
        error = np.abs(theirs - nice * mine) / np.maximum(np.abs(nice) * np.concatenate(sizes), 1e-300)
    return nice if bool(np.all((error < 1e-6) | (theirs == nice * mine))) else None


def paired(fit: Fit) -> Fit:
    """What is left of our state and of theirs, where that is one slot each: there they may part."""
    left = [slot for slot in fit.candidate.row.state if slot not in fit.slots]
    if len(left) != 1 or len(fit.unexplained) != 1:
        return fit
    (ours,), (theirs,) = left, fit.unexplained
    return replace(fit, slots={**fit.slots, ours: Slot(theirs, 1.0)}, unexplained=())
