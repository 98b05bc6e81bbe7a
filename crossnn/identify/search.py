"""Which specification a call is: `identify(adapter, opened)`, for the command and for tables of conventions.

The adapter is started in float64. What is opened is run on hostile inputs, compared with every candidate of its kind,
and the best is judged by the oracle, with the tolerances of `crossnn check`.
"""

from __future__ import annotations

import warnings

from crossnn.adapter import Adapter, Opened
from crossnn.errors import BackendError, choices
from crossnn.identify.clippings import identify_clipping
from crossnn.identify.function_answer import identify_function
from crossnn.identify.functions import KINDS as FUNCTIONS
from crossnn.identify.initializers import identify_initializer
from crossnn.identify.optimizer_answer import identify_optimizer
from crossnn.identify.result import Identified
from crossnn.identify.schedule_answer import identify_schedule

KINDS = ("optimizer", *FUNCTIONS, "schedule", "clipping", "initializer")


def identify(adapter: Adapter, opened: Opened) -> Identified:
    """The specification that this is, or none and the nearest one. Raises BackendError where it cannot be run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inputs that a user would not choose
        if opened.kind == "optimizer":
            return identify_optimizer(adapter, opened)
        if opened.kind == "schedule":
            return identify_schedule(adapter, opened)
        if opened.kind == "clipping":
            return identify_clipping(adapter, opened)
        if opened.kind == "initializer":
            return identify_initializer(adapter, opened)
        if opened.kind in FUNCTIONS:
            return identify_function(adapter, opened)
    raise BackendError(f"{opened.native.call} is of kind {opened.kind!r}; identified are {choices(KINDS)}")
