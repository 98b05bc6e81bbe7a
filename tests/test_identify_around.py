"""What surrounds a training is identified: schedules, metrics, constraints, clippings, initializers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.adapter import Adapter, Native, Opened
from crossnn.catalogue.load import load_catalogue
from crossnn.cli import main
from crossnn.errors import BackendError
from crossnn.identify import around
from crossnn.identify.calls import parse_call
from crossnn.identify.search import identify
from crossnn.identify.text import as_text
from crossnn.parity.backend import natives_of
from crossnn.parity.check import subjects_of

Adapters = Callable[..., Adapter]
S, K, O = "torch.optim.lr_scheduler.", "keras.optimizers.schedules.", "optax."  # noqa: E741

# Calls, with what their documentation says that they are ------------------------------------------------------------

COSINE, WARM = "cosine_decay", "warmup_cosine"
SCHEDULES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("torch", f"{S}CosineAnnealingLR(opt, T_max=100)", COSINE, {"beyond": "rises", "lr": 0.1, "end": 0, "steps": 100}),
    ("torch", f"{S}CosineAnnealingLR(torch.optim.Adam(lr=0.003), 50, eta_min=1e-5)", COSINE,
     {"beyond": "rises", "lr": 0.003, "end": 1e-5, "steps": 50}),
    ("torch", f"{S}CosineAnnealingWarmRestarts(opt, 25, eta_min=0.001)", COSINE,
     {"beyond": "restarts", "steps": 25, "end": 0.001}),
    ("torch", f"{S}StepLR(opt, 30, gamma=0.5)", "step_decay", {"period": 30, "gamma": 0.5}),
    ("torch", f"{S}ExponentialLR(opt, 0.95)", "exponential_decay", {"gamma": 0.95, "period": 1}),
    ("torch", f"{S}PolynomialLR(opt, total_iters=50, power=2.0)", "polynomial_decay",
     {"end": 0, "steps": 50, "power": 2}),
    ("torch", f"{S}LinearLR(opt, start_factor=0.2, total_iters=4)", "linear_warmup", {"first": "one", "warmup": 5}),
    ("torch", f"{S}LinearLR(opt)", "polynomial_decay", {"lr": 0.1 / 3, "end": 0.1, "steps": 5, "power": 1}),
    ("torch", f"{S}OneCycleLR(opt, 0.1, total_steps=100)", "one_cycle",
     {"phases": "two", "anneal": "cosine", "start": 25, "end": 250000, "rise": 29, "steps": 99}),
    ("torch", f"{S}ConstantLR(opt, factor=1.0)", "constant", {"lr": 0.1}),
    ("tensorflow", f"{K}CosineDecay(0.1, 100, alpha=0.1)", COSINE, {"beyond": "stays", "end": 0.01, "steps": 100}),
    ("tensorflow", f"{K}CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=20)", WARM,
     {"first": "zero", "lr": 0.1, "end": 0, "warmup": 20, "steps": 120}),
    ("tensorflow", f"{K}ExponentialDecay(0.123456789, 77, 0.987654321)", "exponential_decay",
     {"staircase": False, "lr": 0.123456789, "period": 77, "gamma": 0.987654321}),
    ("tensorflow", f"{K}InverseTimeDecay(0.1, 100, 0.5, staircase=True)", "inverse_time_decay",
     {"staircase": True, "period": 100, "rate": 0.5}),
    ("tensorflow", f"{K}PolynomialDecay(0.1, 100, 0.01, power=0.5)", "polynomial_decay", {"end": 0.01, "power": 0.5}),
    ("jax", f"{O}warmup_cosine_decay_schedule(0.0, 0.1, 10, 100)", WARM,
     {"first": "zero", "lr": 0.1, "end": 0, "warmup": 10, "steps": 100}),
    ("jax", f"{O}cosine_decay_schedule(0.1, 100)", COSINE, {"beyond": "stays", "end": 0, "steps": 100}),
    ("jax", f"{O}linear_schedule(0.1, 0.01, 50)", "polynomial_decay", {"power": 1, "end": 0.01, "steps": 50}),
    ("jax", f"{O}join_schedules([optax.linear_schedule(0.0, 0.1, 10), optax.cosine_decay_schedule(0.1, 90)], [10])",
     WARM, {"first": "zero", "warmup": 10, "steps": 100}),
]  # fmt: skip
OTHERS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("torch", "torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)", "clip_by_global_norm",
     {"guarded": True, "limit": 0.5}),
    ("torch", "torch.nn.utils.clip_grad_value_(clip_value=0.25)", "clip_by_value", {"limit": 0.25}),
    ("torch", "torch.renorm(p=2, dim=1, maxnorm=3)", "max_norm", {"eps_everywhere": False, "limit": 3}),
    ("torch", "torch.nn.init.xavier_uniform_(w)", "glorot_uniform", {}),
    ("torch", "torch.nn.init.trunc_normal_(std=0.02, a=-0.04, b=0.04)", "truncated_normal", {"stddev": 0.02}),
    ("torch", "torch.nn.init.orthogonal_(gain=1.5)", "orthogonal", {"gain": 1.5}),
    ("tensorflow", "tf.clip_by_norm(clip_norm=1.5)", "clip_by_norm", {"guarded": False, "limit": 1.5}),
    ("tensorflow", "tf.clip_by_global_norm(clip_norm=2.0)", "clip_by_global_norm", {"limit": 2.0}),
    ("tensorflow", "keras.metrics.Precision(thresholds=0.3)", "precision", {"threshold": 0.3}),
    ("tensorflow", "keras.metrics.F1Score", "macro_f1", {}),
    ("tensorflow", "keras.metrics.F1Score(threshold=0.4)", "f1", {"threshold": 0.4}),
    ("tensorflow", "keras.metrics.R2Score", "r2", {}),
    ("tensorflow", "keras.constraints.MaxNorm(max_value=3)", "max_norm", {"eps_everywhere": True, "limit": 3}),
    ("tensorflow", "keras.initializers.HeNormal", "he_normal", {"truncated": True}),
    ("tensorflow", "keras.initializers.RandomUniform", "uniform", {"low": -0.05, "high": 0.05}),
    ("jax", "optax.clip_by_global_norm(1.5)", "clip_by_global_norm", {"guarded": False, "limit": 1.5}),
    ("jax", "optax.clip(0.7)", "clip_by_value", {"limit": 0.7}),
    ("jax", "jax.nn.initializers.normal(0.02)", "normal", {"mean": 0, "stddev": 0.02}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "call", "spec", "settings"), [*SCHEDULES, *OTHERS], ids=[call for _, call, *_ in [*SCHEDULES, *OTHERS]]
)
def test_identified(adapter: Adapters, backend: str, call: str, spec: str, settings: dict[str, Any]) -> None:
    one = adapter(backend)
    found = identify(one, around.opened(one, call))
    assert (found.matched, found.spec, parse_call(found.call)) == (True, spec, parse_call(call))
    assert {name: found.settings[name] for name in settings} == pytest.approx(settings)
    assert all(quantity.explained for quantity in found.quantities)


NEAREST = [
    ("torch", f"{S}MultiStepLR(opt, [30, 60, 90])", "step_decay", 120),  # which would fall for a fourth time
    ("torch", f"{S}SequentialLR(opt, [{S}LinearLR(opt, 0.2, 1.0, 4), {S}CosineAnnealingLR(opt, 20)], [4])", WARM, 25),
    ("tensorflow", f"{K}CosineDecayRestarts(0.1, 100)", COSINE, 101),  # the second period is twice as long
    ("jax", f"{O}piecewise_constant_schedule(0.1, {{30: 0.5, 60: 0.5}})", "step_decay", 90),
    ("jax", f"{O}linear_onecycle_schedule(100, 0.1)", "one_cycle", 31),
]


@pytest.mark.parametrize(("backend", "call", "near", "step"), NEAREST, ids=[call for _, call, *_ in NEAREST])
def test_nearest_schedule_and_the_first_step_where_they_part(
    adapter: Adapters, backend: str, call: str, near: str, step: int
) -> None:
    one = adapter(backend)
    found = identify(one, around.opened(one, call))
    assert (found.matched, found.spec) == (False, near)
    assert found.first is not None
    assert found.first.step == step
    assert f"learning rate after {step} steps" in as_text(found)


READ_AS = [
    ("torch", "torch.nn.functional.l1_loss", "metric", "mean_absolute_error"),
    ("torch", "torch.clamp(min=0)", "constraint", "non_negative"),
    ("torch", "torch.clamp(min=-0.5, max=0.5)", "clipping", "clip_by_value"),
    ("jax", "optax.projections.projection_l2_ball(scale=1.0)", "clipping", "clip_by_global_norm"),
]


@pytest.mark.parametrize(("backend", "call", "kind", "spec"), READ_AS, ids=[call for _, call, *_ in READ_AS])
def test_read_as_another_kind(adapter: Adapters, backend: str, call: str, kind: str, spec: str) -> None:
    one = adapter(backend)
    found = identify(one, around.opened(one, call, kind))
    assert (found.matched, found.spec, found.kind) == (True, spec, kind)


# Every native that is bound ------------------------------------------------------------------------------------------

LEFT = {
    "keras.metrics.R2Score": "as it is bound, it keeps the shape that it saw first",
    "torch.nn.init.orthogonal_": "as it is bound, for matrices alone",
}
"""Calls of the overlay that are not identified as they are bound; test_identified opens them by their names."""


def bound(adapter: Adapter, kind: str) -> Iterator[tuple[str, Mapping[str, Any], Native]]:
    """Each call once for each row, in the last of its cases: (row, settings, native)."""
    for row in load_catalogue().of_kind(kind):
        last: dict[str, tuple[Mapping[str, Any], Native]] = {}
        for subject in subjects_of(row.name, (), 0):
            if not subject.case.startswith("one class"):
                for native in natives_of(adapter, kind, row.name, subject.settings):
                    last[native.call] = subject.settings, native
        for settings, native in last.values():
            if native.call not in LEFT:
                yield row.name, settings, native


COUNTS = {("torch", "schedule"): 16, ("torch", "metric"): 4, ("torch", "constraint"): 5, ("torch", "clipping"): 11,
          ("torch", "initializer"): 13, ("tensorflow", "schedule"): 9, ("tensorflow", "metric"): 18,
          ("tensorflow", "constraint"): 6, ("tensorflow", "clipping"): 6, ("tensorflow", "initializer"): 20,
          ("jax", "schedule"): 17, ("jax", "metric"): 4, ("jax", "constraint"): 3, ("jax", "clipping"): 9}  # fmt: skip
"""At least so many are bound. JAX's initializers compile for minutes; test_identified opens one."""


