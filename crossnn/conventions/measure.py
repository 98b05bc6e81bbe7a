"""One cell: what one framework does by default, of every concept of one row."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.load import load_catalogue
from crossnn.conventions.concepts import Concept, concepts
from crossnn.conventions.found import AGREES, Found
from crossnn.parity.backend import started
from crossnn.runs.cell import Cell
from crossnn.runs.findings import Convention

Probe = Callable[[Adapter, str], Found | Sequence[Found] | None]


def convention_cells(names: Sequence[str] = (), backends: Sequence[str] = ()) -> list[Cell]:
    """One cell for every row that a concept asks about and every framework with functions of its own."""
    specs = dict.fromkeys(concept.spec for concept in concepts().values())
    asked = list(backends) or list(registry.backends())
    return [
        Cell(task="convention", spec=spec, backend=backend, implementation="native", mode="")
        for backend in asked
        if registry.find(backend).natives
        for spec in specs
        if not names or spec in names
    ]


def measure(cell: Cell) -> list[Convention]:
    """The answers; what a framework does not have is an answer too."""
    adapter, _ = started(cell.backend, cell.device, "float64", cell.threads)
    row = load_catalogue().find(cell.spec)
    records = []
    for name, concept in concepts().items():
        if concept.spec != row.name:
            continue
        began = time.perf_counter()
        found = _probe(concept)(adapter, row.name)
        answers: Sequence[Found | None] = [found] if found is None or isinstance(found, Found) else [*found] or [None]
        for one in answers:
            records.append(_record(name, concept, row.kind, row.sha, cell.backend, one, time.perf_counter() - began))
    return records


def _probe(concept: Concept) -> Probe:
    module, _, name = concept.probe.partition(":")
    probe: Probe = getattr(importlib.import_module(f"crossnn.conventions.{module}"), name)
    return probe


def _record(
    name: str, concept: Concept, kind: str, sha: str, backend: str, found: Found | None, seconds: float
) -> Convention:
    if found is None:
        return Convention(
            concept=name, asks=concept.asks, spec=concept.spec, kind=kind, spec_sha=sha, backend=backend, answer=""
        )
    difference = found.difference
    return Convention(
        concept=name, asks=concept.asks, spec=concept.spec, kind=kind, spec_sha=sha, backend=backend, call=found.call,
        answer=found.answer, evidence=found.evidence, settings=found.settings, error=found.error,
        scenario=concept.scenario,
        difference=0.0 if difference is not None and difference <= AGREES else difference, seconds=round(seconds, 4),
    )  # fmt: skip
