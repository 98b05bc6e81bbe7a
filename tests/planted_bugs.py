"""Bugs planted on purpose, one row each: where it is hidden, what must be found first, and with which verdict.

A bug is an adapter: NumPy's, with one thing wrong. So each goes the whole way that a real backend goes, and can be
tried by hand from this folder: `crossnn check sigmoid --backend planted_bugs:exp_in_float32`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from crossnn.adapter import Function, Knobs, Native, Params, Tree
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Experiment, Formulated, Layer, Network, Optimizer, Row
from crossnn.catalogue.updates import update_graph
from crossnn.formula.graph import Graph
from crossnn.formula.loops import LOOP
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import OPERATORS, compile_graph
from crossnn.parity.compute import function_of
from crossnn.parity.experiments import first_step
from crossnn.parity.functions import function_subjects
from crossnn.parity.layers import layer_subjects
from crossnn.parity.networks import network_subjects
from crossnn.parity.optimizers import SHAPES, optimizer_steps
from crossnn.parity.paths import PARAM
from crossnn.runs.cell import Verdict

if TYPE_CHECKING:  # a type checker sees the source folders, a test the installed package
    from backends.numpy_adapter import NumpyAdapter, _dispatch
else:
    from crossnn.backends.numpy_adapter import NumpyAdapter, _dispatch

Arrays = dict[str, np.ndarray]
Make = Callable[[], NumpyAdapter]
Hook = Callable[..., Any]


@dataclass(frozen=True)
class Bug:
    """`first` is the first quantity that must depart. `step`: the index of the worst element begins with it, or with
    a later one where it is negative (-1: not at the first step). `case`: a part of the first departing case."""

    name: str
    spec: str
    make: Make
    first: str
    verdict: Verdict = "FORMULA"
    dtype: str = "float64"
    implementation: str = "formula"
    step: int | None = None
    case: str = ""
    says: str = ""


# Wrong primitives ---------------------------------------------------------------------------------------------------


class WrongPrimitives(NumpyAdapter):
    """Some primitives compute something else, in the forward and in the backward computation alike."""

    def __init__(self, wrong: Mapping[str, Hook]) -> None:
        self.wrong = wrong
        super().__init__()

    def _use(self, dtype: str) -> None:
        super()._use(dtype)
        self.meaning = {**self.meaning, **self.wrong}
        kept = {name: operator for name, operator in OPERATORS.items() if name not in self.wrong}
        self.primitives = {**{name: _dispatch(name, one) for name, one in self.meaning.items()}, **kept}
        self.spelling: Mapping[str, str] = {}
        self.namespace: dict[str, Any] = {}


def primitive(**wrong: Hook) -> Make:
    return lambda: WrongPrimitives(wrong)


def reduction(name: str, compute: Callable[[Any, Any, bool], Any]) -> Make:
    """The reduction `name` computes something else of (x, axis, keepdims)."""
    return primitive(**{name: lambda x, axis=None, keepdims=False: compute(x, axis, keepdims)})


class Looping(NumpyAdapter):
    """Runs equal steps as a loop: `visit` says at which places, `carry` what the next step is given of (start, now)."""

    loops = ("eager",)

    def __init__(self, visit: Hook = range, carry: Hook = lambda start, now: now) -> None:
        self.visit, self.carry = visit, carry
        super().__init__()

    def _use(self, dtype: str) -> None:
        super()._use(dtype)
        self.primitives = {**self.primitives, LOOP: self._loop}

    def _loop(self, step: Hook, carried: Any, sequences: Any) -> Any:
        part, join, now, given = self.primitives["slice"], self.primitives["concatenate"], carried, []
        for place in self.visit(sequences[0].shape[1]):
            parts = tuple(part(one, axis=1, start=place, stop=place + 1) for one in sequences)
            after, collected = step(now, parts)
            now = tuple(map(self.carry, carried, after))
            given.append(collected)
        return after, tuple(join(*every, axis=1) for every in zip(*given, strict=True))


def _single(x: Any) -> Any:
    return np.asarray(x, np.float32).astype(np.float64)


def _transposing(x: Any, y: Any) -> Any:
    """Takes a square matrix the other way round, which no shape check sees."""
    square = y.ndim == 2 and y.shape[0] == y.shape[1]
    return np.matmul(x, y.T if square else y)


class ShortTensors(NumpyAdapter):
    """Every tensor is quietly rounded to float32 and handed on as float64."""

    def tensor(self, array: np.ndarray) -> np.ndarray:
        return np.array(_single(array))


class ShortResults(NumpyAdapter):
    """Computes in float32 whatever was asked for, and shows it."""

    def array(self, tensor: Any) -> np.ndarray:
        return np.array(tensor, np.float32)


class Refusing(NumpyAdapter):
    """Throws, as frameworks do."""

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        raise RuntimeError("no gradient registered for this operation\nand forty lines of traceback")


# Wrong gradients ----------------------------------------------------------------------------------------------------


class WrongGradients(NumpyAdapter):
    """The gradients are right, and then `spoil(gradients, params)` changes them."""

    def __init__(self, spoil: Callable[[Params, Params], Params]) -> None:
        self.spoil = spoil
        super().__init__()

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        inner = super().value_and_grad(f, aux)

        @functools.wraps(f)
        def spoiled(params: Params, *data: Tree) -> tuple[Any, Params]:
            value, gradients = inner(params, *data)
            return value, {**gradients, **self.spoil(gradients, params)}

        return spoiled


def gradient(spoil: Callable[[Params, Params], Params]) -> Make:
    return lambda: WrongGradients(spoil)


def one_gradient(name: str, spoil: Callable[[Any], Any]) -> Make:
    return gradient(lambda gradients, params: {name: spoil(gradients[name])})


def swapped(one: str, other: str) -> Make:
    return gradient(lambda gradients, params: {one: gradients[other], other: gradients[one]})


def stale() -> NumpyAdapter:
    """Hands out the gradients of the call before, once there was one."""
    kept: list[Params] = []

    def spoil(gradients: Params, params: Params) -> Params:
        kept.append(gradients)
        return kept[-2] if len(kept) > 1 and len(kept) % 2 == 0 else gradients

    return WrongGradients(spoil)


class WrongRule(NumpyAdapter):
    """One derivative rule of one primitive is wrong; every value is right."""

    def __init__(self, operation: str, position: int, rule: Hook) -> None:
        self.one = {(operation, position): rule}
        super().__init__()

    def _use(self, dtype: str) -> None:
        super()._use(dtype)
        self._rules = {**self._rules, **self.one}


def rule(operation: str, position: int, function: Hook) -> Make:
    return lambda: WrongRule(operation, position, function)


def _untransposed(g: Any, out: Any, x: Any, y: Any) -> Any:
    return g @ (y if y.shape[0] == y.shape[1] else y.T)


# Specifications that say something else -----------------------------------------------------------------------------

Functions = Mapping[str, Graph]


class Mutant(NumpyAdapter):
    """Is given one function and computes another: that of a changed specification, in its forward computation, its
    objective or its update, or (`only`) in some of them."""

    def __init__(self, subjects: Iterator[Functions], only: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.subjects = subjects
        self.current: Functions = {}
        self.only = only

    def _replaced(self, f: Function) -> Function:
        name = f.__name__
        if name == "forward" or (name == "update" and "forward" not in self.current):
            self.current = next(self.subjects)
        if self.only and name not in self.only:
            return f
        plain: Any = NumpyAdapter()
        plain.start("cpu", self.dtype, 1)
        return function_of(self.current[name], name, plain, "eager")

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        return super().compile(f if f.__name__ == "objective" else self._replaced(f), mode)

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        return super().value_and_grad(self._replaced(f), aux)


def subjects(row: Row, catalogue: Catalogue, seed: int = 0) -> Iterator[Functions]:
    """The graphs that a backend is given for a row, subject by subject."""
    match row:
        case Optimizer():
            for steps in optimizer_steps(row, seed):
                yield {"update": steps.graph}
            return
        case Formulated():
            found = function_subjects(row, seed)
        case Layer():
            found = layer_subjects(row, seed)
        case Network():
            found = network_subjects(row, catalogue, seed)
        case Experiment():
            found = [first_step(row, catalogue, seed)]
        case _:
            raise AssertionError(row.kind)
    for one in found:
        graphs = {"forward": one.forward, "objective": one.scalar, "update": one.update}
        yield {name: graph for name, graph in graphs.items() if graph is not None}


def _edited(text: str, edits: Mapping[str, str]) -> str:
    for old, new in edits.items():
        text = text.replace(old, new)
    return text


def edited(row: Row, edits: Mapping[str, str]) -> Row:
    """The row with parts of its formulas replaced; an edit that touches nothing is a mistake in the table."""
    text_keys = ("formula", "definition", "derivative", "inference")
    changed: dict[str, Any] = {key: _edited(getattr(row, key), edits) for key in text_keys if hasattr(row, key)}
    for key in ("let", "update", "step"):
        if hasattr(row, key):
            changed[key] = [_edited(line, edits) for line in getattr(row, key)]
    new = msgspec.structs.replace(row, **changed)
    assert new != row, f"{edits} changes nothing in {row.name}"
    return new


def with_rows(*rows: Row) -> Catalogue:
    return Catalogue({**load_catalogue().rows, **{row.name: row for row in rows}})


def mutant(name: str, only: tuple[str, ...] = (), also: str = "", **changes: Any) -> Make:
    """The specification `name` with other fields. `also`: the row whose formula is edited on the way, for a network
    that uses it. `edits`: parts of formulas and what replaces them."""

    def make() -> NumpyAdapter:
        catalogue = load_catalogue()
        rest = dict(changes)
        edits = rest.pop("edits", {})
        if also:
            catalogue = with_rows(edited(catalogue.find(also), edits))
        elif edits:
            catalogue = with_rows(edited(catalogue.find(name), edits))
        row = msgspec.structs.replace(catalogue.find(name), **rest)
        return Mutant(subjects(row, catalogue), only)

    return make


def edit(name: str, *pairs: str) -> Make:
    """The specification with each first text replaced by the one after it."""
    return mutant(name, edits=dict(zip(pairs[::2], pairs[1::2], strict=True)))


def layers(name: str, number: int, **changes: Any) -> Make:
    """The network with one line of its layers changed (counted from 0)."""

    def make() -> NumpyAdapter:
        row = load_catalogue().find(name)
        assert isinstance(row, Network)
        lines = [dict(line) for line in row.layers]
        lines[number].update(changes)
        pade = msgspec.structs.replace(
            load_catalogue().find("tanh"), name="pade", formula="x*(15 + x**2)/(15 + 6*x**2)", definition=""
        )
        return Mutant(subjects(msgspec.structs.replace(row, layers=lines), with_rows(pade)))

    return make


# Losses of their own ------------------------------------------------------------------------------------------------


class OwnLoss(NumpyAdapter):
    """A backend with a loss of its own for one reduction: `compute(primitives, y, t, weights)`."""

    def __init__(self, reduction: str, compute: Callable[..., Any]) -> None:
        self.reduction, self.compute = reduction, compute
        super().__init__()

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        if knobs["reduction"] != self.reduction:
            return None
        return Native("own", lambda y, t, weights=None: self.compute(self.primitives, y, t, weights))


def own_loss(reduction: str, compute: Callable[..., Any]) -> Make:
    return lambda: OwnLoss(reduction, compute)


# Wrong optimizers ---------------------------------------------------------------------------------------------------


class Loop:
    """An optimizer object as frameworks have them, NumPy inside: it keeps parameters, state and a step count."""

    def __init__(self, row: Optimizer, hyper: dict[str, float], knobs: dict[str, Any], dtype: str) -> None:
        self.row = row
        self.dtype = dtype
        self.update = compile_graph(update_graph(row, {PARAM: SHAPES[row.acts_on]}, hyper, knobs), "update", NUMPY)
        self.params: Arrays = {}
        self.state: dict[str, Arrays] = {}
        self.count = 0

    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Mapping[str, np.ndarray]], step: int) -> None:
        self.params = dict(params)
        self.state = {slot: dict(tree) for slot, tree in state.items()}
        self.count = step

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        self.count += 1
        lr, t = np.asarray(learning_rate, self.dtype)[()], np.asarray(self.count, self.dtype)[()]
        with np.errstate(all="ignore"):
            self.params, self.state = self.update(self.params, gradients, self.state, lr, t)

    def read(self) -> tuple[Arrays, dict[str, Arrays]]:
        return self.params, self.state


class StaleState(Loop):
    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        before, taken = self.state, self.count
        super().step(gradients, learning_rate)
        if taken > 0:
            self.state = before


class ForgetsState(Loop):
    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Mapping[str, np.ndarray]], step: int) -> None:
        super().load(params, {slot: {PARAM: np.zeros_like(tree[PARAM])} for slot, tree in state.items()}, step)


class OverwrittenState(Loop):
    """Slots are written in place, and the second one is a view of the first."""

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        super().step(gradients, learning_rate)
        self.state = dict.fromkeys(self.state, next(iter(self.state.values())))


class FirstRate(Loop):
    rate: float | None = None

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        self.rate = learning_rate if self.rate is None else self.rate
        super().step(gradients, self.rate)


class LateRate(Loop):
    """The schedule is one step behind, but for the first step."""

    rate: float | None = None

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        super().step(gradients, learning_rate if self.rate is None else self.rate)
        self.rate = learning_rate


class NeverCounts(Loop):
    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        taken = self.count
        super().step(gradients, learning_rate)
        self.count = taken


class CountsFromZero(Loop):
    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Mapping[str, np.ndarray]], step: int) -> None:
        super().load(params, state, step - 1)


class CountsTwice(Loop):
    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        super().step(gradients, learning_rate)
        self.count += 1


class StartsAtTenth(Loop):
    """The accumulator starts at 0.1, whatever was asked for."""

    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Mapping[str, np.ndarray]], step: int) -> None:
        changed = {slot: {PARAM: np.full_like(tree[PARAM], 0.1)} for slot, tree in state.items()}
        super().load(params, changed if step == 0 else state, step)


class ClipsGradients(Loop):
    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        super().step({PARAM: np.clip(gradients[PARAM], -10, 10)}, learning_rate)


class SkipsZeros(Loop):
    """As sparse updates do: where the gradient is zero, nothing moves, not even the decaying state."""

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        params, state = self.params, self.state
        super().step(gradients, learning_rate)
        moved = gradients[PARAM] != 0
        self.params = {PARAM: np.where(moved, self.params[PARAM], params[PARAM])}
        self.state = {slot: {PARAM: np.where(moved, self.state[slot][PARAM], state[slot][PARAM])} for slot in state}


class ShortParameters(Loop):
    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        super().step(gradients, learning_rate)
        self.params = {PARAM: _single(self.params[PARAM])}


class NativeLoop(NumpyAdapter):
    """A backend with an optimizer of its own."""

    def __init__(self, loop: type[Loop], hyper: Mapping[str, Callable[[float], float]]) -> None:
        super().__init__()
        self.loop = loop
        self.changed = hyper

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        row = load_catalogue().find(name)
        assert isinstance(row, Optimizer)

        def create(params: Arrays, settings: Mapping[str, Any]) -> Loop:
            chosen = {
                key: self.changed[key](value) if key in self.changed else value for key, value in settings.items()
            }
            hyper = {key: value for key, value in chosen.items() if key in row.params}
            return self.loop(row, hyper, {key: chosen[key] for key in row.knobs}, self.dtype)

        return Native(self.loop.__name__, create)


def loop(kind: type[Loop] = Loop, **hyper: Callable[[float], float]) -> Make:
    return lambda: NativeLoop(kind, hyper)


def _bugs() -> Iterator[Bug]:
    native = functools.partial(Bug, implementation="native")

    # primitives
    yield Bug("exp_in_float32", "sigmoid", primitive(exp=lambda x: _single(np.exp(_single(x)))), "value")
    yield Bug("tanh_to_nine_digits", "tanh", primitive(tanh=lambda x: np.tanh(x) * (1 + 1e-9)), "value")
    yield Bug(
        "tanh_saturates_early", "tanh", primitive(tanh=lambda x: np.where(abs(x) > 9, np.sign(x), np.tanh(x))), "value"
    )
    yield Bug("sqrt_off_by_1000_units", "adagrad", primitive(sqrt=lambda x: np.sqrt(x) * (1 + 2.0**-43)), "update")
    yield Bug("divide_guarded_by_1e-12", "sigmoid", primitive(divide=lambda x, y: x / (y + 1e-12)), "value")
    yield Bug("log_guarded_by_1e-7", "categorical_crossentropy", primitive(log=lambda x: np.log(x + 1e-7)), "value")
    yield Bug("log1p_as_log_of_sum", "softplus", primitive(log1p=lambda x: np.log(1 + x)), "value")
    yield Bug("expm1_as_exp_minus_one", "elu", primitive(expm1=lambda x: np.exp(x) - 1), "value")
    yield Bug("abs_forgets_sign", "l1", primitive(abs=lambda x: x), "value")
    yield Bug("where_swapped", "relu", primitive(where=lambda c, x, y: NUMPY["where"](c, y, x)), "value")
    yield Bug("mean_is_sum", "mse", reduction("mean", lambda x, axis, keep: np.sum(x, axis, keepdims=keep)), "loss")
    yield Bug("sum_is_mean", "l2", reduction("sum", lambda x, axis, keep: np.mean(x, axis, keepdims=keep)), "value")
    yield Bug(
        "max_along_first_axis", "softmax", reduction("max", lambda x, axis, keep: np.max(x, 0, keepdims=True)), "value"
    )
    yield Bug(
        "sum_along_first_axis",
        "softmax",
        reduction("sum", lambda x, axis, keep: np.sum(x, 0 if axis == -1 else axis, keepdims=keep)),
        "value",
    )
    yield Bug(
        "argmax_takes_the_smallest",
        "categorical_accuracy",
        primitive(argmax=lambda x, axis=-1: np.argmin(x, axis)),
        "value",
    )
    yield Bug("square_weight_transposed", "residual_mlp", primitive(matmul=_transposing), "forward/block")
    yield Bug(
        "matmul_in_float32",
        "linear_regression",
        primitive(matmul=lambda x, y: _single(_single(x) @ _single(y))),
        "forward/linear",
        says="float32",
    )
    yield Bug(
        "flatten_by_columns",
        "mlp",
        primitive(flatten=lambda x: np.reshape(x, (len(x), -1), order="F")),
        "forward/flatten",
    )
    yield Bug(
        "mean_keeps_an_axis",
        "mean_absolute_error",
        reduction("mean", lambda x, axis, keep: np.mean(x).reshape(1)),
        "value",
        "ERROR",
    )
    yield Bug(
        "exp_to_five_digits",
        "sigmoid",
        primitive(exp=lambda x: (np.exp(x) * np.float32(1.00001)).astype(np.float32)),
        "value",
        "ACCURACY",
        "float32",
    )
    yield Bug("short_tensors", "tanh", ShortTensors, "-", "ERROR", says="float64")
    yield Bug("short_results", "relu", ShortResults, "-", "ERROR", says="float32")
    yield Bug("refuses_to_differentiate", "tanh", Refusing, "-", "ERROR", says="no gradient registered")

    # gradients
    yield Bug("one_gradient_negated", "mlp", one_gradient("hidden2.kernel", lambda g: -g), "gradient/hidden2.kernel")
    yield Bug("bias_gradient_missing", "mlp", one_gradient("hidden1.bias", np.zeros_like), "gradient/hidden1.bias")
    yield Bug(
        "gradients_times_batch", "mlp", gradient(lambda g, _: {k: 3 * v for k, v in g.items()}), "backward/logits"
    )
    yield Bug(
        "bias_gradient_averaged",
        "xor",
        gradient(lambda g, _: {k: v / 3 for k, v in g.items() if "bias" in k}),
        "gradient/logit.bias",
    )
    yield Bug(
        "square_gradient_transposed",
        "residual_mlp",
        one_gradient("block.kernel", np.transpose),
        "gradient/block.kernel",
    )
    yield Bug(
        "gradients_of_two_layers_swapped",
        "approximator",
        swapped("hidden1.bias", "hidden2.bias"),
        "gradient/hidden2.bias",
    )
    yield Bug(
        "one_gradient_in_float32",
        "mlp",
        one_gradient("logits.kernel", _single),
        "gradient/logits.kernel",
        says="float32",
    )
    yield Bug(
        "one_gradient_includes_decay",
        "xor",
        gradient(lambda g, p: {"hidden.kernel": g["hidden.kernel"] + 1e-6 * p["hidden.kernel"]}),
        "gradient/hidden.kernel",
    )
    yield Bug("gradient_clipped_to_one", "mse", gradient(lambda g, _: {"y": np.clip(g["y"], -0.1, 0.1)}), "gradient")
    yield Bug("stale_gradients", "l2", stale, "gradient", case="halved=True")
    yield Bug("tanh_slope_one_minus_out", "xor", rule("tanh", 0, lambda g, out, x: g * (1 - out)), "backward/hidden")
    yield Bug("relu_passes_every_gradient", "mlp", rule("where", 1, lambda g, out, c, x, y: g), "backward/hidden2")
    yield Bug("square_weight_untransposed_backward", "residual_mlp", rule("matmul", 0, _untransposed), "backward/tanh1")
    yield Bug("abs_slope_always_one", "mae", rule("abs", 0, lambda g, out, x: g), "gradient")
    yield Bug(
        "residual_gradient_of_one_path",
        "residual_mlp",
        mutant("residual_mlp", ("objective",), "add", edits={"+ y": "+ stop_gradient(y)"}),
        "backward/tanh1",
    )
    yield Bug(
        "dropout_backward_unscaled",
        "mlp",
        mutant(
            "mlp",
            ("objective",),
            "dropout",
            edits={"x*mask/(1 - rate)": "x*mask + stop_gradient(x*mask*rate/(1 - rate))"},
        ),
        "backward/relu1",
    )

    # functions
    yield Bug("sigmoid_of_minus_x", "sigmoid", edit("sigmoid", "where(x > 0, 1, a)", "where(x > 0, a, 1)"), "value")
    yield Bug("slope_off_by_1e-6", "leaky_relu", edit("leaky_relu", "alpha*x", "1.000001*alpha*x"), "value")
    yield Bug("elu_without_alpha", "elu", edit("elu", "alpha*", ""), "value", case="alpha=1.7")
    yield Bug(
        "softplus_threshold",
        "softplus",
        mutant("softplus", formula="where(x > 20, x, log1p(exp(x)))", definition=""),
        "value",
    )
    yield Bug("softmax_without_maximum", "softmax", mutant("softmax", let=["powers = exp(x)"]), "value")
    yield Bug("huber_without_half_delta", "huber", edit("huber", "a - delta/2", "a - delta"), "value")
    yield Bug("huber_ignores_delta", "huber", edit("huber", "a > delta", "a > 1"), "value", case="delta=1.7")
    yield Bug("huber_square_not_halved", "huber", edit("huber", "e**2/2", "e**2"), "value")
    yield Bug("mse_halved", "mse", edit("mse", "(y - t)**2", "(y - t)**2/2"), "value")
    yield Bug(
        "bce_targets_exchanged",
        "binary_crossentropy",
        edit("binary_crossentropy", "-(t*log_p + (1 - t)*log_q)", "-((1 - t)*log_p + t*log_q)"),
        "value",
    )
    yield Bug(
        "bce_clipped_at_1e-7",
        "binary_crossentropy",
        edit(
            "binary_crossentropy", "p = where(t > 0, y, 1)", "p = where(t > 0, maximum(minimum(y, 1 - 1e-7), 1e-7), 1)"
        ),
        "value",
    )
    yield Bug(
        "logits_taken_as_probabilities",
        "binary_crossentropy_logits",
        edit("binary_crossentropy_logits", "log1p(exp(where(y > 0, -y, y)))", "0*y"),
        "value",
    )
    yield Bug(
        "cross_entropy_averaged_over_classes",
        "categorical_crossentropy",
        edit("categorical_crossentropy", "-sum", "-mean"),
        "value",
    )
    yield Bug(
        "label_smoothing_left_on",
        "categorical_crossentropy_logits",
        edit("categorical_crossentropy_logits", "-sum(t*", "-sum((0.9*t + 0.1/6)*"),
        "value",
    )
    yield Bug(
        "logits_without_maximum",
        "categorical_crossentropy_logits",
        mutant("categorical_crossentropy_logits", let=["z = y"]),
        "value",
    )
    yield Bug("l2_always_halved", "l2", edit("l2", "else rate*", "else rate/2*"), "value", case="halved=False")
    yield Bug("l2_is_a_norm", "l2", edit("l2", "rate*sum(w**2)", "rate*sqrt(sum(w**2))"), "value")
    yield Bug(
        "glorot_forgets_fan_out", "glorot_uniform", edit("glorot_uniform", "fan_in + fan_out", "2*fan_in"), "value"
    )
    yield Bug("he_of_fan_out", "he_normal", edit("he_normal", "fan_in", "fan_out"), "value")
    yield Bug("uniform_not_centred", "he_uniform", edit("he_uniform", "(2*u - 1)", "u"), "value")
    yield Bug("accuracy_threshold_included", "binary_accuracy", edit("binary_accuracy", "y > 0.5", "y >= 0.5"), "value")
    yield Bug(
        "logit_threshold_included", "binary_accuracy_logits", edit("binary_accuracy_logits", "y > 0", "y >= 0"), "value"
    )
    yield Bug(
        "accuracy_of_logits_at_half",
        "binary_accuracy_logits",
        edit("binary_accuracy_logits", "y > 0", "y > 0.5"),
        "value",
    )

    yield Bug(
        "gelu_is_its_approximation",
        "gelu",
        mutant("gelu", formula="x*sigmoid(2*sqrt(2/pi)*(x + 0.044715*x**3))", definition=""),
        "value",
        case="approximate=none",
    )
    yield Bug(
        "erfc_as_one_minus_erf", "gelu", primitive(erfc=lambda x: 1 - NUMPY["erf"](x)), "value", case="approximate=none"
    )
    yield Bug(
        "selu_with_the_digits_of_a_slide", "selu", mutant("selu", params={"alpha": 1.67326324, "scale": 1.05070098}),
        "value",
    )  # fmt: skip
    yield Bug("softshrink_does_not_shift", "softshrink", edit("softshrink", "x - theta", "x"), "value")
    yield Bug(
        "hard_sigmoid_of_another_slope", "hard_sigmoid", edit("hard_sigmoid", '"sixth" else 2.5', '"sixth" else 3'),
        "value", case="slope=fifth",
    )  # fmt: skip
    yield Bug("heaviside_zero_at_zero", "heaviside", edit("heaviside", "at_zero))", "0))"), "value")
    yield Bug("gate_of_the_wrong_half", "glu", edit("glu", "a*soft", "b*soft"), "value", case="gate=sigmoid")
    yield Bug(
        "labels_counted_from_one",
        "sparse_categorical_crossentropy_logits",
        primitive(one_hot=lambda i, like: NUMPY["one_hot"](np.maximum(np.asarray(i) - 1, 0), like)),
        "value",
    )
    yield Bug("hinge_of_labels_0_and_1", "hinge", edit("hinge", "1 - t*y", "1 - (t + 1)/2*y"), "value")
    yield Bug(
        "logarithm_kept_above_minus_50",
        "binary_crossentropy",
        edit("binary_crossentropy", "1)), -100), -100)", "1)), -50), -50)"),
        "at y=0 t=1",
        case="clip=log",
    )
    yield Bug(
        "zero_times_infinity", "kl_divergence", edit("kl_divergence", "p = where(t > 0, y, 1)", "p = y"), "at y right"
    )
    yield Bug("dice_of_the_whole_batch", "dice", edit("dice", "axis=-1", "axis=None"), "value", "ERROR")
    yield Bug("jaccard_is_dice", "jaccard", edit("jaccard", "t*(1 - y)", "0*y"), "value")
    yield Bug("triplet_without_margin", "triplet", edit("triplet", "+ margin", "+ 0*margin"), "value")
    yield native(
        "weights_not_divided_by",
        "mse",
        own_loss("weighted_mean", lambda p, y, t, weights: p["mean"]((y - t) * (y - t) * weights)),
        "loss",
        case="weighted_mean",
    )
    yield native(
        "sum_of_means_is_a_sum", "mse", own_loss("sum_of_means", lambda p, y, t, weights: p["sum"]((y - t) * (y - t))),
        "loss", case="sum_of_means",
    )  # fmt: skip
    yield Bug("l1_l2_forgets_l1", "l1_l2", edit("l1_l2", "l1*sum(abs(w)) + ", "0*l1 + "), "value")
    yield Bug("activity_of_the_whole_batch", "activity", edit("activity", "mean(sizes)", "sum(sizes)"), "value")
    yield Bug("norm_of_rows", "max_norm", edit("max_norm", "axis=leading", "axis=-1"), "value")
    yield Bug("norm_of_everything", "unit_norm", edit("unit_norm", "axis=leading", "axis=None"), "value")
    yield Bug(
        "epsilon_within_the_limit",
        "max_norm",
        edit("max_norm", "w*limit/(norm + eps), w)", "w*limit/(norm + eps), 0.99999*w)"),
        "value",
        case="eps_everywhere=False",
    )
    yield Bug(
        "columns_point_the_other_way", "orthogonal", primitive(orthonormal=lambda x: -NUMPY["orthonormal"](x)), "value"
    )
    yield Bug("normal_not_truncated", "truncated_normal", edit("truncated_normal", "*c", "*z"), "value")
    yield Bug("precision_of_nothing_is_one", "precision", edit("precision", ", undefined)", ", 1)"), "value")
    yield Bug("recall_is_precision", "recall", edit("recall", "n = sum(t)", "n = sum(found)"), "value")
    yield Bug(
        "confusion_transposed",
        "confusion_matrix",
        edit(
            "confusion_matrix",
            "transpose(t) @ one_hot(argmax(y, axis=-1), y)",
            "transpose(one_hot(argmax(y, axis=-1), y)) @ t",
        ),
        "value",
    )
    yield Bug("r2_of_the_mean_prediction", "r2", edit("r2", "(t - mean(t, axis=0", "(y - mean(t, axis=0"), "value")

    # layers and networks
    yield Bug("dense_adds_bias_twice", "dense", edit("dense", "+ bias", "+ 2*bias"), "value")
    yield Bug("dropout_not_scaled", "dropout", edit("dropout", "/(1 - rate)", ""), "value")
    yield Bug("rate_of_dropout_at_inference", "dropout", mutant("dropout", inference="x*(1 - rate)"), "value")
    yield Bug(
        "convolution_ignores_dilation", "conv2d", edit("conv2d", "dilation=dilation", "dilation=1"), "let.z",
        case="dilation=[2, 1]",
    )  # fmt: skip
    yield Bug(
        "pooling_pads_with_zeros", "max_pool2d", edit("max_pool2d", "fill='lowest'", "fill='zero'"), "value",
        case="padding=same",
    )  # fmt: skip
    yield Bug(
        "running_mean_forgets", "batch_norm",
        edit("batch_norm", "momentum*running_mean + (1 - momentum)*m", "(1 - momentum)*running_mean + momentum*m"),
        "state.running_mean",
    )  # fmt: skip
    yield Bug(
        "batch_statistics_at_inference",
        "batch_norm",
        mutant("batch_norm", inference="(x - mean(x, axis=leading))/sqrt(running_variance + eps)*gamma + beta"),
        "value",
        case="inference",
    )
    yield Bug(
        "variance_of_three_of_four",
        "layer_norm",
        edit("layer_norm", "mean((x - m)**2, axis=-1, keepdims=True)", "sum((x - m)**2, axis=-1, keepdims=True)/3"),
        "let.v",
    )
    yield Bug("epsilon_outside_the_root", "rms_norm", edit("rms_norm", " + eps)", ") + eps"), "value")
    yield Bug(
        "gates_exchanged",
        "lstm",
        edit(
            "lstm",
            "i = sigmoid(slice(z, axis=1, start=0, stop=units))",
            "i = sigmoid(slice(z, axis=1, start=units, stop=2*units))",
        ),
        "step.0.i",
    )
    yield Bug("cell_forgets_after_adding", "lstm", edit("lstm", "c = f*c + i*g", "c = f*(c + i*g)"), "step.0.c")
    yield Bug("output_of_the_new_cell", "lstm", edit("lstm", "h = o*tanh(c)", "h = o*c"), "step.0.h")
    yield Bug(
        "reset_after_is_before",
        "gru",
        edit("gru", "r*slice(b, axis=1, start=2*units, stop=3*units)", "slice(b, axis=1, start=2*units, stop=3*units)"),
        "step.0.d",
    )
    yield Bug("loop_runs_backwards", "rows_lstm", lambda: Looping(lambda n: reversed(range(n))), "forward/rows")
    yield Bug("loop_skips_the_last_part", "rows_gru", lambda: Looping(lambda n: range(n - 1)), "forward/rows")
    yield Bug("loop_carries_the_start", "rows_gru", lambda: Looping(carry=lambda start, now: start), "forward/rows")
    yield Bug("loop_in_a_layer_runs_backwards", "lstm", lambda: Looping(lambda n: reversed(range(n))), "gradient/x")
    yield Bug("update_gate_is_turned", "gru", edit("gru", "u*h + (1 - u)*n", "(1 - u)*h + u*n"), "step.0.h")
    yield Bug("attention_not_scaled", "self_attention", edit("self_attention", "/size**0.5", ""), "let.scores")
    yield Bug(
        "attention_sees_the_next",
        "self_attention",
        edit("self_attention", "iota(scores, axis=-2) >=", "1 + iota(scores, axis=-2) >="),
        "let.seen",
        case="causal=True",
    )
    yield Bug(
        "padding_is_attended", "cross_attention", edit("cross_attention", ", -2**100)", ", -1)"), "let.seen"
    )  # fmt: skip
    yield Bug(
        "sines_and_cosines_exchanged", "sinusoidal_positions",
        edit("sinusoidal_positions", "sin(angle), cos(angle)", "cos(angle), sin(angle)"), "value",
    )  # fmt: skip
    yield Bug("bias_not_added", "mlp", layers("mlp", 4, use_bias=False), "forward/hidden2")
    yield Bug("similar_activation", "approximator", layers("approximator", 3, layer="pade"), "forward/tanh2")
    yield Bug("leaky_instead_of_relu", "mlp", layers("mlp", 5, layer="leaky_relu"), "forward/relu2")
    yield Bug("dropout_of_another_rate", "mlp", layers("mlp", 3, rate=0.25), "forward/dropout")
    yield Bug(
        "dropout_off_in_training",
        "mlp",
        mutant("mlp", (), "dropout", edits={"x*mask/(1 - rate)": "x"}),
        "forward/dropout",
    )
    yield Bug(
        "residual_from_wrong_layer",
        "residual_mlp",
        layers("residual_mlp", 4, inputs=["soft", "embed"]),
        "forward/residual",
    )
    yield Bug("layer_skipped", "residual_mlp", layers("residual_mlp", 2, inputs=["embed"]), "forward/block")
    yield Bug("regularizer_forgotten", "digits-softmax", mutant("digits-softmax", regularizers=[]), "loss")
    yield Bug(
        "bias_regularized_too",
        "digits-softmax",
        mutant("digits-softmax", regularizers=[{"use": "l2", "rate": 1e-4, "on": one} for one in ("kernel", "bias")]),
        "loss",
    )
    yield Bug(
        "regularizer_only_in_value",
        "digits-softmax",
        mutant("digits-softmax", ("objective",), "l2", edits={"w**2": "stop_gradient(w)**2"}),
        "gradient/logits.kernel",
    )
    yield Bug(
        "step_too_long",
        "digits-even",
        mutant("digits-even", ("update",), "momentum", edits={"w - lr*v": "w - 1.000001*lr*v"}),
        "update/linear.kernel",
    )
    yield Bug(
        "step_with_wrong_state",
        "learn-xor",
        mutant("learn-xor", ("update",), "nesterov", edits={"rho*v + g": "rho*v + (1 - rho)*g"}),
        "state.v/hidden.kernel",
    )
    yield Bug(
        "step_with_epsilon_inside",
        "digits-residual",
        mutant("digits-residual", ("update",), "rmsprop", edits={"sqrt(var) + eps": "sqrt(var + eps)"}),
        "update/embed.kernel",
    )

    # update rules
    yield Bug("sgd_climbs", "sgd", edit("sgd", "w - lr*g", "w + lr*g"), "update", step=None)
    yield Bug("decay_sneaked_in", "sgd", edit("sgd", "w - lr*g", "w - lr*(g + 1e-4*w)"), "update")
    yield Bug("momentum_dampened", "momentum", edit("momentum", "rho*v + g", "rho*v + (1 - rho)*g"), "state.v")
    yield Bug("nesterov_is_plain_momentum", "nesterov", edit("nesterov", "lr*(g + rho*v)", "lr*v"), "update")
    yield Bug(
        "nesterov_of_old_velocity",
        "nesterov",
        mutant("nesterov", update=["u = rho*v + g", "w = w - lr*(g + rho*v)", "v = u"]),
        "update",
        step=-1,
    )
    yield Bug(
        "rate_moved_inside",
        "momentum",
        mutant("momentum", update=["v = rho*v + lr*g", "w = w - v"]),
        "state.v",
        case="form=outside",
    )
    yield Bug("adagrad_epsilon_inside", "adagrad", edit("adagrad", "sqrt(a) + eps", "sqrt(a + eps)"), "update")
    yield Bug("adagrad_squares_forgotten", "adagrad", edit("adagrad", "g**2", "abs(g)"), "state.a")
    yield Bug("adagrad_does_not_accumulate", "adagrad", edit("adagrad", "a + g**2", "g**2"), "state.a", step=-1)
    yield Bug(
        "rmsprop_never_centred",
        "rmsprop",
        edit("rmsprop", "v - mean**2 if centered else v", "v"),
        "update",
        case="centered=True",
    )
    yield Bug(
        "rmsprop_mean_of_squares",
        "rmsprop",
        edit("rmsprop", "(1 - rho)*g if", "(1 - rho)*g**2 if"),
        "state.mean",
        case="centered=True",
    )
    yield Bug(
        "adam_epsilon_inside",
        "adam",
        edit("adam", "sqrt(v/c2) + eps", "sqrt(v/c2 + eps)"),
        "update",
        case="eps_place=outside",
    )
    yield Bug(
        "adam_epsilon_hat",
        "adam",
        edit(
            "adam",
            'lr*(m/c1)/(sqrt(v/c2 + eps) if eps_place == "inside" else sqrt(v/c2) + eps)',
            "lr*sqrt(c2)/c1*m/(sqrt(v) + eps)",
        ),
        "update",
        case="eps_place=outside",
    )
    yield Bug(
        "adam_without_correction",
        "adam",
        edit("adam", "1 - beta1**t if", "1 if", "1 - beta2**t if", "1 if"),
        "update",
        case="bias_correction=True",
    )
    yield Bug("adam_corrects_m_only", "adam", edit("adam", "1 - beta2**t if", "1 if"), "update")
    yield Bug("adam_count_off_by_one", "adam", edit("adam", "**t", "**(t + 1)"), "update")
    yield Bug(
        "adam_betas_exchanged",
        "adam",
        mutant("adam", edits={"beta1": "beta0", "beta2": "beta1", "beta0": "beta2"}),
        "state.m",
    )
    yield Bug(
        "adam_keeps_the_largest",
        "adam",
        edit("adam", "v = beta2*v + (1 - beta2)*g**2", "v = maximum(v, beta2*v + (1 - beta2)*g**2)"),
        "state.v",
        step=-1,
    )
    yield Bug(
        "adam_update_of_old_m",
        "adam",
        edit("adam", "lr*(m/c1)", "lr*((m - (1 - beta1)*g)/beta1/c1)"),
        "update",
        case="eps_place=outside",
    )

    # update rules: momentum and averages
    yield Bug("coupled_decay_forgotten", "momentum", edit("momentum", "g + weight_decay*w if", "g if"), "state.v")
    yield Bug("mean_not_damped", "momentum", edit("momentum", "(1 - rho)*g", "g"), "state.v", case="form=ema")
    yield Bug(
        "lookahead_forgotten", "nesterov_lookahead", edit("nesterov_lookahead", "w = x - rho*v", "w = x"), "update"
    )
    yield Bug(
        "average_of_old_weights",
        "weight_ema",
        mutant("weight_ema", update=["average = rho*average + (1 - rho)*w", "w = w - lr*g"]),
        "state.average",
    )
    yield Bug("average_counts_from_zero", "asgd", edit("asgd", "t - t0)", "t - t0 - 1)"), "state.average", step=-1)

    # update rules: a rate for each element
    yield Bug(
        "adadelta_of_new_steps",
        "adadelta",
        mutant(
            "adadelta",
            update=[
                "a = rho*a + (1 - rho)*g**2",
                "b = rho*b + (1 - rho)*g**2*(b + eps)/(a + eps)",
                "w = w - lr*sqrt(b + eps)/sqrt(a + eps)*g",
            ],
        ),
        "update",
    )
    yield Bug("adadelta_epsilon_outside", "adadelta", edit("adadelta", "sqrt(a + eps)", "(sqrt(a) + eps)"), "state.b")
    yield Bug(
        "rmsprop_rate_moved", "rmsprop", edit("rmsprop", "mu*u + lr*d if", "mu*u + d if"), "state.u",
        case="momentum=inside",
    )  # fmt: skip
    yield Bug(
        "rprop_gradient_kept", "rprop", edit("rprop", "where(s < 0, 0, g)", "g"), "state.previous", step=-1,
        case="on_change=undo",
    )  # fmt: skip
    yield Bug(
        "rprop_never_limited", "rprop", edit("rprop", "minimum(step*eta_plus, step_max)", "step*eta_plus"),
        "state.step", case="step_max=0.125",
    )  # fmt: skip
    yield Bug("ftrl_threshold_forgotten", "ftrl", edit("ftrl", "abs(z) > l1", "abs(z) > -1"), "update", case="l1=0.13")
    yield Bug("ftrl_sigma_of_new_n", "ftrl", edit("ftrl", "(sqrt(n + g**2) - sqrt(n))", "sqrt(n + g**2)"), "state.z")

    # update rules: the family of Adam
    yield Bug(
        "adamw_decays_after", "adamw", edit("adamw", '== "before"', '== "never"', '== "after"', '== "before"'), "update"
    )
    yield Bug("adamw_decays_coupled", "adamw", edit("adamw", '== "coupled"', '== "before"'), "state.m")
    yield Bug(
        "amsgrad_maximum_of_corrected", "amsgrad", edit("amsgrad", '== "before" else v', '== "after" else v'),
        "state.largest", case="correction=after",
    )  # fmt: skip
    yield Bug(
        "amsgrad_forgets_the_largest", "amsgrad", edit("amsgrad", "maximum(largest, ", "maximum(0, "), "state.largest",
        step=-1,
    )  # fmt: skip
    yield Bug("adamax_adds_up", "adamax", edit("adamax", "maximum(beta2*u, ", "(beta2*u + "), "state.u", step=-1)
    yield Bug(
        "adamax_epsilon_inside", "adamax", edit("adamax", 'if eps_place == "inside" else abs(g)', ""),
        "state.u",
    )  # fmt: skip
    yield Bug(
        "nadam_looks_not_ahead", "nadam", edit("nadam", "mu_next*m/(1 - product*mu_next)", "mu*m/(1 - product)"),
        "update",
    )  # fmt: skip
    yield Bug("nadam_schedule_late", "nadam", edit("nadam", "0.96**(t*", "0.96**((t - 1)*"), "state.product")
    yield Bug("radam_never_rectifies", "radam", edit("radam", "length > threshold", "length > 1e9"), "update", step=-1)
    yield Bug(
        "radam_threshold_of_torch", "radam", edit("radam", "length > threshold", "length > threshold + 1"), "update",
        step=4,
    )  # fmt: skip
    yield Bug("adabelief_without_epsilon", "adabelief", edit("adabelief", "(g - m)**2 + eps", "(g - m)**2"), "state.s")
    yield Bug(
        "adabelief_of_old_m",
        "adabelief",
        mutant(
            "adabelief",
            update=[
                "s = beta2*s + (1 - beta2)*(g - m)**2 + eps",
                "m = beta1*m + (1 - beta1)*g",
                "w = w - lr*(m/(1 - beta1**t))/(sqrt(s/(1 - beta2**t)) + eps)",
            ],
        ),
        "state.s",
    )
    yield Bug(
        "lion_betas_exchanged",
        "lion",
        edit("lion", "beta1*m + (1 - beta1)*g", "beta2*m + (1 - beta2)*g"),
        "update",
        step=-1,
    )

    # update rules: whole parameters
    yield Bug(
        "lamb_divides_by_zero", "lamb", edit("lamb", "where(minimum(size, length) > 0, size/length, 1)", "size/length"),
        "update",
    )  # fmt: skip
    yield Bug("lamb_ratio_of_gradients", "lamb", edit("lamb", "sqrt(sum(d**2))", "sqrt(sum(g**2))"), "update")
    yield Bug("lars_decay_not_in_norm", "lars", edit("lars", "+ weight_decay*size if", "if"), "state.v")
    yield Bug("adafactor_divides_by_mean", "adafactor", edit("adafactor", "all = sum(", "all = mean("), "update")
    yield Bug("adafactor_never_clipped", "adafactor", edit("adafactor", "/maximum(1, ", "/minimum(1, "), "update")
    yield Bug(
        "adafactor_absolute_step", "adafactor", edit("adafactor", "maximum(eps2, sqrt(mean(w**2)))*", ""), "update"
    )
    yield Bug("muon_of_lower_degree", "muon", edit("muon", "2.0315*(s @ s)", "2.0315*s"), "update", step=-1)
    yield Bug("muon_coefficient_misprinted", "muon", edit("muon", "4.7750", "4.7570"), "update", step=-1)
    yield Bug(
        "muon_scale_transposed", "muon", edit("muon", "columns/rows", "rows/columns"), "update", step=-1,
        case="scale=original",
    )  # fmt: skip

    # what changes a training from outside
    yield Bug("staircase_one_step_early", "step_decay", edit("step_decay", "t + 0.5", "t + 1"), "value")
    yield Bug("warm_up_from_zero", "linear_warmup", edit("linear_warmup", "(t + 1)/warmup", "t/warmup"), "value")
    yield Bug("cosine_rises_again", "cosine_decay", edit("cosine_decay", "minimum(t, steps)", "t"), "value")
    yield Bug("cycle_never_ends", "one_cycle", edit("one_cycle", "t < 2*rise", "t < steps"), "value")
    yield Bug(
        "clipped_by_the_square", "clip_by_norm", edit("clip_by_norm", "sqrt(sum(g**2))", "sum(g**2)"), "large matrix"
    )
    yield Bug(
        "clipped_one_by_one",
        "clip_by_global_norm",
        edit("clip_by_global_norm", "g*limit/norm", "g*limit/sqrt(sum(g**2))"),
        "large matrix",
    )

    # optimizer objects
    yield native("state_stale_after_first_step", "rmsprop", loop(StaleState), "state.v", step=-1)
    yield native("state_forgotten_between_steps", "momentum", loop(ForgetsState), "state.v", step=-1)
    yield native("slots_share_memory", "adam", loop(OverwrittenState), "state.v")
    yield native("rate_read_once", "sgd", loop(FirstRate), "free-running update", step=-1)
    yield native("rate_one_step_late", "momentum", loop(LateRate), "free-running update", step=-1, case="form=outside")
    yield native("steps_never_counted", "adam", loop(NeverCounts), "free-running update", step=-1)
    yield native("steps_counted_twice", "adam", loop(CountsTwice), "free-running update", step=-1)
    yield native("steps_counted_from_zero", "adam", loop(CountsFromZero), "update")
    yield native("accumulator_starts_elsewhere", "adagrad", loop(StartsAtTenth), "state.a", step=0)
    yield native("gradients_clipped", "sgd", loop(ClipsGradients), "update")
    yield native("zero_gradients_skipped", "momentum", loop(SkipsZeros), "state.v", step=-1)
    yield native("parameters_in_float32", "sgd", loop(ShortParameters), "update", says="float32")
    yield native(
        "hyper_parameter_in_float32",
        "momentum",
        loop(rho=lambda rho: float(np.float32(rho))),
        "state.v",
        step=-1,
        says="float32",
    )
    yield native("step_sizes_forgotten", "rprop", loop(ForgetsState), "state.step", step=0, case="on_change=undo")
    yield native("factors_forgotten", "adafactor", loop(ForgetsState), "state.r", step=-1)
    yield native("products_not_counted", "nadam", loop(NeverCounts), "free-running state.product", step=-1)
    yield native("epsilon_ignored", "rmsprop", loop(eps=lambda eps: 0.0), "update")
    yield native("epsilon_of_another_default", "adam", loop(eps=lambda eps: 1e-7 if eps == 1e-8 else eps), "update")


BUGS = {bug.name: bug for bug in _bugs()}
HONEST = {
    "honest": NumpyAdapter,
    "honest_primitives": primitive(),
    "honest_gradients": gradient(lambda gradients, params: {}),
    "honest_loop": loop(),
    "honest_looping": Looping,
}
"""The same machinery with nothing planted."""


def __getattr__(name: str) -> Make:
    """Every bug is an attribute, so that `planted_bugs:exp_in_float32` names an adapter."""
    if name in HONEST:
        return HONEST[name]
    if name in BUGS:
        return BUGS[name].make
    if name.startswith("honest_mutant_"):
        return mutant(name.removeprefix("honest_mutant_"))
    raise AttributeError(name)