@pytest.mark.parametrize(("backend", "kind"), COUNTS, ids=["-".join(one) for one in COUNTS])
def test_every_bound_native_is_its_own_row(adapter: Adapters, backend: str, kind: str) -> None:
    one, seen, wrong = adapter(backend), 0, []
    for row, settings, native in bound(one, kind):
        found = identify(one, Opened(kind, dict(settings), native))
        seen += 1
        same = {name: found.settings.get(name) == settings[name] or name in found.undetermined
                for name in load_catalogue().find(row).knobs if found.spec == row}  # type: ignore[attr-defined]  # fmt: skip
        alike = found.spec == row or row in [other.spec for other in found.others]
        if not (found.matched and alike and all(same.values())):
            wrong.append((native.call, row, found.spec, dict(found.settings), found.verdict))
    assert not wrong
    assert seen >= COUNTS[backend, kind]


# Altered copies -----------------------------------------------------------------------------------------------------


def schedule(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Opened:
    """A cosine that ends at step 100, altered."""

    def rates(t: np.ndarray) -> np.ndarray:
        return change(t, 0.05 * (1 + np.cos(np.pi * np.minimum(t, 100) / 100)))

    return Opened("schedule", {"lr": 0.1, "steps": 100}, Native("altered:schedule", rates))


def accuracy(y: np.ndarray, t: np.ndarray) -> Any:
    return np.mean(np.argmax(y, -1) == np.argmax(t, -1))


ALTERED: dict[str, tuple[Opened, str, int | None]] = {
    "as it is": (schedule(lambda t, rate: rate), "", None),
    "a bit more": (schedule(lambda t, rate: np.where((t > 80) & (t < 90), rate + 1e-6, rate)), COSINE, 81),
    "another last step": (schedule(lambda t, rate: np.where(t == 99, 0.0, rate)), COSINE, 99),
    "eight digits": (schedule(lambda t, rate: rate * (1 + 1e-8 * np.sin(t))), COSINE, 1),
    "in steps of two": (schedule(lambda t, rate: 0.05 * (1 + np.cos(np.pi * np.minimum(t // 2, 50) / 50))), COSINE, 1),
    "clipped a little later": (
        Opened("clipping", {"limit": 0.5}, Native("altered:clip", lambda g: {
            name: np.where(abs(one) > 0.51, np.sign(one) * 0.5, one) for name, one in g.items()})),
        "clip_by_value", None),
    "a norm of one": (
        Opened("clipping", {}, Native("altered:clip", lambda g: {
            name: one / max(1.0, float(np.sum(abs(one)))) for name, one in g.items()})), "clip_by_norm", None),
    "accuracy of all but one": (
        Opened("metric", {}, Native("altered:metric", lambda y, t: accuracy(y[1:], t[1:]))), "", None),
    "an epsilon twice": (
        Opened("constraint", {"eps": 1e-7}, Native("altered:norm", lambda w: w / (
            np.sqrt(np.sum(w * w, 0, keepdims=True) + 1e-7) + 1e-7))), "", None),
}  # fmt: skip


@pytest.mark.parametrize(("opened", "near", "step"), ALTERED.values(), ids=ALTERED)
def test_altered_copies_are_none(adapter: Adapters, opened: Opened, near: str, step: int | None) -> None:
    found = identify(adapter("numpy"), opened)
    assert found.matched == (opened is ALTERED["as it is"][0])
    if near:
        assert found.spec == near
        assert found.first is not None
    if step is not None and found.first is not None:
        assert found.first.step == step


def test_an_altered_initializer_is_none(adapter: Adapters) -> None:
    one = adapter("torch")
    opened = around.opened(one, "torch.nn.init.kaiming_normal_(nonlinearity='relu')")

    def scaled(shape: tuple[int, ...], seed: int) -> Any:
        draws, parameter = opened.native.function(shape, seed)
        return draws, 1.001 * parameter

    found = identify(one, replace(opened, native=Native(opened.native.call, scaled)))
    assert (found.matched, found.spec) == (False, "he_normal")
    assert any(note.startswith("it is 1.001 times the nearest") for note in found.notes)


# A user's own code --------------------------------------------------------------------------------------------------

MODULE = """
import math
import numpy as np

def decay(step, lr=0.2, total=400):
    return 0.5*lr*(1 + math.cos(math.pi*min(step, total)/total))

def noam(step):
    return 512**-0.5*min((step + 1)**-0.5, (step + 1)*4000**-1.5)

class Slower:
    def __init__(self, lr=0.1):
        self.lr = lr
    def __call__(self, t):
        return self.lr/(1 + 0.1*t)

def together(gradients):
    norm = math.sqrt(sum((g**2).sum() for g in gradients))
    return [g*min(1.0, 2.0/norm) if norm else g for g in gradients]

def right(y, t):
    return float(np.mean(y.argmax(-1) == t.argmax(-1)))

def limited(w, limit=3.0):
    norm = np.sqrt((w**2).sum(0))
    return np.where(norm > limit, w*limit/(norm + 1e-7), w)

def changing(x):
    x *= x > 0
    return x

def noisy(x):
    return np.tanh(x) + np.random.normal(0, 1e-3, x.shape)

def talks(x):
    print("hello")
    return np.tanh(x)

def slow(x):
    while True:
        try:
            for _ in range(1000):
                pass
        except Exception:
            pass

def raises(step):
    if step > 10:
        raise ValueError("too far\\nand more")
    return 0.1

def words(step): return "much"
def nothing(x): pass
def imaginary(x): return x + 1j
def unnamed(x, *, a): return a*x
def three(step): return np.ones(3)
def not_a_number(step): return float("nan")
def same(y, t): return 1.0
def as_it_is(g): return g
def lost(w, g, state, t): return w*np.nan, None
class Needs:
    def __init__(self, a): self.a = a
    def __call__(self, x): return x
"""
OWN = [
    ("decay", "", COSINE, {"beyond": "stays", "lr": 0.2, "end": 0.0, "steps": 400.0}),
    ("Slower", "schedule", "inverse_time_decay", {"lr": 0.1, "period": 1.0, "rate": 0.1}),
    ("together", "clipping", "clip_by_global_norm", {"guarded": False, "limit": 2.0}),
    ("right", "metric", "categorical_accuracy", {}),
    ("limited", "constraint", "max_norm", {"eps_everywhere": False, "limit": 3.0, "eps": 1e-7}),
    ("changing", "", "relu", {}),
]
numbered = itertools.count()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the module above."""
    name = f"around_{next(numbered)}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(("name", "kind", "spec", "settings"), OWN, ids=[name for name, *_ in OWN])
def test_own_code(adapter: Adapters, mine: str, name: str, kind: str, spec: str, settings: dict[str, Any]) -> None:
    one = adapter("numpy")
    found = identify(one, around.opened(one, f"{mine}:{name}", kind))
    assert (found.matched, found.spec) == (True, spec)
    assert {key: found.settings[key] for key in settings} == pytest.approx(settings)


def test_what_turns_late_is_seen(adapter: Adapters, mine: str) -> None:
    one = adapter("numpy")
    found = identify(one, around.opened(one, f"{mine}:noam"))  # a warm-up of 4000 steps, and no schedule of ours
    assert not found.matched


def test_own_scheduler_of_torch(adapter: Adapters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_scheduler.py").write_text(
        "from torch.optim.lr_scheduler import LambdaLR\n"
        "def makes(optimizer):\n    return LambdaLR(optimizer, lambda t: 0.9**t)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    one = adapter("torch")
    found = identify(one, around.opened(one, "own_scheduler:makes"))
    assert (found.matched, found.spec, found.settings["gamma"]) == (True, "exponential_decay", 0.9)


def test_what_is_random_is_said_to_be(adapter: Adapters, mine: str) -> None:
    one = adapter("numpy")
    found = identify(one, around.opened(one, f"{mine}:noisy"))
    assert not found.matched
    assert any("random" in note for note in found.notes)


# Bad calls ----------------------------------------------------------------------------------------------------------

REFUSED = [
    ("torch", f"{S}Steplr(opt, 3)", "did you mean 'StepLR'"),
    ("torch", f"{S}StepLR(opt)", "needs step_size"),
    ("torch", f"{S}StepLR(opt, T_max=3)", "unknown argument 'T_max'"),
    ("torch", f"{S}StepLR(opt, 0)", "ZeroDivisionError"),
    ("torch", f"{S}StepLR(opt, 'x')", "TypeError"),
    ("torch", f"{S}StepLR(opt, 100000000)", "divide its lengths"),
    ("torch", f"{S}LambdaLR(opt, f)", "package.module:function"),
    ("torch", f"{S}ReduceLROnPlateau(opt)", "follows a measured loss"),
    ("torch", f"{S}LRScheduler(opt)", "no rates of its own"),
    ("torch", "torch.nn.utils.clip_grad_norm_(max_norm=1e9)", "smaller limit"),
    ("torch", "torch.nn.init.kaiming_normal_(nonlinearity='foo')", "Unsupported nonlinearity foo"),
    ("tensorflow", f"{K}Cosine(1)", "did you mean 'CosineDecay'"),
    ("tensorflow", f"{K}PiecewiseConstantDecay([9, 19], [0.1, 0.05])", "boundaries"),
    ("tensorflow", "keras.metrics.Mean", "takes values"),
    ("tensorflow", "keras.metrics.Precision(threshold=0.3)", "unknown argument 'threshold'"),
    ("jax", f"{O}cosine_decay_schedule", "needs decay_steps, init_value"),
    ("jax", f"{O}cosine_decay_schedule(0.1, -1)", "positive decay_steps"),
    ("jax", f"{O}clip(max=1)", "unknown argument 'max'"),
]


@pytest.mark.parametrize(("backend", "call", "said"), REFUSED, ids=[call for _, call, _ in REFUSED])
def test_refused(adapter: Adapters, backend: str, call: str, said: str) -> None:
    one = adapter(backend)
    with pytest.raises(BackendError, match=said):
        identify(one, around.opened(one, call))


MESSAGES = [
    (["raises", "--kind", "schedule"], "step 11: ValueError: too far"),
    (["words"], "could not convert"),
    (["three"], "one learning rate"),
    (["not_a_number"], "no finite learning rate"),
    (["nothing"], "returns None"),
    (["imaginary"], "real numbers"),
    (["unnamed"], "needs a by name"),
    (["Needs"], "needs a"),
    (["same", "--kind", "metric"], "the same of every batch"),
    (["as_it_is", "--kind", "clipping"], "leaves all gradients as they are"),
    (["lost"], "no finite parameter"),
    (["right", "--kind", "initializer"], "random numbers"),
    (["slow", "--timeout", "0.5"], "not identified after 0.5 s"),
]


@pytest.mark.parametrize(("arguments", "said"), MESSAGES, ids=[arguments[0] for arguments, _ in MESSAGES])
def test_a_bad_function_is_one_line(mine: str, arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["identify", f"{mine}:{arguments[0]}", *arguments[1:]])
    assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
    assert said in result.output


def test_what_is_printed_does_not_mix_with_the_answer(mine: str) -> None:
    result = CliRunner().invoke(main, ["identify", f"{mine}:talks"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{mine}:talks  (activation)\n  is tanh")
    assert "hello" not in result.stdout
    assert "the first: 'hello'" in result.stderr
