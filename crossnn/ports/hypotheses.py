"""The table of causes, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crossnn.ports import (
    cause_activations,
    cause_blocks,
    cause_fits,
    cause_inputs,
    cause_labels,
    cause_layouts,
    cause_objects,
    cause_outputs,
    cause_ratios,
    cause_rounded,
    cause_sizes,
    cause_source,
)
from crossnn.ports.causes import Suspect, Trial

HYPOTHESES: tuple[Callable[[Suspect], Iterator[Trial]], ...] = (
    cause_outputs.random,
    cause_inputs.step,
    cause_layouts.transposed,
    cause_layouts.gates,
    cause_layouts.channel_order,
    cause_inputs.unused,
    cause_inputs.exchanged,
    cause_labels.logits,
    cause_labels.smoothing,
    cause_inputs.statistics,
    cause_outputs.shapes,
    cause_outputs.softmax_axis,
    cause_outputs.running_statistics,
    cause_ratios.ratio,
    cause_ratios.ratio_of_update,
    cause_outputs.dropped,
    cause_outputs.activation,
    cause_outputs.pieces,
    cause_inputs.padding,
    cause_objects.attributes,
    cause_inputs.centred,
    cause_source.idioms,
    cause_source.edited,
    cause_blocks.blocks,
    cause_labels.shares,
    cause_ratios.slope,
    cause_outputs.border,
    cause_sizes.variance,
    cause_ratios.gradient_ratio,
    cause_rounded.rounded,
    cause_fits.numbers,
    cause_source.rewritten,
    cause_fits.insertions,
    cause_activations.activations,
    cause_source.reordered,
    cause_sizes.epsilon,
    cause_sizes.digits,
    cause_source.left_out,
)
