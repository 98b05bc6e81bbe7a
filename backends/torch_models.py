"""Models of PyTorch users among ports: modules as functions of their parameters; settings put back afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from crossnn.adapter import OwnModel


def model(function: Callable[..., Any]) -> OwnModel | None:
    """A module with other parameters in the place of its own; its buffers are copies, so that it stays as it is."""
    if not isinstance(function, torch.nn.Module):
        return None
    arrays = {name: np.asarray(one.detach().cpu().numpy()) for name, one in function.named_parameters()}

    def call(parameters: Mapping[str, Any], *inputs: Any) -> Any:
        like = next(iter(parameters.values()), None)
        buffers = {name: one.clone() for name, one in function.named_buffers()}
        if like is not None:
            buffers = {name: one.to(like.dtype) if one.is_floating_point() else one for name, one in buffers.items()}
        return torch.func.functional_call(function, {**buffers, **parameters}, inputs)

    return OwnModel(arrays, call)


@contextlib.contextmanager
def guest() -> Iterator[None]:
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    precision = torch.get_float32_matmul_precision()
    tf32, benchmark = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = tf32, benchmark
        torch.set_rng_state(state)
