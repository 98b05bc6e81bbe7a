"""Which activation, loss or regularizer of the catalogue a function computes: every convention, hyper-parameters found.

A function is seen through calls: an activation through one array; a loss on every domain for which the catalogue has
losses, one pair at a time and as a batch, so that what it makes of a batch is found too; a regularizer through several
arrays. The oracle judges who is left (function_judged.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.catalogue.build import default_knobs, knob_choices, record_row, used_params
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import VARIABLES, Activation, Formulated, Loss, Regularizer
from crossnn.errors import BackendError
from crossnn.formula.graph import Graph, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.identify.agreement import agree
from crossnn.identify.calls import flat
from crossnn.identify.names import Source, all_choices, first_choices, numeric
from crossnn.identify.own import is_own
from crossnn.identify.visible import made_visible
from crossnn.parity import inputs

Arguments = tuple[np.ndarray, ...]
Settings = Mapping[str, float]
Domain = tuple[Any, ...]
PAIRS, ROWS, CLASSES = 24, 12, 6
"""So many pairs of numbers, so many samples of so many classes."""
REFINED, AT_ONCE = 16, 64

REDUCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda value: value,
    "mean": np.mean,
    "sum": np.sum,
    "batch_mean": lambda value: np.sum(np.mean(value, axis=0)),
    "sum_of_means": lambda value: np.sum(np.mean(value, axis=-1)),
    "mean of each sample": lambda value: np.mean(value, axis=-1),
    "sum of each sample": lambda value: np.sum(value, axis=-1),
}
"""What becomes of the values: names of reductions.py, and what is left to the user."""
READINGS = ("as they are", "the logarithm of the prediction", "the target first")
"""What a loss is given."""


@dataclass(frozen=True)
class Candidate:
    """One row in one convention."""

    row: Formulated
    knobs: Mapping[str, Any]
    needs: tuple[str, ...]
    compiled: dict[Any, Callable[..., Any]] = field(default_factory=dict)

    @property
    def simplicity(self) -> tuple[int, int, int]:
        usual = default_knobs(self.row)
        return len(self.needs), sum(usual[name] != one for name, one in self.knobs.items()), len(self.row.formula)

    def value(self, arguments: Arguments, hyper: Settings) -> np.ndarray:
        """The formula of these arguments."""
        shapes = tuple((shape_of(one), one.dtype.kind) for one in arguments)
        if shapes not in self.compiled:
            self.compiled[shapes] = self._compile(arguments)
        with np.errstate(all="ignore"):
            found = self.compiled[shapes](*arguments, {name: np.float64(hyper[name]) for name in self.row.params})
        return np.asarray(found)

    def _compile(self, arguments: Arguments) -> Callable[..., Any]:
        names = variables(self.row)
        given = dict(zip(names, map(shape_of, arguments), strict=True))

        def function(hyper: Any, **named: Any) -> Any:
            tape = named[names[0]].tape
            return record_row(self.row, self.row.formula, {**named, **hyper}, tape, {}, self.knobs)

        shapes: dict[str, Any] = {**given, "hyper": dict.fromkeys(self.row.params, ())}
        graph = Graph.trace(lambda **every: function(**every), shapes)
        return compile_graph(simplify(graph), self.row.name, NUMPY)


def variables(row: Formulated) -> tuple[str, ...]:
    """What it is a function of."""
    if isinstance(row, Loss) and row.inputs:
        return ("y", *row.inputs)
    return VARIABLES[row.kind]


@cache
def candidates(kind: str) -> tuple[Candidate, ...]:
    """All of a kind, in the order of the catalogue."""
    rows = [row for row in load_catalogue().of_kind(kind) if isinstance(row, Formulated)]
    return tuple(
        Candidate(row, knobs, tuple(name for name in row.params if name in used_params(row, knobs)))
        for row in rows for knobs in knob_choices(row)
    )  # fmt: skip


def domain_of(row: Formulated) -> Domain:
    """What its arguments are drawn from."""
    if isinstance(row, Loss):
        return (row.acts_on, row.prediction, row.target if not row.inputs else tuple(row.inputs))
    return ()


@cache
def loss_calls(domain: Domain) -> tuple[Arguments, ...]:
    """A batch of single numbers (or samples), a batch that is wider, and each pair alone."""
    acts_on, prediction, target = domain
    generator = inputs.generator_for("identify", *domain)
    wide = (ROWS, CLASSES) if acts_on == "vector" else (PAIRS // 4, 4)
    if isinstance(target, tuple):
        whole: Arguments = tuple(inputs.single(generator.normal(0, 1, wide)) for _ in range(1 + len(target)))
        return (whole, whole, *_alone(whole))
    y, t = inputs.domain(generator, prediction, wide), inputs.domain(generator, target, wide)
    if prediction == target == "real":
        sizes = generator.permutation(10.0 ** np.linspace(-4, 1.2, PAIRS if acts_on == "element" else ROWS * CLASSES))
        distance = sizes.reshape(wide) * generator.choice([-1.0, 1.0], wide)
        y = inputs.hostile(generator, wide, -1, 1)
        t = inputs.single(y - distance)
    elif prediction == "real":
        y = inputs.single(generator.normal(0, 3, wide))
    if target == "simplex":
        t[0, 0], t[0, 1] = 0.0, t[0, 0] + t[0, 1]
    if acts_on == "vector" and prediction == "simplex":  # certain predictions, right and wrong
        y = np.concatenate([y, np.eye(CLASSES)[[0, 0]]])
        t = np.concatenate([t, np.array([0, 1]) if target == "label" else np.eye(CLASSES)[[0, 1]]])
    if acts_on == "vector":
        return ((y, t), (y[:ROWS], t[:ROWS]), *_alone((y, t)))
    tall = (y.reshape(-1, 1), t.reshape(-1, 1))
    if prediction == "probability" and target == "binary":
        ends = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
        tall = (np.concatenate([tall[0], ends[0]]), np.concatenate([tall[1], ends[1]]))
    return (tall, (y, t), *_alone(tall))


def _alone(arguments: Arguments) -> list[Arguments]:
    return [tuple(one[k : k + 1] for one in arguments) for k in range(len(arguments[0]))]


@cache
def other_calls(kind: str) -> tuple[Arguments, ...]:
    """The arrays for activations and regularizers."""
    generator = inputs.generator_for("identify", kind)
    if kind == "regularizer":
        return tuple((inputs.single(generator.normal(0, 2, (4, 3))),) for _ in range(6))
    near = np.array([-6.5, -3.2, -2.6, -2.2, -1.2, -0.8, -0.6, -0.4, -0.1, 0.0, 0.1, 0.4, 0.6, 0.8, 1.2, 2.2, 2.6, 3.2,
                     6.5, 19.5, 20.5, -1.0, 1.0, -20.5])  # fmt: skip
    values = [near, generator.normal(0, 2, 48), generator.uniform(-12, 12, 36), inputs.hostile(generator, (36,), -6, 1)]
    return ((inputs.single(np.concatenate(values)).reshape(-1, CLASSES),),)


@dataclass(frozen=True)
class Seen:
    """What a function made of the calls that it takes, by domain and reading; and what it said where it takes none."""

    settings: Settings
    results: Mapping[tuple[Domain, str], tuple[tuple[Arguments, np.ndarray], ...]]
    refused: str = ""


def observe(adapter: Adapter, opened: Opened, readings: Iterable[str] = READINGS[:1]) -> Seen:
    """Everything that can be seen of it."""
    found: dict[tuple[Domain, str], tuple[tuple[Arguments, np.ndarray], ...]] = {}
    refused = ""
    for reading in readings:
        for domain in dict.fromkeys(domain_of(one.row) for one in candidates(opened.kind)):
            if reading == READINGS[1] and domain[1:2] not in (("probability",), ("simplex",)):
                continue
            try:
                found[domain, reading] = tuple(_results(adapter, opened, domain, reading))
            except Exception as error:  # whatever a framework or a user throws at a domain that it does not take
                lines = str(error).strip().splitlines() or [""]
                refused = refused or f"{type(error).__name__}: {lines[0][:300]}"
    return Seen(numeric(flat(opened.settings)), found, refused)


def _results(adapter: Adapter, opened: Opened, domain: Domain, reading: str) -> Iterable[tuple[Arguments, np.ndarray]]:
    calls = loss_calls(domain) if opened.kind == "loss" else other_calls(opened.kind)
    reduces = False
    for place, arguments in enumerate(calls):
        if place > 1 and opened.kind == "loss" and not reduces:
            return  # each number was seen already
        result = np.asarray(adapter.array(given(adapter, opened, arguments, reading)), float)
        reduces = reduces or result.shape == ()
        yield arguments, result


def given(adapter: Adapter, opened: Opened, arguments: Sequence[Any], reading: str) -> Any:
    """The function of these arguments, read in this way."""
    tensors = [adapter.tensor(one) if isinstance(one, np.ndarray) else one for one in arguments]
    if reading == READINGS[1]:
        tensors[0] = adapter.primitives["log"](tensors[0])
    return opened.native.function(*(reversed(tensors) if reading == READINGS[2] else tensors))


@dataclass(frozen=True)
class Fit:
    """A candidate with its hyper-parameters, what becomes of a batch, and how far it goes."""

    candidate: Candidate
    sources: Mapping[str, Source]
    reduction: str
    reading: str
    digits: float
    same: bool

    def values(self, settings: Settings) -> dict[str, float]:
        return {name: source.value(settings) for name, source in self.sources.items()}

    @property
    def key(self) -> tuple[Any, ...]:
        """The best first; of those that fit, what is defined for more targets, then what is simpler."""
        row = self.candidate.row
        special = row.target not in ("real", "simplex") if isinstance(row, Loss) else False
        return (not self.same, 0.0 if self.same else -round(self.digits, 1), special, self.candidate.simplicity)


def fits(adapter: Adapter, opened: Opened) -> tuple[Seen, Seen | None, list[Fit], list[Fit]]:
    """As for optimizers: (asked, visible, those that fit both, the rest), each list best first."""
    asked = observe(adapter, opened)
    if not asked.results and not asked.refused:
        raise BackendError(f"{opened.native.call} is of kind {opened.kind!r}, which is not identified")
    other = made_visible(adapter, opened)
    visible = None if other is None else observe(adapter, other)
    found = _search(opened.kind, asked)
    if not any(fit.same for fit in found) and opened.kind == "loss":
        others = READINGS[1:] if is_own(opened.native.call) else READINGS[1:2]  # adapters put the prediction first
        again = observe(adapter, opened, others)
        asked = replace(asked, results={**asked.results, **again.results})
        if other is not None and visible is not None:
            more = observe(adapter, other, others)
            visible = replace(visible, results={**visible.results, **more.results})
        found = _search(opened.kind, asked)
    if not found:
        raise BackendError(f"{opened.native.call} cannot be called here: {asked.refused}")
    found.sort(key=lambda fit: fit.key)
    if visible is None:
        return asked, None, [fit for fit in found if fit.same], [fit for fit in found if not fit.same]
    clearly = [each for each in _search(opened.kind, visible) if each.same]
    both = sorted((one for each in clearly if (one := scored(each, asked)).same), key=lambda fit: fit.key)
    if both:
        kept = {id(fit.candidate) for fit in both}
        return asked, visible, both, [fit for fit in found if id(fit.candidate) not in kept]
    return asked, None, [fit for fit in found if fit.same], [fit for fit in found if not fit.same]


def _search(kind: str, seen: Seen) -> list[Fit]:
    found = []
    for candidate in candidates(kind):
        choices = {name: first_choices(candidate.row, name, seen.settings) for name in candidate.needs}
        found += [one for one in [_best(candidate, choices, seen)] if one is not None]
    if not any(fit.same for fit in found):
        found.sort(key=lambda fit: fit.key)
        found = [*(_refined(fit, seen) for fit in found[:REFINED]), *found[REFINED:]]
    return found


def _best(candidate: Candidate, choices: Mapping[str, Sequence[Source]], seen: Seen) -> Fit | None:
    """The best assignment, reduction and reading."""
    best: Fit | None = None
    for each in itertools.islice(itertools.product(*choices.values()), AT_ONCE):
        sources = dict(zip(choices, each, strict=True))
        if not all(np.isfinite(source.value(seen.settings)) for source in each):
            continue
        for (domain, reading), results in seen.results.items():
            if domain != domain_of(candidate.row):
                continue
            for reduction in REDUCTIONS if candidate.row.kind == "loss" else ("none",):
                fit = Fit(candidate, sources, reduction, reading, 0.0, False)
                one = _compared(fit, results, seen.settings)
                if one is not None and (best is None or (one.same, one.digits) > (best.same, best.digits)):
                    best = one
    return best


def scored(fit: Fit, seen: Seen) -> Fit:
    """The same at other numbers."""
    results = seen.results.get((domain_of(fit.candidate.row), fit.reading))
    found = None if results is None else _compared(fit, results, seen.settings)
    return replace(fit, digits=0.0, same=False) if found is None else found


def _compared(fit: Fit, results: Sequence[tuple[Arguments, np.ndarray]], settings: Settings) -> Fit | None:
    hyper = {**fit.candidate.row.params, **fit.values(settings)}
    ours, theirs = [], []
    for arguments, result in results:
        value = fit.candidate.value(arguments, hyper)
        value = REDUCTIONS[fit.reduction](value) if value.ndim else value
        if np.shape(value) != result.shape and not (np.size(value) == result.size and fit.reduction == "none"):
            return None
        ours.append(np.ravel(value))
        theirs.append(np.ravel(result))
    found = agree(np.concatenate(theirs)[None], np.concatenate(ours)[None, None])
    return replace(fit, digits=float(found.digits[0]), same=bool(found.same[0]))


def _refined(fit: Fit, seen: Seen) -> Fit:
    """One hyper-parameter after the other through everything that is tried."""
    for name in fit.candidate.needs:
        for source in all_choices(fit.candidate.row, name, seen.settings):
            other = scored(replace(fit, sources={**fit.sources, name: source}), seen)
            if (other.same, other.digits) > (fit.same, fit.digits + 0.1):
                fit = other
    return fit


KINDS = (Activation.kind, Loss.kind, Regularizer.kind)
