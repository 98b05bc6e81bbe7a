"""The table of causes, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crossnn.ports import cause_inputs, cause_outputs, cause_ratios, cause_sizes, cause_source
from crossnn.ports.causes import Suspect, Trial

HYPOTHESES: tuple[Callable[[Suspect], Iterator[Trial]], ...] = (
    cause_outputs.random,
    cause_inputs.step,
    cause_inputs.transposed,
    cause_inputs.gates,
    cause_inputs.channel_order,
    cause_inputs.unused,
    cause_inputs.exchanged,
    cause_inputs.logits,
    cause_inputs.smoothing,
    cause_inputs.statistics,
    cause_outputs.shapes,
    cause_outputs.softmax_axis,
    cause_outputs.running_statistics,
    cause_ratios.ratio,
    cause_ratios.ratio_of_update,
    cause_outputs.dropped,
    cause_outputs.activation,
    cause_inputs.padding,
    cause_source.edited,
    cause_ratios.slope,
    cause_outputs.border,
    cause_sizes.variance,
    cause_sizes.epsilon,
    cause_sizes.digits,
    cause_ratios.gradient_ratio,
)
