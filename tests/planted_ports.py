"""Ports planted with one mistake each, as a user would write them, and right ones written in different ways.

`python tests/planted_ports.py` compares every one with its reference and prints the score: how often the mistake is
found, how often its cause is named, and how often a right port is refused. A row is (cause, reference, port, inputs,
arguments); the cause is what `crossnn.compare_ports` must call it, "" for a right port.

The first table was written before there were any causes. The second was written when they were done, in ways that the
first does not have: of its 31 rows, 24 were named rightly when it was run first. One row (`normalised_torch_bgr`) had
two mistakes then, and has one now.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F  # noqa: N812

from crossnn import compare_ports

Array = Any


@dataclass(frozen=True)
class Planted:
    """`ports` in order: the first is right. `arguments` go to `compare_ports`."""

    name: str
    cause: str
    ports: Mapping[str, Any]
    inputs: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def causes(self) -> tuple[str, ...]:
        return (self.cause,)


# Dense layers -------------------------------------------------------------------------------------------------------


def dense_np(params: Any, x: Array) -> Array:
    return np.tanh(x @ params["dense"]["kernel"] + params["dense"]["bias"])


def dense_torch(params: Any, x: Array) -> Array:
    return torch.tanh(F.linear(x, params["dense"]["kernel"].T, params["dense"]["bias"]))


def dense_torch_transposed(params: Any, x: Array) -> Array:
    return torch.tanh(F.linear(x, params["dense"]["kernel"], params["dense"]["bias"]))


def dense_torch_no_bias(params: Any, x: Array) -> Array:
    return torch.tanh(x @ params["dense"]["kernel"])


def dense_jax_bias_first(params: Any, x: Array) -> Array:
    return jnp.tanh(jnp.einsum("bi,ij->bj", x, params["dense"]["kernel"]) + params["dense"]["bias"])


def dense_jax_transposed(params: Any, x: Array) -> Array:
    return jnp.tanh(jnp.einsum("bi,ji->bj", x, params["dense"]["kernel"]) + params["dense"]["bias"])


def mlp_np(params: Any, x: Array) -> Array:
    h = np.maximum(x @ params["w1"] + params["b1"], 0)
    return h @ params["w2"] + params["b2"]


def mlp_jax(params: Any, x: Array) -> Array:
    h = jax.nn.relu(jnp.dot(x, params["w1"]) + params["b1"])
    return jnp.dot(h, params["w2"]) + params["b2"]


def mlp_jax_no_second_bias(params: Any, x: Array) -> Array:
    h = jax.nn.relu(jnp.dot(x, params["w1"]) + params["b1"])
    return jnp.dot(h, params["w2"])


def mlp_torch(params: Any, x: Array) -> Array:
    h = torch.relu(torch.addmm(params["b1"], x, params["w1"]))
    return torch.addmm(params["b2"], h, params["w2"])


def mlp_torch_minus_bias(params: Any, x: Array) -> Array:
    h = torch.relu(x @ params["w1"] + params["b1"])
    return h @ params["w2"] - params["b2"]


def mlp_tf_no_first_bias(params: Any, x: Array) -> Array:
    return tf.matmul(tf.nn.relu(tf.matmul(x, params["w1"])), params["w2"]) + params["b2"]


def leaky_np(params: Any, x: Array, slope: float = 0.01) -> Array:
    h = x @ params["w1"] + params["b1"]
    return np.where(h > 0, h, slope * h) @ params["w2"] + params["b2"]


def leaky_torch(params: Any, x: Array) -> Array:
    return F.leaky_relu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def leaky_torch_wrong(params: Any, x: Array) -> Array:
    return F.leaky_relu(x @ params["w1"] + params["b1"], 0.2) @ params["w2"] + params["b2"]


def leaky_jax_wrong(x: Array) -> Array:
    return jnp.where(x > 0, x, 0.3 * x)


def leaky_plain_np(x: Array) -> Array:
    return np.maximum(x, 0.01 * x)


def leaky_tf_default(x: Array) -> Array:
    return tf.nn.leaky_relu(x)


def elu_np(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def elu_torch(x: Array) -> Array:
    return F.elu(x)


def elu_torch_wrong(x: Array) -> Array:
    return F.elu(x, alpha=0.5)


def gelu_np(x: Array) -> Array:
    erf = np.vectorize(math.erf)
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def gelu_torch(x: Array) -> Array:
    return F.gelu(x)


def gelu_torch_tanh(x: Array) -> Array:
    return F.gelu(x, approximate="tanh")


def gelu_jax_default(x: Array) -> Array:
    return jax.nn.gelu(x)


def gelu_jax_exact(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def ffn_torch(params: Any, x: Array) -> Array:
    return F.gelu(x @ params["up"]) @ params["down"]


def ffn_jax(params: Any, x: Array) -> Array:
    return jax.nn.gelu(x @ params["up"]) @ params["down"]


# Convolutions -------------------------------------------------------------------------------------------------------


def conv_np(params: Any, x: Array) -> Array:
    kernel = params["kernel"]
    height, width = kernel.shape[:2]
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    out = 0
    for i in range(height):
        for j in range(width):
            out = out + x[:, i : i + rows, j : j + columns] @ kernel[i, j]
    return out + params["bias"]


def conv_torch(params: Any, x: Array) -> Array:
    y = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 0, 1), params["bias"], padding=1)
    return y.permute(0, 2, 3, 1)


def conv_torch_valid(params: Any, x: Array) -> Array:
    y = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 0, 1), params["bias"])
    return y.permute(0, 2, 3, 1)


def conv_torch_height_and_width(params: Any, x: Array) -> Array:
    y = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 1, 0), params["bias"], padding=1)
    return y.permute(0, 2, 3, 1)


def conv_torch_no_bias(params: Any, x: Array) -> Array:
    y = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 0, 1), padding="same")
    return y.permute(0, 2, 3, 1)


def conv_jax(params: Any, x: Array) -> Array:
    y = jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + params["bias"]


def conv_jax_valid(params: Any, x: Array) -> Array:
    y = jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + params["bias"]


def conv_jax_one_side(params: Any, x: Array) -> Array:
    y = jax.lax.conv_general_dilated(
        x, params["kernel"], (1, 1), ((0, 2), (0, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + params["bias"]


def strided_tf(params: Any, x: Array) -> Array:
    return tf.nn.conv2d(x, params["kernel"], strides=2, padding="SAME") + params["bias"]


def strided_torch(params: Any, x: Array) -> Array:
    y = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 0, 1), params["bias"], stride=2, padding=1)
    return y.permute(0, 2, 3, 1)


def conv_torch_edge(params: Any, x: Array) -> Array:
    x = F.pad(x.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(x, params["kernel"].permute(3, 2, 0, 1), params["bias"]).permute(0, 2, 3, 1)


def head_np(params: Any, x: Array) -> Array:
    return x.reshape(x.shape[0], -1) @ params["kernel"]


def head_torch_nchw(params: Any, x: Array) -> Array:
    return torch.flatten(x.permute(0, 3, 1, 2), 1) @ params["kernel"]


def head_jax_nwhc(params: Any, x: Array) -> Array:
    return jnp.transpose(x, (0, 2, 1, 3)).reshape(x.shape[0], -1) @ params["kernel"]


def normalised_np(x: Array) -> Array:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return (x - mean) / deviation


def normalised_torch_bgr(x: Array) -> Array:
    x = torch.flip(x, (-1,))
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=x.dtype)
    return (x - mean) / torch.tensor([0.229, 0.224, 0.225], dtype=x.dtype)


def features_np(params: Any, x: Array) -> Array:
    return x @ params["kernel"]


def features_torch_channels_first(params: Any, x: Array) -> Array:
    return torch.einsum("bhwi,io->bohw", x, params["kernel"])


# Recurrent layers ---------------------------------------------------------------------------------------------------


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_np(params: Any, x: Array) -> Array:
    """Gates in the order of PyTorch: input, forget, cell, output."""
    h = c = np.zeros((x.shape[0], params["u"].shape[0]))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ params["w"] + h @ params["u"] + params["b"], 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
    return h


def lstm_jax(params: Any, x: Array) -> Array:
    def step(carry: Any, one: Array) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(one @ params["w"] + h @ params["u"] + params["b"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    zero = jnp.zeros((x.shape[0], params["u"].shape[0]), x.dtype)
    (h, _), _ = jax.lax.scan(step, (zero, zero), jnp.swapaxes(x, 0, 1))
    return h


def lstm_torch(params: Any, x: Array) -> Array:
    zero = torch.zeros(1, x.shape[0], params["u"].shape[0], dtype=x.dtype)
    flat = (params["w"].T, params["u"].T, params["b"], torch.zeros_like(params["b"]))
    return torch.lstm(x, (zero, zero), flat, True, 1, 0.0, False, False, True)[0][:, -1]


def lstm_torch_tensorflow_order(params: Any, x: Array) -> Array:
    h = c = torch.zeros(x.shape[0], params["u"].shape[0], dtype=x.dtype)
    for t in range(x.shape[1]):
        i, g, f, o = (x[:, t] @ params["w"] + h @ params["u"] + params["b"]).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h


def lstm_jax_output_second(params: Any, x: Array) -> Array:
    h = c = jnp.zeros((x.shape[0], params["u"].shape[0]), x.dtype)
    for t in range(x.shape[1]):
        i, o, f, g = jnp.split(x[:, t] @ params["w"] + h @ params["u"] + params["b"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h


def lstm_torch_no_bias(params: Any, x: Array) -> Array:
    zero = torch.zeros(1, x.shape[0], params["u"].shape[0], dtype=x.dtype)
    return torch.lstm(x, (zero, zero), (params["w"].T, params["u"].T), False, 1, 0.0, False, False, True)[0][:, -1]


def gru_np(params: Any, x: Array) -> Array:
    """Gates: reset, update, candidate; the reset gate after the product."""
    h = np.zeros((x.shape[0], params["u"].shape[0]))
    for t in range(x.shape[1]):
        xr, xz, xn = np.split(x[:, t] @ params["w"] + params["b"], 3, axis=-1)
        hr, hz, hn = np.split(h @ params["u"], 3, axis=-1)
        r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + r * hn) + z * h
    return h


def gru_torch(params: Any, x: Array) -> Array:
    zero = torch.zeros(1, x.shape[0], params["u"].shape[0], dtype=x.dtype)
    flat = (params["w"].T, params["u"].T, params["b"], torch.zeros_like(params["b"]))
    return torch.gru(x, zero, flat, True, 1, 0.0, False, False, True)[0][:, -1]


def gru_jax_update_first(params: Any, x: Array) -> Array:
    h = jnp.zeros((x.shape[0], params["u"].shape[0]), x.dtype)
    for t in range(x.shape[1]):
        xz, xr, xn = jnp.split(x[:, t] @ params["w"] + params["b"], 3, axis=-1)
        hz, hr, hn = jnp.split(h @ params["u"], 3, axis=-1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        h = (1 - z) * jnp.tanh(xn + r * hn) + z * h
    return h


def rnn_torch_transposed(params: Any, x: Array) -> Array:
    h = torch.zeros(x.shape[0], params["u"].shape[0], dtype=x.dtype)
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ params["w"] + h @ params["u"].T)
    return h


def rnn_np(params: Any, x: Array) -> Array:
    h = np.zeros((x.shape[0], params["u"].shape[0]))
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ params["w"] + h @ params["u"])
    return h


# Normalisation ------------------------------------------------------------------------------------------------------


def layer_norm_np(params: Any, x: Array, eps: float = 1e-5) -> Array:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * params["gamma"] + params["beta"]


def layer_norm_torch(params: Any, x: Array) -> Array:
    return F.layer_norm(x, x.shape[-1:], params["gamma"], params["beta"])


def layer_norm_jax_keras_epsilon(params: Any, x: Array) -> Array:
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), -1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-3) * params["gamma"] + params["beta"]


def layer_norm_jax_epsilon_outside(params: Any, x: Array) -> Array:
    deviation = jnp.std(x, -1, keepdims=True)
    return (x - x.mean(-1, keepdims=True)) / (deviation + 1e-5) * params["gamma"] + params["beta"]


def layer_norm_torch_unbiased(params: Any, x: Array) -> Array:
    normalised = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)
    return normalised * params["gamma"] + params["beta"]


def layer_norm_tf(params: Any, x: Array) -> Array:
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, params["beta"], params["gamma"], 1e-5)


def rms_norm_np(params: Any, x: Array) -> Array:
    return x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6) * params["gamma"]


def rms_norm_torch_default(params: Any, x: Array) -> Array:
    return F.rms_norm(x, x.shape[-1:], params["gamma"])


def batch_norm_np(params: Any, x: Array) -> Array:
    mean, variance = x.mean(0), x.var(0)
    y = (x - mean) / np.sqrt(variance + 1e-3) * params["gamma"] + params["beta"]
    return {
        "y": y,
        "mean": 0.99 * params["mean"] + 0.01 * mean,
        "variance": 0.99 * params["variance"] + 0.01 * variance,
    }


def batch_norm_jax(params: Any, x: Array) -> Array:
    mean, variance = jnp.mean(x, 0), jnp.mean(x * x, 0) - jnp.mean(x, 0) ** 2
    y = (x - mean) * (jax.lax.rsqrt(variance + 1e-3) * params["gamma"]) + params["beta"]
    return {
        "y": y,
        "mean": params["mean"] + 0.01 * (mean - params["mean"]),
        "variance": params["variance"] + 0.01 * (variance - params["variance"]),
    }


def batch_norm_torch(params: Any, x: Array, momentum: float = 0.01) -> Array:
    mean, variance = params["mean"].detach().clone(), params["variance"].detach().clone()
    y = F.batch_norm(x, mean, variance, params["gamma"], params["beta"], True, momentum, 1e-3)
    return {"y": y, "mean": mean, "variance": variance}


def batch_norm_torch_momentum(params: Any, x: Array) -> Array:
    mean, variance = params["mean"], params["variance"]
    y = F.batch_norm(x, None, None, params["gamma"], params["beta"], True, eps=1e-3)
    return {
        "y": y,
        "mean": 0.9 * mean + 0.1 * x.mean(0),
        "variance": 0.9 * variance + 0.1 * x.var(0, unbiased=False),
    }


def batch_norm_jax_momentum(params: Any, x: Array) -> Array:
    mean, variance = jnp.mean(x, 0), jnp.var(x, 0)
    y = (x - mean) / jnp.sqrt(variance + 1e-3) * params["gamma"] + params["beta"]
    momentum = 0.99
    return {
        "y": y,
        "mean": (1 - momentum) * params["mean"] + momentum * mean,
        "variance": (1 - momentum) * params["variance"] + momentum * variance,
    }


def batch_norm_inference_np(params: Any, x: Array) -> Array:
    return (x - params["mean"]) / np.sqrt(params["variance"] + 1e-3) * params["gamma"] + params["beta"]


def batch_norm_inference_torch_training(params: Any, x: Array) -> Array:
    return F.batch_norm(x, None, None, params["gamma"], params["beta"], training=True, eps=1e-3)


# Dropout ------------------------------------------------------------------------------------------------------------


def dropped_np(params: Any, x: Array) -> Array:
    return np.tanh(x @ params["w"])


def dropped_torch_default(params: Any, x: Array) -> Array:
    return F.dropout(torch.tanh(x @ params["w"]), 0.25)


def dropped_jax_fixed_key(params: Any, x: Array) -> Array:
    h = jnp.tanh(x @ params["w"])
    mask = jax.random.bernoulli(jax.random.PRNGKey(0), 0.75, h.shape)
    return jnp.where(mask, h / 0.75, 0)


# Losses -------------------------------------------------------------------------------------------------------------


def mse_np(y: Array, t: Array) -> Array:
    return np.mean((y - t) ** 2)


def mse_torch(y: Array, t: Array) -> Array:
    return F.mse_loss(y, t)


def mse_torch_sum(y: Array, t: Array) -> Array:
    return F.mse_loss(y, t, reduction="sum")


def mse_jax_half(y: Array, t: Array) -> Array:
    return 0.5 * jnp.mean(jnp.square(y - t))


def mse_jax_per_sample(y: Array, t: Array) -> Array:
    return jnp.mean(jnp.square(y - t), axis=-1)


def mse_tf_batch_only(y: Array, t: Array) -> Array:
    return tf.reduce_sum(tf.math.squared_difference(y, t)) / tf.cast(tf.shape(y)[0], y.dtype)


def crossentropy_np(z: Array, t: Array) -> Array:
    z = z - z.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return -(t * log_p).sum(-1).mean()


def crossentropy_torch(z: Array, t: Array) -> Array:
    return F.cross_entropy(z, t)


def crossentropy_jax(z: Array, t: Array) -> Array:
    return jnp.mean(jax.nn.logsumexp(z, -1) * t.sum(-1) - jnp.sum(t * z, -1))


def crossentropy_torch_sum(z: Array, t: Array) -> Array:
    return F.cross_entropy(z, t, reduction="sum")


def crossentropy_torch_smoothed(z: Array, t: Array) -> Array:
    return F.cross_entropy(z, t, label_smoothing=0.1)


def crossentropy_jax_smoothed(z: Array, t: Array) -> Array:
    t = t * 0.9 + 0.1 / t.shape[-1]
    return -jnp.mean(jnp.sum(t * jax.nn.log_softmax(z), -1))


def crossentropy_torch_twice(z: Array, t: Array) -> Array:
    return F.cross_entropy(torch.softmax(z, -1), t)


def crossentropy_jax_plus(z: Array, t: Array) -> Array:
    return jnp.mean(jnp.sum(t * jax.nn.log_softmax(z), -1))


def crossentropy_torch_axis(z: Array, t: Array) -> Array:
    return -(t * torch.log_softmax(z, 0)).sum(-1).mean()


def binary_np(z: Array, t: Array) -> Array:
    return np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))))


def binary_torch(z: Array, t: Array) -> Array:
    return F.binary_cross_entropy_with_logits(z, t)


def binary_probabilities_np(p: Array, t: Array) -> Array:
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


def binary_torch_logits(p: Array, t: Array) -> Array:
    return F.binary_cross_entropy_with_logits(p, t)


def binary_jax_swapped_sign(z: Array, t: Array) -> Array:
    return jnp.mean(jax.nn.softplus(z) + z * t)


def kl_np(p: Array, q: Array) -> Array:
    return np.sum(p * np.log(p / q), -1).mean()


def kl_torch_mean(p: Array, q: Array) -> Array:
    return F.kl_div(torch.log(q), p, reduction="mean")


def kl_torch(p: Array, q: Array) -> Array:
    return F.kl_div(torch.log(q), p, reduction="batchmean")


def penalty_np(w: Array) -> Array:
    return 0.01 * np.sum(w**2)


def penalty_torch_half(w: Array) -> Array:
    return 0.01 * torch.sum(w**2) / 2


# Optimizers' steps --------------------------------------------------------------------------------------------------


def adam_np(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    step = 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return {"m": m, "v": v, "p": p - step}


def adam_jax(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * jnp.square(g)
    rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return {"m": m, "v": v, "p": p - rate * m / (jnp.sqrt(v) + 1e-8 * jnp.sqrt(1 - 0.999**t))}


def adam_torch_from_zero(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = torch.lerp(m, g, 0.1)
    v = 0.999 * v + 0.001 * g * g
    correction1, correction2 = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
    return {"m": m, "v": v, "p": p - 0.001 * (m / correction1) / ((v / correction2).sqrt() + 1e-8)}


def adam_jax_before(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    count = t - 1
    step = 0.001 * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
    return {"m": m, "v": v, "p": p - step}


def adam_torch_epsilon(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    return {"m": m, "v": v, "p": p - 0.001 * (m / (1 - 0.9**t)) / (torch.sqrt(v / (1 - 0.999**t)) + 1e-7)}


def adam_jax_epsilon_inside(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    return {"m": m, "v": v, "p": p - 0.001 * (m / (1 - 0.9**t)) / jnp.sqrt(v / (1 - 0.999**t) + 1e-8)}


def adam_torch_uphill(p: Array, g: Array, m: Array, v: Array, t: int) -> Array:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    return {"m": m, "v": v, "p": p + 0.001 * (m / (1 - 0.9**t)) / (torch.sqrt(v / (1 - 0.999**t)) + 1e-8)}


def rmsprop_np(p: Array, g: Array, v: Array) -> Array:
    v = 0.9 * v + 0.1 * g**2
    return {"v": v, "p": p - 0.01 * g / (np.sqrt(v) + 1e-7)}


def rmsprop_torch_inside(p: Array, g: Array, v: Array) -> Array:
    v = 0.9 * v + 0.1 * g**2
    return {"v": v, "p": p - 0.01 * g / torch.sqrt(v + 1e-7)}


def cosine_np(t: int) -> Array:
    return 0.5 * 0.1 * (1 + np.cos(np.pi * t / 100))


def cosine_jax_next(t: int) -> Array:
    return 0.05 * (1 + jnp.cos(jnp.pi * (t + 1) / 100))


def decayed_np(p: Array, g: Array) -> Array:
    return p - 0.1 * (g + 0.01 * p)


def decayed_torch_twice(p: Array, g: Array) -> Array:
    return p - 0.1 * (g + 2 * 0.01 * p)


def decayed_jax(p: Array, g: Array) -> Array:
    return p * (1 - 0.1 * 0.01) - 0.1 * g


# Attention and softmax ----------------------------------------------------------------------------------------------


def attention_np(q: Array, k: Array, v: Array) -> Array:
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def attention_torch(q: Array, k: Array, v: Array) -> Array:
    return F.scaled_dot_product_attention(q, k, v)


def attention_jax(q: Array, k: Array, v: Array) -> Array:
    scores = jnp.einsum("bqd,bkd->bqk", q, k) / jnp.sqrt(q.shape[-1])
    return jnp.einsum("bqk,bkd->bqd", jax.nn.softmax(scores, -1), v)


def attention_jax_axis(q: Array, k: Array, v: Array) -> Array:
    scores = jnp.einsum("bqd,bkd->bqk", q, k) / jnp.sqrt(q.shape[-1])
    return jnp.einsum("bqk,bkd->bqd", jax.nn.softmax(scores, axis=1), v)


def softmax_np(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_torch(x: Array) -> Array:
    return torch.softmax(x, -1)


def softmax_torch_batch(x: Array) -> Array:
    return torch.softmax(x, 0)


def attention_torch_dropout(q: Array, k: Array, v: Array) -> Array:
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.1)


# Constants ----------------------------------------------------------------------------------------------------------


def selu_np(x: Array) -> Array:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu_torch(x: Array) -> Array:
    return F.selu(x)


def selu_jax_float32(x: Array) -> Array:
    alpha, scale = np.float32(1.6732632423543772), np.float32(1.0507009873554805)
    return jnp.where(x > 0, float(scale) * x, float(scale) * float(alpha) * jnp.expm1(jnp.minimum(x, 0)))


def gaussian_np(x: Array) -> Array:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def gaussian_torch_float32(x: Array) -> Array:
    return torch.exp(-(x**2) / 2) / torch.sqrt(torch.tensor(2 * math.pi))


def gaussian_jax(x: Array) -> Array:
    return jax.scipy.stats.norm.pdf(x)


SCALE = torch.tensor(0.1)


def scaled_np(x: Array) -> Array:
    return np.tanh(0.1 * x)


def scaled_torch_float32(x: Array) -> Array:
    return torch.tanh(SCALE * x)


# Inputs -------------------------------------------------------------------------------------------------------------

_DRAW = np.random.default_rng(7)


def some(*shape: int, scale: float = 1.0) -> np.ndarray:
    return _DRAW.normal(size=shape) * scale


def positive(*shape: int, scale: float = 1.0) -> np.ndarray:
    return _DRAW.uniform(0.2, 1.5, size=shape) * scale


def simplex(*shape: int) -> np.ndarray:
    one = positive(*shape)
    return np.asarray(one / one.sum(-1, keepdims=True))


def labels(rows: int, classes: int) -> np.ndarray:
    return np.eye(classes)[_DRAW.integers(0, classes, rows)]


X = {"x": some(6, 4)}
SQUARE = {"dense": {"kernel": some(4, 4), "bias": some(4)}}
OBLONG = {"dense": {"kernel": some(4, 5), "bias": some(5)}}
MLP = {"w1": some(4, 7), "b1": some(7), "w2": some(7, 3), "b2": some(3)}
FFN = {"up": some(4, 9), "down": some(9, 4)}
IMAGE = {"x": some(2, 6, 6, 3)}
RECTANGLE = {"x": some(2, 3, 4, 3)}
CONV = {"kernel": some(3, 3, 3, 4, scale=0.3), "bias": some(4)}
TIME = {"x": some(3, 5, 4)}
LSTM = {"w": some(4, 12), "u": some(3, 12), "b": some(12)}
GRU = {"w": some(4, 9), "u": some(3, 9), "b": some(9)}
RNN = {"w": some(4, 3), "u": some(3, 3)}
NORM = {"gamma": positive(8), "beta": some(8)}
ROWS = {"x": some(5, 8, scale=0.5)}
BATCH = {"gamma": positive(4), "beta": some(4), "mean": some(4), "variance": positive(4)}
PAIR = {"y": some(6, 5), "t": some(6, 5)}
CLASSES = {"z": some(6, 5), "t": labels(6, 5)}
BINARY = {"z": some(12), "t": _DRAW.integers(0, 2, 12).astype(float)}
ADAM = {"p": some(6), "g": some(6, scale=1e-3), "m": some(6, scale=1e-3), "v": positive(6, scale=1e-6), "t": 3}
RMS = {"p": some(6), "g": some(6, scale=1e-2), "v": positive(6, scale=1e-4)}
QKV = {"q": some(2, 4, 6), "k": some(2, 4, 6), "v": some(2, 4, 6)}


def wrong(cause: str, right: Callable[..., Any], port: Callable[..., Any], inputs: Any, **arguments: Any) -> Planted:
    return Planted(port.__name__, cause, _ports(right, port), inputs, arguments)


def right(first: Callable[..., Any], port: Callable[..., Any], inputs: Any, **arguments: Any) -> Planted:
    return Planted(f"{first.__name__} = {port.__name__}", "", _ports(first, port), inputs, arguments)


def _ports(*functions: Callable[..., Any]) -> dict[str, Any]:
    known = {"np": "numpy", "torch": "torch", "jax": "jax", "tf": "tensorflow"}
    backends = [next(known[part] for part in one.__name__.split("_") if part in known) for one in functions]
    return {
        f"{backend} {place}": (backend, one)
        for place, (backend, one) in enumerate(zip(backends, functions, strict=True))
    }


WRONG = [
    wrong("transposed kernel", dense_np, dense_torch_transposed, X, params=SQUARE),
    wrong("transposed kernel", dense_np, dense_torch_transposed, X, params=OBLONG),
    wrong("transposed kernel", dense_np, dense_jax_transposed, X, params=SQUARE),
    wrong("transposed kernel", rnn_np, rnn_torch_transposed, TIME, params=RNN),
    wrong("transposed kernel", conv_np, conv_torch_height_and_width, IMAGE, params=CONV),
    wrong("swapped gates", lstm_np, lstm_torch_tensorflow_order, TIME, params=LSTM),
    wrong("swapped gates", lstm_np, lstm_jax_output_second, TIME, params=LSTM),
    wrong("swapped gates", gru_np, gru_jax_update_first, TIME, params=GRU),
    wrong("epsilon", layer_norm_np, layer_norm_jax_keras_epsilon, ROWS, params=NORM),
    wrong("epsilon", layer_norm_torch, layer_norm_jax_keras_epsilon, ROWS, params=NORM),
    wrong("epsilon", layer_norm_np, layer_norm_jax_epsilon_outside, ROWS, params=NORM),
    wrong("epsilon", rms_norm_np, rms_norm_torch_default, ROWS, params={"gamma": NORM["gamma"]}),
    wrong("epsilon", adam_np, adam_torch_epsilon, ADAM),
    wrong("epsilon", adam_np, adam_jax_epsilon_inside, ADAM),
    wrong("epsilon", rmsprop_np, rmsprop_torch_inside, RMS),
    wrong("reduction", mse_np, mse_torch_sum, PAIR),
    wrong("reduction", mse_np, mse_jax_per_sample, PAIR),
    wrong("reduction", mse_np, mse_tf_batch_only, PAIR),
    wrong("reduction", crossentropy_np, crossentropy_torch_sum, CLASSES),
    wrong("reduction", kl_np, kl_torch_mean, {"p": simplex(6, 5), "q": simplex(6, 5)}),
    wrong("padding", conv_np, conv_torch_valid, IMAGE, params=CONV),
    wrong("padding", conv_np, conv_jax_valid, IMAGE, params=CONV),
    wrong("padding", conv_np, conv_jax_one_side, IMAGE, params=CONV),
    wrong("padding", strided_tf, strided_torch, IMAGE, params=CONV),
    wrong("padding", conv_np, conv_torch_edge, IMAGE, params=CONV),
    wrong("missing bias", dense_np, dense_torch_no_bias, X, params=OBLONG),
    wrong("missing bias", mlp_np, mlp_jax_no_second_bias, X, params=MLP),
    wrong("missing bias", mlp_np, mlp_tf_no_first_bias, X, params=MLP),
    wrong("missing bias", conv_np, conv_torch_no_bias, IMAGE, params=CONV),
    wrong("missing bias", lstm_np, lstm_torch_no_bias, TIME, params=LSTM),
    wrong("activation slope", leaky_np, leaky_torch_wrong, X, params=MLP),
    wrong("activation slope", leaky_plain_np, leaky_jax_wrong, X),
    wrong("activation slope", leaky_plain_np, leaky_tf_default, X),
    wrong("activation slope", elu_np, elu_torch_wrong, X),
    wrong("approximate gelu", gelu_np, gelu_torch_tanh, X),
    wrong("approximate gelu", gelu_torch, gelu_jax_default, X),
    wrong("approximate gelu", ffn_torch, ffn_jax, X, params=FFN),
    wrong("batch-norm momentum", batch_norm_np, batch_norm_torch_momentum, X, params=BATCH),
    wrong("batch-norm momentum", batch_norm_np, batch_norm_jax_momentum, X, params=BATCH),
    wrong("biased variance", batch_norm_np, batch_norm_torch, X, params=BATCH),
    wrong("biased variance", layer_norm_np, layer_norm_torch_unbiased, ROWS, params=NORM),
    wrong("training or inference", batch_norm_inference_np, batch_norm_inference_torch_training, X, params=BATCH),
    wrong("training or inference", dropped_np, dropped_torch_default, X, params={"w": FFN["up"]}),
    wrong("training or inference", dropped_np, dropped_jax_fixed_key, X, params={"w": FFN["up"]}),
    wrong("softmax axis", softmax_np, softmax_torch_batch, X),
    wrong("softmax axis", attention_np, attention_jax_axis, QKV),
    wrong("softmax axis", crossentropy_np, crossentropy_torch_axis, CLASSES),
    wrong("float32 constant", selu_np, selu_jax_float32, X),
    wrong("float32 constant", gaussian_np, gaussian_torch_float32, X),
    wrong("float32 constant", scaled_np, scaled_torch_float32, X),
    wrong("channel order", head_np, head_torch_nchw, RECTANGLE, params={"kernel": some(36, 5)}),
    wrong("channel order", head_np, head_jax_nwhc, RECTANGLE, params={"kernel": some(36, 5)}),
    wrong("channel order", features_np, features_torch_channels_first, IMAGE, params={"kernel": some(3, 5)}),
    wrong("label smoothing", crossentropy_np, crossentropy_torch_smoothed, CLASSES),
    wrong("label smoothing", crossentropy_np, crossentropy_jax_smoothed, CLASSES),
    wrong("from logits", crossentropy_np, crossentropy_torch_twice, CLASSES),
    wrong("from logits", binary_probabilities_np, binary_torch_logits,
          {"p": _DRAW.uniform(0.1, 0.9, 12), "t": BINARY["t"]}),
    wrong("off-by-one step", adam_np, adam_torch_from_zero, ADAM),
    wrong("off-by-one step", adam_np, adam_jax_before, ADAM),
    wrong("off-by-one step", cosine_np, cosine_jax_next, {"t": 30}),
    wrong("sign", adam_np, adam_torch_uphill, ADAM),
    wrong("sign", crossentropy_np, crossentropy_jax_plus, CLASSES),
    wrong("sign", mlp_np, mlp_torch_minus_bias, X, params=MLP),
    wrong("factor", mse_np, mse_jax_half, PAIR),
    wrong("factor", penalty_np, penalty_torch_half, {"w": some(5, 3)}),
    wrong("factor", decayed_np, decayed_torch_twice, {"p": some(6), "g": some(6)}),
]  # fmt: skip

RIGHT = [
    right(dense_np, dense_torch, X, params=OBLONG),
    right(dense_np, dense_torch, X, params=SQUARE),
    right(dense_np, dense_jax_bias_first, X, params=OBLONG),
    right(dense_torch, dense_jax_bias_first, X, params=SQUARE),
    right(mlp_np, mlp_torch, X, params=MLP),
    right(mlp_np, mlp_jax, X, params=MLP),
    right(mlp_torch, mlp_jax, X, params=MLP),
    right(leaky_np, leaky_torch, X, params=MLP),
    right(elu_np, elu_torch, X),
    right(gelu_np, gelu_torch, X),
    right(gelu_np, gelu_jax_exact, X),
    right(gelu_torch, gelu_jax_exact, {"x": some(40, scale=3)}),
    right(conv_np, conv_torch, IMAGE, params=CONV),
    right(conv_np, conv_jax, IMAGE, params=CONV),
    right(conv_torch, conv_jax, IMAGE, params=CONV),
    right(lstm_np, lstm_torch, TIME, params=LSTM),
    right(lstm_np, lstm_jax, TIME, params=LSTM),
    right(lstm_torch, lstm_jax, TIME, params=LSTM),
    right(gru_np, gru_torch, TIME, params=GRU),
    right(layer_norm_np, layer_norm_torch, ROWS, params=NORM),
    right(layer_norm_np, layer_norm_tf, ROWS, params=NORM),
    right(batch_norm_np, batch_norm_jax, X, params=BATCH),
    right(mse_np, mse_torch, PAIR),
    right(crossentropy_np, crossentropy_torch, CLASSES),
    right(crossentropy_np, crossentropy_jax, CLASSES),
    right(binary_np, binary_torch, BINARY),
    right(kl_np, kl_torch, {"p": simplex(6, 5), "q": simplex(6, 5)}),
    right(adam_np, adam_jax, ADAM),
    right(decayed_np, decayed_jax, {"p": some(6), "g": some(6)}),
    right(attention_np, attention_torch, QKV),
    right(attention_np, attention_jax, QKV),
    right(softmax_np, softmax_torch, {"x": some(6, 5, scale=10)}),
    right(selu_np, selu_torch, X),
    right(gaussian_np, gaussian_jax, X),
]
# A second set ------------------------------------------------------------------------------------------------------
# Written when the causes were done, in ways that the first does not have: mistakes inside of networks, modules,
# closures, lambdas, functions without a readable source.


def cnn_np(params: Any, x: Array) -> Array:
    h = np.maximum(conv_np({"kernel": params["kernel"], "bias": params["bias"]}, x), 0)
    return h.reshape(len(h), -1) @ params["head"]


def cnn_torch_flattened_nchw(params: Any, x: Array) -> Array:
    h = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 0, 1), params["bias"], padding=1)
    return torch.relu(h).flatten(1) @ params["head"]


def pooled_np(params: Any, x: Array) -> Array:
    return np.maximum(conv_np(params, x), 0).mean((1, 2))


def pooled_torch_valid(params: Any, x: Array) -> Array:
    h = F.conv2d(x.permute(0, 3, 1, 2), params["kernel"].permute(3, 2, 0, 1), params["bias"])
    return F.relu(h).mean((2, 3))


def twice_np(params: Any, x: Array) -> Array:
    h = np.maximum(conv_np({"kernel": params["one"], "bias": params["b1"]}, x), 0)
    return conv_np({"kernel": params["two"], "bias": params["b2"]}, h)


def twice_jax_valid(params: Any, x: Array) -> Array:
    def conv(h: Array, kernel: Array) -> Array:
        return jax.lax.conv_general_dilated(h, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    return conv(jax.nn.relu(conv(x, params["one"]) + params["b1"]), params["two"]) + params["b2"]


def average_np(x: Array) -> Array:
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = [x[:, i : x.shape[1] - 2 + i, j : x.shape[2] - 2 + j] for i in range(3) for j in range(3)]
    ones = np.pad(np.ones_like(x[:, 1:-1, 1:-1]), ((0, 0), (1, 1), (1, 1), (0, 0)))
    counts = [ones[:, i : x.shape[1] - 2 + i, j : x.shape[2] - 2 + j] for i in range(3) for j in range(3)]
    return sum(parts[1:], parts[0]) / sum(counts[1:], counts[0])


def average_torch_counting(x: Array) -> Array:
    return F.avg_pool2d(x.permute(0, 3, 1, 2), 3, stride=1, padding=1).permute(0, 2, 3, 1)


def block_np(params: Any, x: Array) -> Array:
    def norm(h: Array, gamma: Array, beta: Array) -> Array:
        return (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-6) * gamma + beta

    h = norm(x, params["g1"], params["b1"])
    x = x + attention_np(h @ params["q"], h @ params["k"], h @ params["v"]) @ params["o"]
    h = norm(x, params["g2"], params["b2"])
    return x + np.maximum(h @ params["up"], 0) @ params["down"]


def block_torch_default_epsilon(params: Any, x: Array) -> Array:
    h = F.layer_norm(x, x.shape[-1:], params["g1"], params["b1"])
    x = x + F.scaled_dot_product_attention(h @ params["q"], h @ params["k"], h @ params["v"]) @ params["o"]
    h = F.layer_norm(x, x.shape[-1:], params["g2"], params["b2"])
    return x + torch.relu(h @ params["up"]) @ params["down"]


def block_jax_transposed_output(params: Any, x: Array) -> Array:
    def norm(h: Array, gamma: Array, beta: Array) -> Array:
        return (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + 1e-6) * gamma + beta

    h = norm(x, params["g1"], params["b1"])
    scores = h @ params["q"] @ jnp.swapaxes(h @ params["k"], -1, -2) / math.sqrt(x.shape[-1])
    x = x + jax.nn.softmax(scores) @ (h @ params["v"]) @ params["o"].T
    h = norm(x, params["g2"], params["b2"])
    return x + jax.nn.relu(h @ params["up"]) @ params["down"]


def block_torch_post_softmax(params: Any, x: Array) -> Array:
    h = F.layer_norm(x, x.shape[-1:], params["g1"], params["b1"], 1e-6)
    scores = (h @ params["q"]) @ (h @ params["k"]).transpose(-1, -2) / math.sqrt(x.shape[-1])
    x = x + scores.softmax(-2) @ (h @ params["v"]) @ params["o"]
    h = F.layer_norm(x, x.shape[-1:], params["g2"], params["b2"], 1e-6)
    return x + torch.relu(h @ params["up"]) @ params["down"]


def feed_np(params: Any, x: Array) -> Array:
    h = x @ params["up"]
    h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return h @ params["down"]


def feed_torch_exact(params: Any, x: Array) -> Array:
    return torch.nn.GELU()(x @ params["up"]) @ params["down"]


def group_norm_np(params: Any, x: Array) -> Array:
    groups = x.reshape(*x.shape[:-1], 2, -1)
    mean, variance = groups.mean((1, -1), keepdims=True), groups.var((1, -1), keepdims=True)
    return ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape) * params["gamma"] + params["beta"]


def group_norm_jax_unbiased(params: Any, x: Array) -> Array:
    groups = x.reshape(*x.shape[:-1], 2, -1)
    mean, variance = groups.mean((1, -1), keepdims=True), jnp.var(groups, (1, -1), keepdims=True, ddof=1)
    return ((groups - mean) / jnp.sqrt(variance + 1e-5)).reshape(x.shape) * params["gamma"] + params["beta"]


def normalise_np(x: Array) -> Array:
    return x / np.maximum(np.sqrt(np.sum(x * x, -1, keepdims=True)), 1e-12)


def normalise_torch_added(x: Array) -> Array:
    return x / (x.norm(dim=-1, keepdim=True) + 1e-6)


def instance_norm_np(x: Array) -> Array:
    return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-3)


def instance_norm_torch_default(x: Array) -> Array:
    return F.instance_norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def logged_np(p: Array, t: Array) -> Array:
    return -np.mean(np.sum(t * np.log(p + 1e-7), -1))


def logged_torch_plain(p: Array, t: Array) -> Array:
    return F.nll_loss(torch.log(p), t.argmax(-1))


def running_np(params: Any, x: Array) -> Array:
    keep = 0.99
    mean, variance = x.mean((0, 1)), x.var((0, 1))
    y = (x - mean) / np.sqrt(variance + 1e-5)
    return y, keep * params["mean"] + (1 - keep) * mean, keep * params["var"] + (1 - keep) * variance


def running_torch_default(params: Any, x: Array) -> Array:
    mean, variance = params["mean"].detach().clone(), params["var"].detach().clone()
    y = F.batch_norm(x.permute(0, 2, 1), mean, variance, training=True)
    return y.permute(0, 2, 1), mean, variance


def warmup_np(steps: Array) -> Array:
    return 0.1 * np.minimum(1.0, (steps + 1) / 10) * 1.0


def warmup_jax_from_zero(steps: Array) -> Array:
    return 0.1 * jnp.minimum(1.0, steps / 10)


def positions_np(x: Array) -> Array:
    angle = np.arange(x.shape[1])[:, None] / 10000 ** (np.arange(x.shape[2] // 2) * 2 / x.shape[2])
    return x + np.concatenate([np.sin(angle), np.cos(angle)], -1)


def positions_torch_from_one(x: Array) -> Array:
    frequency = 10000 ** (torch.arange(x.shape[2] // 2, dtype=x.dtype) * 2 / x.shape[2])
    angle = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None] / frequency
    return x + torch.cat([torch.sin(angle), torch.cos(angle)], -1)


def positions_torch_float32(x: Array) -> Array:
    frequency = torch.pow(10000.0, torch.arange(0, x.shape[2], 2) / x.shape[2])
    angle = torch.arange(x.shape[1])[:, None] / frequency
    return x + torch.cat([torch.sin(angle), torch.cos(angle)], -1)


def hinge_np(y: Array, t: Array) -> Array:
    return np.maximum(0, 1 - y * (2 * t - 1)).mean()


def hinge_jax_plus(y: Array, t: Array) -> Array:
    return jnp.mean(jax.nn.relu(1 + y * (2 * t - 1)))


def cosine_loss_np(y: Array, t: Array) -> Array:
    return -np.mean(np.sum(y * t, -1) / (np.linalg.norm(y, axis=-1) * np.linalg.norm(t, axis=-1)))


def cosine_loss_torch(y: Array, t: Array) -> Array:
    return F.cosine_similarity(y, t).mean()


def ridge_np(params: Any, x: Array) -> Array:
    return np.mean((x @ params["w"] - 1) ** 2) + 0.05 * np.sum(params["w"] ** 2)


def ridge_torch_half(params: Any, x: Array) -> Array:
    return F.mse_loss(x @ params["w"], torch.ones(len(x), 1, dtype=x.dtype)) + 0.05 * params["w"].norm() ** 2 / 2


def ridge_jax_mean(params: Any, x: Array) -> Array:
    return jnp.mean((x @ params["w"] - 1) ** 2) + 0.05 * jnp.mean(params["w"] ** 2)


def smoothed_np(z: Array, t: Array) -> Array:
    t = t * (1 - 0.2) + 0.2 / t.shape[-1]
    return -np.mean(np.sum(t * (z - np.log(np.sum(np.exp(z), -1, keepdims=True))), -1))


def smoothed_tf_not(z: Array, t: Array) -> Array:
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(t, z))


def binary_keras_probabilities(z: Array, t: Array) -> Array:
    return tf.reduce_mean(tf.keras.losses.binary_crossentropy(t, z))


def scaled_dropout_np(params: Any, x: Array) -> Array:
    return (x @ params["up"]) @ params["down"]


def scaled_dropout_torch(params: Any, x: Array) -> Array:
    dropout = torch.nn.Dropout(0.5)
    return dropout(x @ params["up"]) @ params["down"]


def module_torch_leaky() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 7), torch.nn.LeakyReLU(), torch.nn.Linear(7, 3))


def module_np(params: Any, x: Array) -> Array:
    h = x @ params["0"]["kernel"] + params["0"]["bias"]
    return np.where(h > 0, h, 0.1 * h) @ params["2"]["kernel"] + params["2"]["bias"]


def lstm_cell_np(params: Any, x: Array, h: Array, c: Array) -> Array:
    z = np.concatenate([x, h], -1) @ params["kernel"] + params["bias"]
    i, f, o, g = (z[:, k::1][:, : h.shape[1]] for k in (0, h.shape[1], 2 * h.shape[1], 3 * h.shape[1]))
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return {"c": c, "h": _sigmoid(o) * np.tanh(c)}


def lstm_cell_torch_forget_first(params: Any, x: Array, h: Array, c: Array) -> Array:
    f, i, o, g = (torch.cat([x, h], -1) @ params["kernel"] + params["bias"]).split(h.shape[1], -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return {"c": c, "h": o.sigmoid() * c.tanh()}


def hidden_source(backend: Any, text: str) -> Any:
    """A function without a readable source, as from a notebook or a compiled module."""
    space = {"np": np, "torch": torch, "jnp": jnp, "F": F, "jax": jax}
    exec(text, space)
    return backend, space["f"]


def _pair(name: str, cause: str, first: Any, second: Any, inputs: Any, **arguments: Any) -> Planted:
    return Planted(name, cause, {"right": first, "port": second}, inputs, arguments)


SEQUENCE = {"x": some(2, 5, 6)}
BLOCK = {
    "g1": positive(6), "b1": some(6), "g2": positive(6), "b2": some(6), "q": some(6, 6), "k": some(6, 6),
    "v": some(6, 6), "o": some(6, 6), "up": some(6, 8), "down": some(8, 6),
}  # fmt: skip

SECOND = [
    wrong("channel order", cnn_np, cnn_torch_flattened_nchw, IMAGE, params={**CONV, "head": some(144, 5)}),
    wrong("channel order", normalised_np, normalised_torch_bgr, IMAGE),
    wrong("padding", pooled_np, pooled_torch_valid, IMAGE, params=CONV),
    wrong("padding", twice_np, twice_jax_valid, IMAGE,
          params={"one": some(3, 3, 3, 2), "b1": some(2), "two": some(3, 3, 2, 2), "b2": some(2)}),
    wrong("padding", average_np, average_torch_counting, IMAGE),
    wrong("epsilon", block_np, block_torch_default_epsilon, SEQUENCE, params=BLOCK),
    wrong("transposed kernel", block_np, block_jax_transposed_output, SEQUENCE, params=BLOCK),
    wrong("softmax axis", block_np, block_torch_post_softmax, SEQUENCE, params=BLOCK),
    wrong("approximate gelu", feed_np, feed_torch_exact, X, params=FFN),
    wrong("biased variance", group_norm_np, group_norm_jax_unbiased, {"x": some(3, 5, 8)}, params=NORM),
    wrong("epsilon", normalise_np, normalise_torch_added, ROWS),
    wrong("epsilon", instance_norm_np, instance_norm_torch_default, IMAGE),
    wrong("epsilon", logged_np, logged_torch_plain, {"p": simplex(6, 5), "t": labels(6, 5)}),
    wrong("batch-norm momentum", running_np, running_torch_default, TIME,
          params={"mean": some(4), "var": positive(4)}, stages=["y", "mean", "var"]),
    wrong("off-by-one step", warmup_np, warmup_jax_from_zero, {"steps": np.arange(8)}),
    wrong("off-by-one step", positions_np, positions_torch_from_one, SEQUENCE),
    wrong("float32 constant", positions_np, positions_torch_float32, SEQUENCE),
    wrong("sign", hinge_np, hinge_jax_plus, {"y": some(12), "t": BINARY["t"]}),
    wrong("sign", cosine_loss_np, cosine_loss_torch, PAIR),
    wrong("factor", ridge_np, ridge_torch_half, X, params={"w": some(4, 1)}),
    wrong("reduction", ridge_np, ridge_jax_mean, X, params={"w": some(4, 1)}),
    wrong("label smoothing", smoothed_np, smoothed_tf_not, CLASSES),
    Planted("binary_keras_probabilities", "from logits",
            {"np": ("numpy", binary_np), "tf": ("tensorflow", binary_keras_probabilities)}, BINARY, {}),
    wrong("training or inference", scaled_dropout_np, scaled_dropout_torch, X, params=FFN),
    _pair("module_torch_leaky", "activation slope", ("numpy", module_np), ("torch", module_torch_leaky()), X,
          params={"0": {"kernel": MLP["w1"], "bias": MLP["b1"]}, "2": {"kernel": MLP["w2"], "bias": MLP["b2"]}}),
    wrong("swapped gates", lstm_cell_np, lstm_cell_torch_forget_first,
          {"x": some(3, 4), "h": some(3, 2), "c": some(3, 2)}, params={"kernel": some(6, 8), "bias": some(8)}),
    _pair("hidden epsilon", "epsilon", ("numpy", rms_norm_np), hidden_source(
        "torch", "def f(params, x):\n    return x*torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-2)*params['gamma']"),
        ROWS, params={"gamma": NORM["gamma"]}),
    _pair("hidden slope", "activation slope", ("numpy", leaky_np), hidden_source(
        "jax", "def f(params, x):\n    h = x @ params['w1'] + params['b1']\n"
        "    return jnp.where(h > 0, h, 0.2*h) @ params['w2'] + params['b2']"), X, params=MLP),
    _pair("hidden mean", "reduction", ("numpy", lambda y, t: np.abs(y - t).sum()),
          ("torch", lambda y, t: (y - t).abs().mean()), PAIR),
    _pair("hidden gelu", "approximate gelu", ("torch", ffn_torch), hidden_source(
        "jax", "def f(params, x):\n    return jax.nn.gelu(x @ params['up']) @ params['down']"), X, params=FFN),
    _pair("hidden variance", "biased variance", ("numpy", layer_norm_np), hidden_source(
        "torch", "def f(params, x):\n    v = x.var(-1, keepdim=True)\n"
        "    return (x - x.mean(-1, keepdim=True))/torch.sqrt(v + 1e-5)*params['gamma'] + params['beta']"),
        ROWS, params=NORM),
]  # fmt: skip


def outcome(one: Any) -> tuple[str, str]:
    """What the comparison says: (refused | agrees, cause)."""
    report = compare_ports(one.ports, one.inputs, **one.arguments)
    if not report.failures:
        return "agrees", ""
    cause = report.failures[0].cause
    return "refused", cause.name if cause is not None else "none"


def main() -> int:
    """Print every row that is not as it should be, and the score."""
    import planted_ports_blind as blind

    warnings.simplefilter("ignore")
    right: list[Any] = [*RIGHT, *blind.RIGHT]
    tables: list[tuple[str, list[Any]]] = [
        ("first table", [*WRONG]), ("second table", [*SECOND]), ("third table", [*blind.WRONG]), ("right ports", right)
    ]  # fmt: skip
    for title, table in tables:
        refused = named = 0
        for one in table:
            state, cause = outcome(one)
            refused += state == "refused"
            named += cause in one.causes
            if cause not in one.causes:
                planted = " or ".join(one.causes) or "nothing"
                print(f"  {one.name}: {state}, cause {cause or 'none'}; planted: {planted}", flush=True)
        if table is right:
            print(f"{title}: {len(table)}, refused {refused}", flush=True)
        else:
            print(f"{title}: {len(table)} wrong ports, {refused} found, cause named rightly {named}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
