"""The protocols by which questions are measured: what each is given, what it varies, and which numbers it returns.

Plain data, so that reading the catalogue imports nothing that computes. A number or a name such as `depth_{depths}`
stands for one name for each value of that setting.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossnn.errors import SpecError, choices, unknown
from crossnn.formula.grammar import parse

if TYPE_CHECKING:
    from crossnn.catalogue.rows import Question

MOST_VALUES = 200
"""The values of one setting."""
LEAST_SEEDS = 5
"""So many repetitions that agree are no chance: one in 32, if the claim were as likely false as true."""
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Parameter:
    """A setting: its default, which shows its type, and what is allowed."""

    default: Any
    least: float = -math.inf
    most: float = math.inf
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """`path` is the function; `varies` names what its cases differ in. What is `exact` needs no repetition."""

    path: str
    settings: Mapping[str, Parameter]
    numbers: tuple[str, ...]
    varies: tuple[str, ...] = ()
    exact: bool = False


def _sizes(*values: int) -> Parameter:
    return Parameter(list(values), 1, 1e8)


def _rates(*values: float) -> Parameter:
    return Parameter(list(values), 1e-12, 1e6)


SHAPED = ("sigmoid", "tanh", "relu", "elu", "selu", "softsign", "identity")
"""Activations of the networks whose gradients are looked at; with `_batch_norm` behind, they are normalised first."""
ACTIVATIONS = (*SHAPED, *(f"{name}_batch_norm" for name in SHAPED))

PROTOCOLS: Mapping[str, Protocol] = {
    "error_measures": Protocol(
        "crossnn.questions.errors:error_measures",
        {"scales": _rates(1e-3, 1.0, 1e3), "errors": Parameter(100, 1, 1e6)},
        ("mse", "rmse", "arctan"),
        ("scale",),
    ),
    "learning_rates": Protocol(
        "crossnn.questions.descent:learning_rates",
        {
            "rates": _rates(0.1, 1.0, 1.9, 2.1), "kappa": Parameter(10.0, 1, 1e6), "steps": Parameter(2000, 1, 1e5),
            "dimensions": Parameter(3, 1, 100), "target": Parameter(1e-6, 1e-12, 1.0),
        },
        ("change", "steps", "fewest_steps"),
        ("rate",),
    ),
    "normalisation": Protocol(
        "crossnn.questions.descent:normalisation",
        {
            "ratios": _rates(1.0, 10.0, 100.0), "correlations": Parameter([0.0, 0.5, 0.9], 0.0, 0.999),
            "samples": Parameter(200, 10, 1e5), "features": Parameter(4, 1, 100), "steps": Parameter(5000, 1, 1e5),
            "target": Parameter(1e-6, 1e-12, 1.0),
        },
        ("kappa_raw", "kappa_normalised", "steps_raw", "steps_normalised", "detour_raw", "detour_normalised"),
        ("ratio", "correlation"),
    ),
    "tuned_optimizers": Protocol(
        "crossnn.questions.descent:tuned_optimizers",
        {
            "optimizers": Parameter(["sgd", "momentum"]),
            "surfaces": Parameter(["aligned", "rotated"], allowed=("aligned", "rotated", "rosenbrock")),
            "kappas": _rates(10.0, 100.0), "steps": Parameter(5000, 1, 1e5), "target": Parameter(1e-6, 1e-12, 1.0),
            "lowest": Parameter(1e-4, 1e-9, 1e3), "highest": Parameter(3.0, 1e-9, 1e3),
            "per_decade": Parameter(8, 1, 50),
        },
        ("{optimizers}",),
        ("surface", "kappa"),
    ),
    "gradient_flow": Protocol(
        "crossnn.questions.depth:gradient_flow",
        {
            "networks": Parameter(["sigmoid", "relu"], allowed=ACTIVATIONS), "depths": Parameter([1, 4, 10], 1, 60),
            "width": Parameter(16, 1, 512), "batch": Parameter(64, 2, 1024),
            "initializers": Parameter(["glorot_uniform"]),
        },
        ("{networks}",),
        ("depth", "initializer"),
    ),
    "compared_trainings": Protocol(
        "crossnn.questions.trainings:compared_trainings",
        {
            "first": Parameter("deep-sigmoid"), "second": Parameter("deep-sigmoid-batch-norm"),
            "rates": _rates(0.02, 0.2), "epochs": Parameter(5, 1, 1000),
        },
        ("first", "second", "first_held_out", "second_held_out", "chance"),
        ("rate",),
    ),
    "batch_sizes": Protocol(
        "crossnn.questions.batches:batch_sizes",
        {
            "experiment": Parameter("digits-softmax"), "samples": Parameter([200, 1600], 10, 1e6),
            "mini": Parameter(32, 2, 1e5), "rates": _rates(0.1, 0.5), "target": Parameter(0.5, 1e-9, 1e9),
            "steps": Parameter(3000, 1, 1e6), "epochs": Parameter(5, 1, 1000),
        },
        tuple(f"{way}_{what}" for what in ("update", "epoch", "target", "loss") for way in ("full", "mini", "single")),
        ("samples",),
    ),
    "dropout_gap": Protocol(
        "crossnn.questions.trainings:dropout_gap",
        {
            "experiment": Parameter("digits-mlp"), "samples": Parameter([100, 200], 10, 5000),
            "rates": Parameter([0.2, 0.5], 0.01, 0.95), "epochs": Parameter(60, 1, 1000),
            "batch": Parameter(20, 1, 1000),
        },
        (
            "plain_gap", "dropout_gap", "plain_held_out", "dropout_held_out", "plain_accuracy", "dropout_accuracy",
        ),
        ("samples", "rate"),
    ),
    "depth_budget": Protocol(
        "crossnn.questions.trainings:depth_budget",
        {
            "kinds": Parameter(["linear", "quadratic", "transcendental"],
                               allowed=("linear", "quadratic", "transcendental")),
            "arguments": Parameter([4, 8, 12], 4, 12), "depths": Parameter([1, 2, 3, 4], 1, 10),
            "parameters": Parameter(600, 20, 1e6), "rates": _rates(0.003, 0.01), "epochs": Parameter(25, 1, 1000),
        },
        ("depth_{depths}", "best_depth", "best_depth_of_fewest"),
        ("kind", "arguments"),
    ),
    "printed_run": Protocol(
        "crossnn.questions.printed:printed_run",
        {"experiment": Parameter("mnist-softmax"), "epochs": Parameter([10, 20], 1, 1000)},
        ("here", "printed", "error"),
        ("quantity", "epochs"),
    ),
    "python_lists": Protocol(
        "crossnn.questions.costs:python_lists",
        {
            "sizes": _sizes(1, 1000), "operations": Parameter(["add", "dot", "exp"], allowed=("add", "dot", "exp")),
        },
        ("python", "numpy"),
        ("size", "operation"),
    ),
    "gradient_cost": Protocol(
        "crossnn.questions.costs:gradient_cost",
        {"depths": Parameter([2, 8], 1, 64), "widths": _sizes(16, 256), "batch": Parameter(32, 1, 4096)},
        ("value", "gradient"),
        ("mode", "depth", "width"),
    ),
    "gradient_operations": Protocol(
        "crossnn.questions.costs:gradient_operations",
        {"depths": Parameter([2, 8], 1, 64), "widths": _sizes(16, 256), "batch": Parameter(32, 1, 4096)},
        ("value", "gradient"),
        ("depth", "width"),
        exact=True,
    ),
    "symbolic_cost": Protocol(
        "crossnn.questions.costs:symbolic_cost",
        {"elements": _sizes(100, 100_000), "operations": Parameter([4, 40], 1, 1000)},
        ("eager", "symbolic", "first_call", "break_even"),
        ("mode", "elements", "operations"),
    ),
    "working_memory": Protocol(
        "crossnn.questions.costs:working_memory",
        {"elements": _sizes(10_000, 1_000_000), "operations": Parameter([4, 40], 1, 1000)},
        ("eager", "symbolic"),
        ("mode", "elements", "operations"),
        exact=True,
    ),
    "wasted_work": Protocol(
        "crossnn.questions.waste:wasted_work",
        {"elements": _sizes(10_000), "wastes": Parameter(["unused", "repeated"], allowed=("unused", "repeated"))},
        ("lean", "wasteful"),
        ("mode", "waste", "elements"),
    ),
    "found_work": Protocol(
        "crossnn.questions.waste:found_work",
        {
            "elements": Parameter(100, 1, 1e6),
            "wastes": Parameter(["unused", "repeated"], allowed=("unused", "repeated")),
        },
        ("recorded", "left", "lean"),
        ("mode", "waste"),
        exact=True,
    ),
    "trained_modes": Protocol(
        "crossnn.questions.printed:trained_modes",
        {"experiment": Parameter("fit-line")},
        ("first_loss", "last_loss", "eager_last_loss", "difference", "step", "eager_step"),
        ("mode",),
    ),
    "injected_bugs": Protocol(
        "crossnn.questions.bugs:injected_bugs",
        {"bugs": Parameter(["shape", "dtype", "nan", "axis", "range", "branch"],
                           allowed=("shape", "dtype", "nan", "axis", "range", "branch"))},
        ("eager", "symbolic"),
        ("bug", "mode"),
        exact=True,
    ),
}  # fmt: skip


def settings_of(row: Question) -> dict[str, Any]:
    """The settings of a question, those that are not given at their defaults."""
    return {name: row.settings.get(name, one.default) for name, one in PROTOCOLS[row.protocol].settings.items()}


def numbers_of(row: Question) -> list[str]:
    """The names of what is measured."""
    given = settings_of(row)
    found: list[str] = []
    for name in PROTOCOLS[row.protocol].numbers:
        key = re.search(r"\{(\w+)\}", name)
        found += [name.replace(key[0], str(value)) for value in given[key[1]]] if key else [name]
    return found


def check_question(row: Question) -> None:
    """Refuse protocols and settings that do not exist, and comparisons of what is not measured."""
    if row.protocol not in PROTOCOLS:
        raise SpecError(f"protocol: {unknown('protocol', row.protocol, PROTOCOLS)}")
    protocol = PROTOCOLS[row.protocol]
    for name, value in row.settings.items():
        if name not in protocol.settings:
            raise SpecError(unknown(f"setting of protocol {row.protocol}", name, protocol.settings))
        _check_setting(f"settings.{name}", value, protocol.settings[name])
    least = 1 if protocol.exact else LEAST_SEEDS
    if not least <= row.seeds <= MOST_SEEDS:
        raise SpecError(f"seeds = {row.seeds}; from {least} to {MOST_SEEDS}: fewer that agree might be chance")
    if not 0.5 < row.most <= 1:
        raise SpecError(f"most = {row.most}; the share of repetitions that must agree, above 0.5 and at most 1")
    if not row.backends:
        raise SpecError('backends is empty; write backends = ["numpy"], or ["all"] for every backend')
    known = [*numbers_of(row), *protocol.varies]
    for name in row.by:
        if name not in known:
            raise SpecError(f"by: {unknown('name', name, known)}")
    if not row.holds:
        raise SpecError('holds is empty; give the comparison that is true where the claim holds, such as ["a < b"]')
    for text in row.holds:
        formula = parse(text)
        if not isinstance(formula.tree, ast.Compare):
            raise SpecError(f"holds: {text!r} is no comparison; write one, such as 'momentum < sgd'")
        wrong = formula.names - set(known)
        if wrong:
            raise SpecError(f"holds: {text!r} names {choices(wrong)}; protocol {row.protocol} has {choices(known)}")


def _check_setting(key: str, value: Any, wanted: Parameter) -> None:
    if isinstance(wanted.default, list):
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_VALUES:
            raise SpecError(f"{key} = {value!r}; a list of 1 to {MOST_VALUES} values, such as {wanted.default!r}")
        if len(set(map(str, value))) < len(value):
            raise SpecError(f"{key} = {value!r} lists a value twice")
        for one in value:
            _check_one(key, one, wanted.default[0], wanted)
    else:
        _check_one(key, value, wanted.default, wanted)


def _check_one(key: str, value: Any, like: Any, wanted: Parameter) -> None:
    if isinstance(like, str):
        if not isinstance(value, str):
            raise SpecError(f"{key}: {value!r} is no text; such as {like!r}")
        if wanted.allowed and value not in wanted.allowed:
            raise SpecError(f"{key}: {value!r}; allowed: {choices(wanted.allowed)}")
        return
    kinds = int if isinstance(like, int) else int | float
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise SpecError(f"{key}: {value!r} is no {'whole ' if kinds is int else ''}number; such as {like!r}")
    if not wanted.least <= value <= wanted.most:
        raise SpecError(f"{key}: {value!r} is not from {wanted.least:g} to {wanted.most:g}")
