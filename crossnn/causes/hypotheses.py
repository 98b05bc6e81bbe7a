"""The table of causes, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crossnn.causes import (
    activations,
    blocks,
    fits,
    inputs,
    labels,
    layouts,
    objects,
    outputs,
    ratios,
    rounded,
    sizes,
    source_edits,
)
from crossnn.causes.suspect import Suspect, Trial

HYPOTHESES: tuple[Callable[[Suspect], Iterator[Trial]], ...] = (
    outputs.random,
    inputs.step,
    layouts.transposed,
    layouts.gates,
    layouts.channel_order,
    inputs.unused,
    inputs.exchanged,
    labels.logits,
    labels.smoothing,
    inputs.statistics,
    outputs.shapes,
    outputs.softmax_axis,
    outputs.running_statistics,
    ratios.ratio,
    ratios.ratio_of_update,
    outputs.dropped,
    outputs.activation,
    outputs.pieces,
    inputs.padding,
    objects.attributes,
    inputs.centred,
    source_edits.idioms,
    source_edits.edited,
    blocks.blocks,
    labels.shares,
    ratios.slope,
    outputs.border,
    sizes.variance,
    ratios.gradient_ratio,
    rounded.rounded,
    fits.numbers,
    source_edits.rewritten,
    fits.insertions,
    activations.activations,
    source_edits.reordered,
    sizes.epsilon,
    sizes.digits,
    source_edits.left_out,
)
