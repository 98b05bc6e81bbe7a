"""Normalisation: epsilon, and how running statistics are kept."""

from __future__ import annotations

import numpy as np

from crossnn.adapter import OwnLayer
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.conventions.formula import layer_value
from crossnn.conventions.found import Found, relative
from crossnn.conventions.own import numbers, of_layer

FEATURES, GROUPS = 4, 2
SMALL = 0.01
"""The deviation of a sample in which epsilon shows."""


def rounded(value: float) -> float:
    """To six digits: a constant that was solved for from rounded results."""
    return float(f"{value:.6g}")


@of_layer(features=FEATURES, groups=GROUPS)
def epsilon(own: OwnLayer, spec: str) -> Found:
    sample = np.array([[1.0, -1.0, 3.0, -3.0]]) * SMALL
    y = own.run(sample)
    square = (
        np.mean(sample.reshape(-1, GROUPS, FEATURES // GROUPS)[0, 0] ** 2)
        if spec == "group_norm"
        else np.mean(sample**2)
    )
    eps = rounded(float((sample[0, 0] / y[0, 0]) ** 2 - square))
    groups = {"groups": GROUPS} if spec == "group_norm" else {}
    slots = {"gamma": np.ones(FEATURES), **({} if spec == "rms_norm" else {"beta": np.zeros(FEATURES)})}
    value, _ = layer_value(spec, {"eps": eps, **groups}, {"x": sample}, slots)
    default, _ = layer_value(spec, groups, {"x": sample}, slots)
    return Found(f"{eps:g}", f"solved from the output for a sample of mean square {square:.3g}", {"eps": eps},
                 relative(y, value), relative(default, y))  # fmt: skip


def _named(own: OwnLayer, part: str) -> str:
    return next(name for name in own.weights() if part in name)


@of_layer(features=FEATURES)
def batch_norm(own: OwnLayer, spec: str) -> Found:
    mean, variance = _named(own, "mean"), _named(own, "var")
    before = own.weights()
    x = numbers(8, FEATURES) + 3
    own.run(x, training=True)
    after = own.weights()
    share = float(after[mean][0] - before[mean][0]) / float(x.mean(0)[0] - before[mean][0])
    momentum = rounded(1 - share)
    kept = {"running_mean": before[mean], "running_variance": before[variance]}
    slots = {"gamma": np.ones(FEATURES), "beta": np.zeros(FEATURES), **kept}
    errors = {}
    for unbiased in (False, True):
        _, new = layer_value(spec, {"momentum": momentum, "unbiased_running_variance": unbiased}, {"x": x}, slots)
        errors[unbiased] = relative(after[variance], new["running_variance"])
    unbiased = min(errors, key=errors.__getitem__)
    eps = _epsilon_in_inference(own, mean, variance)
    chosen: dict[str, float | bool | str] = {
        "momentum": momentum, "unbiased_running_variance": unbiased, "eps": eps,
    }  # fmt: skip
    kind = "unbiased" if unbiased else "biased"
    return Found(
        f"new = {momentum:g}*old + {1 - momentum:.3g}*batch, {kind} variance; epsilon {eps:g}",
        "one batch of 8 samples in training, one with variance 0 in inference", chosen, errors[unbiased],
        _suffered(spec, chosen),
    )  # fmt: skip


def _epsilon_in_inference(own: OwnLayer, mean: str, variance: str) -> float:
    own.load({mean: np.zeros(FEATURES), variance: np.zeros(FEATURES)})
    return rounded(float(own.run(np.full((2, FEATURES), SMALL))[0, 0] / SMALL) ** -2)


def _suffered(spec: str, chosen: dict[str, float | bool | str]) -> float:
    """The running variance after 100 batches with the framework's settings and with the specification's."""
    _, defaults = settings(load_catalogue().find(spec), {})
    found = []
    for given in (chosen, defaults):
        state = {"running_mean": np.zeros(FEATURES), "running_variance": np.ones(FEATURES)}
        for batch in range(100):
            slots = {"gamma": np.ones(FEATURES), "beta": np.zeros(FEATURES), **state}
            _, state = layer_value(spec, given, {"x": 3 * numbers(8, FEATURES, seed=batch)}, slots)
        found.append(state["running_variance"])
    return relative(found[1], found[0])
