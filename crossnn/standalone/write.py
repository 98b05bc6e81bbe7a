"""The standalone file of any row that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crossnn.catalogue.build import settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import (
    Activation,
    Experiment,
    Formulated,
    Layer,
    Loss,
    Network,
    Optimizer,
    Regularizer,
    Row,
    Study,
)
from crossnn.catalogue.validate import check_values
from crossnn.errors import CrossnnError, SpecError, choices
from crossnn.standalone.dialect import dialect
from crossnn.standalone.draft import Draft
from crossnn.standalone.functions import function_draft
from crossnn.standalone.networks import layer_draft, network_draft
from crossnn.standalone.optimizers import optimizer_draft
from crossnn.standalone.trainings import training_draft
from crossnn.training.train import problem_of

KINDS = ("activation", "loss", "regularizer", "optimizer", "layer", "network", "experiment", "study")
"""Kinds of which standalone files are written."""


def standalone(row: Row, catalogue: Catalogue, backend: str, given: Mapping[str, Any] | None = None) -> str:
    """A file that runs alone and gives the numbers of this row, with the given settings, by this backend."""
    return draft(row, catalogue, backend, given or {}).text()


def draft(row: Row, catalogue: Catalogue, backend: str, given: Mapping[str, Any]) -> Draft:
    """The parts of that file."""
    if row.kind not in KINDS:
        raise SpecError(f"{row.name} ({row.kind}) has no standalone code; kinds that have: {choices(KINDS)}")
    if given and isinstance(row, Network | Experiment | Study):
        raise SpecError(f"{row.name} ({row.kind}) has no settings of its own: leave --knob out")
    if isinstance(row, Formulated | Optimizer):
        _check(row, given)
    own = dialect(backend)
    match row:
        case Activation() | Loss() | Regularizer():
            return function_draft(row, given, own)
        case Optimizer():
            return optimizer_draft(row, given, own)
        case Network():
            return network_draft(row, catalogue, own)
        case Layer():
            return layer_draft(row, given, own)
        case Experiment() | Study():
            return training_draft(problem_of(row, catalogue, 0), own)
    raise AssertionError(row.kind)


def _check(row: Formulated | Optimizer, given: Mapping[str, Any]) -> None:
    """Refuse settings that no specification could say."""
    hyper, _ = settings(row, given)
    try:
        check_values(msgspec.structs.replace(row, params=hyper))
    except CrossnnError as error:
        shown = ", ".join(f"{name} = {value}" for name, value in given.items())
        raise SpecError(f"{row.name} with {shown}: {error}" if given else str(error)) from None
