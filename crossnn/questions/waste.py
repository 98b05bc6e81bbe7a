"""Wasted work: who finds what is computed and not used, or computed again? By the clock, and by counting operations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.errors import UnavailableError
from crossnn.parity.compute import meaning_of
from crossnn.questions.ask import Ask
from crossnn.questions.costs import call_of, timed_cases
from crossnn.questions.rule import Case


def wasted_work(ask: Ask) -> Iterator[Case]:
    """A program, and the same with work that changes nothing (a result that is not used; the same computed twice):
    seconds of both, in every mode."""
    adapter = ask.adapter
    for elements in ask.settings["elements"]:
        x = adapter.tensor(np.random.default_rng([elements, 43]).uniform(0.5, 1.5, elements))
        for waste in ask.settings["wastes"]:
            for mode in ask.modes:
                lean, wasteful = _programs(adapter, mode, waste)
                contenders = {
                    "lean": call_of(adapter, adapter.compile(lean, mode), x),
                    "wasteful": call_of(adapter, adapter.compile(wasteful, mode), x),
                }
                yield from timed_cases(ask, {"mode": mode, "waste": waste, "elements": elements}, contenders)


def found_work(ask: Ask) -> Iterator[Case]:
    """The same two programs, counted in the graphs that a backend shows of them: the operations of the wasteful one as
    they were recorded, and those that are left in the last graph; and those that are left of the lean one."""
    adapter = ask.adapter
    x = adapter.tensor(np.random.default_rng(43).uniform(0.5, 1.5, ask.settings["elements"]))
    for waste in ask.settings["wastes"]:
        for mode in ask.modes:
            lean, wasteful = (_counts(adapter, program, x, mode) for program in _programs(adapter, mode, waste))
            numbers = {"recorded": wasteful[0], "left": wasteful[-1], "lean": lean[-1]}
            yield Case({"mode": mode, "waste": waste}, ask.seeds[0], numbers)


def _counts(adapter: Adapter, program: Callable[..., Any], x: Any, mode: str) -> list[float]:
    """The operations in every graph that can be shown, of the eager mode in the first: that is what runs there.
    UnavailableError where none can be shown."""
    eager = mode == adapter.modes[0]
    views = list(itertools.islice(adapter.views(program, (x,), mode), 1 if eager else None))
    found = [float(sum(view.operations.values())) for view in views if view.vertices]
    if not found:
        reasons = "; ".join(filter(None, (view.note for view in views)))
        raise UnavailableError(f"{adapter.name} {mode} shows no graph{f': {reasons}' if reasons else ''}")
    return found


def _programs(adapter: Adapter, mode: str, waste: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A program, and the same with about three times the work, where nobody notices."""
    meaning = meaning_of(adapter, mode)
    tanh, exp, mean = meaning["tanh"], meaning["exp"], meaning["mean"]

    def work(x: Any) -> Any:
        return tanh(exp(tanh(x)))

    def used(x: Any) -> Any:
        return mean(work(x))

    def unused(x: Any) -> Any:
        other = x + 1.0
        work(work(other))
        return mean(work(x))

    def once(x: Any) -> Any:
        found = work(x)
        return mean((found + found) * found)

    def repeated(x: Any) -> Any:
        return mean((work(x) + work(x)) * work(x))

    return (used, unused) if waste == "unused" else (once, repeated)
