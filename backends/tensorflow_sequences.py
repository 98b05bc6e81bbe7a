"""Keras's own layers for sequences, as rows: embeddings, recurrent layers and attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Params, Tensor
from crossnn.bindings import Row, Rows, Table

from .tensorflow_layers import keras_layer, weights_by_name
from .tensorflow_rows import BUILT, PASSED


def _embedding(name: str) -> Row:
    return keras_layer(
        name,
        lambda knobs: getattr(keras.layers, name)(int(knobs["vocabulary"]), int(knobs["units"])),
        weights_by_name("table"),
    )


def _recurrent(name: str, **options: str) -> Rows:
    """`options` maps Keras's keywords to our knobs. Variants: steps written out; and a cell in the layer that repeats
    any cell."""

    def given(knobs: Knobs) -> dict[str, Any]:
        return {theirs: knobs[ours] for theirs, ours in options.items()}

    def make(unroll: bool) -> Callable[[Knobs], keras.layers.Layer]:
        return lambda knobs: getattr(keras.layers, name)(
            int(knobs["units"]), return_sequences=knobs["return_sequences"], unroll=unroll, **given(knobs)
        )

    def of_cell(knobs: Knobs) -> keras.layers.Layer:
        cell = getattr(keras.layers, f"{name}Cell")(int(knobs["units"]), **given(knobs))
        return keras.layers.RNN(cell, return_sequences=knobs["return_sequences"])

    def weights(p: Params, knobs: Knobs) -> list[Tensor]:
        """Two biases are one tensor in Keras."""
        both = [p["bias"], p["recurrent_bias"]] if "recurrent_bias" in p else []
        return [p["kernel"], p["recurrent_kernel"], tf.stack(both) if both else p["bias"]]

    return (
        keras_layer(name, make(False), weights),
        keras_layer(name, make(True), weights, modes=PASSED, shown="(unroll=True)"),
        keras_layer(f"RNN(keras.layers.{name}Cell)", of_cell, weights, modes=PASSED),
    )


def _heads(p: Params, knobs: Knobs) -> list[Tensor]:
    """Keras's kernels have an axis for the heads."""
    found = []
    for name in ("query", "key", "value"):
        kernel = p[f"{name}_kernel"]
        found.append(tf.reshape(kernel, (kernel.shape[0], int(knobs["heads"]), -1)))
        if f"{name}_bias" in p:
            found.append(tf.reshape(p[f"{name}_bias"], (int(knobs["heads"]), -1)))
    found.append(tf.reshape(p["output_kernel"], (int(knobs["heads"]), -1, p["output_kernel"].shape[-1])))
    return [*found, *([p["output_bias"]] if "output_bias" in p else [])]


def _attention(use_bias: bool, call: Callable[..., Any]) -> tuple[Row, Row]:
    """With as many heads of keys as of queries, groups of queries are the heads."""

    def grouped(knobs: Knobs) -> keras.layers.Layer:
        heads = int(knobs["heads"])
        return keras.layers.GroupQueryAttention(int(knobs["size"]), heads, heads, use_bias=use_bias)

    return (
        keras_layer(
            "MultiHeadAttention",
            lambda knobs: keras.layers.MultiHeadAttention(int(knobs["heads"]), int(knobs["size"]), use_bias=use_bias),
            _heads,
            call=call,
        ),
        keras_layer("GroupQueryAttention", grouped, _heads, call=call, modes=BUILT),
    )


SEQUENCES: Table = {
    "embedding": (_embedding("Embedding"), _embedding("ReversibleEmbedding")),
    "simple_rnn": _recurrent("SimpleRNN"),
    "lstm": _recurrent("LSTM"),
    "gru": _recurrent("GRU", reset_after="reset_after"),
    "self_attention": _attention(True, lambda p, knobs, x: ((x, x), {"use_causal_mask": knobs["causal"]})),
    "cross_attention": _attention(
        False,
        lambda p, knobs, query, value, mask: (
            (query, value), {"attention_mask": tf.expand_dims(mask > 0, 1), "use_causal_mask": knobs["causal"]}
        ),
    ),
}  # fmt: skip
"""Layer -> its rows."""
