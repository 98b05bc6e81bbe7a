"""One check cell: run a specification on a backend and judge every quantity.

The backend called `oracle` is the specification itself (proof.py), with no framework involved.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import msgspec
import numpy as np

from crossnn import registry
from crossnn.adapter import Adapter, Native
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Experiment, Formulated, Layer, Network, Optimizer, Row, Study
from crossnn.errors import CrossnnError, UnavailableError, first_line
from crossnn.formula.oracle import Exact
from crossnn.parity.backend import first_mode, natives_of, started
from crossnn.parity.compute import Values, optimizer_values, subject_values
from crossnn.parity.differences import apply_registry
from crossnn.parity.experiments import first_step, study_step
from crossnn.parity.functions import function_subjects
from crossnn.parity.judge import Judgement, Reference, judge
from crossnn.parity.layers import layer_subjects
from crossnn.parity.natives import native_optimizer_values, native_values
from crossnn.parity.networks import network_subjects
from crossnn.parity.optimizers import ALWAYS, Steps, optimizer_steps
from crossnn.parity.proof import proofs
from crossnn.parity.subject import Subject
from crossnn.runs.cell import ORACLE, Cell, Record, Worst


def check(cell: Cell) -> list[Record]:
    """Judge one cell; a pure function of it. Errors of ours and of the framework become ERROR records."""
    began = time.perf_counter()
    catalogue = load_catalogue(cell.files)
    row = catalogue.find(cell.spec)
    try:
        cell = msgspec.structs.replace(cell, mode=cell.mode or first_mode(cell.backend))
        if cell.backend == ORACLE:
            found = proofs(row, subjects_of(cell.spec, cell.files, cell.seed))
            records = [_record(cell, row, quantity, judgement, case) for quantity, case, judgement in found]
        else:
            records = _backend_records(cell, row, catalogue)
    except UnavailableError as error:
        records = [_record(cell, row, "-", Judgement("NOT-RUN", message=str(error)))]
    except Exception as error:  # whatever a framework throws is a result of this cell
        records = [_record(cell, row, "-", Judgement("ERROR", message=_one_line(error)))]
    records = apply_registry(
        cell, records, drawn=lambda seed: _backend_records(msgspec.structs.replace(cell, seed=seed), row, catalogue)
    )
    seconds = round(time.perf_counter() - began, 4)
    return [msgspec.structs.replace(record, seconds=seconds) for record in records]


def _one_line(error: Exception) -> str:
    text = str(error) if isinstance(error, CrossnnError) else f"{type(error).__name__}: {first_line(error)}"
    return text[:500]


def _record(
    cell: Cell, row: Row, quantity: str, found: Judgement, case: str = "", call: str = "", message: str = ""
) -> Record:
    return Record(
        spec=cell.spec, kind=row.kind, backend=cell.backend, implementation=cell.implementation, mode=cell.mode,
        dtype=cell.dtype, device=cell.device, quantity=quantity, verdict=found.verdict, r=found.r,
        digits=found.digits, worst=found.worst, seed=cell.seed, spec_sha=row.sha, case=case, call=call,
        message=message or found.message,
    )  # fmt: skip


@lru_cache(maxsize=64)
def subjects_of(spec: str, files: tuple[str, ...], seed: int) -> list[Subject] | list[Steps]:
    """What is judged for a row; kept, since every mode and dtype of a backend shares truth and noise."""
    catalogue = load_catalogue(files)
    row = catalogue.find(spec)
    match row:
        case Formulated():
            return function_subjects(row, seed)
        case Layer():
            return layer_subjects(row, seed)
        case Network():
            return network_subjects(row, catalogue, seed)
        case Experiment():
            return [first_step(row, catalogue, seed)]
        case Study():
            return [study_step(row, catalogue, seed)]
        case Optimizer():
            return optimizer_steps(row, seed)
    raise AssertionError(row.kind)


def _backend_records(cell: Cell, row: Row, catalogue: Catalogue) -> list[Record]:
    adapter, _ = started(cell.backend, cell.device, cell.dtype, cell.threads)
    subjects: Sequence[Subject | Steps] = subjects_of(cell.spec, cell.files, cell.seed)
    if cell.implementation == "native":
        return _native_records(cell, row, subjects, adapter)
    records: list[Record] = []
    for subject in subjects:
        try:
            records += case_records(cell, row, subject, adapter)
        except Exception as error:  # whatever a framework throws is a result of this case, and of no other
            records.append(_thrown(cell, row, subject, error))
    return records


def _native_records(cell: Cell, row: Row, subjects: Sequence[Subject | Steps], adapter: Adapter) -> list[Record]:
    """Every implementation of the framework's own, in every case that it has; an optimizer in further modes in its
    first cases alone."""
    nothing = f"{cell.backend} has no native {row.name}: the formula runs instead"
    if isinstance(row, Optimizer) and cell.seed > 0:
        nothing = f"{cell.backend} has no native {row.name} in the conventions of this seed; the first seed has all"
    further = isinstance(row, Optimizer) and cell.mode != adapter.modes[0]
    records: list[Record] = []
    for subject in subjects:
        if further and len({record.case for record in records}) == ALWAYS:
            break
        try:
            found = natives_of(adapter, row.kind, row.name, subject.settings)
        except Exception as error:  # as above
            records.append(_thrown(cell, row, subject, error))
            continue
        for own in found:
            modes = own.modes or (adapter.modes[:1] if isinstance(row, Optimizer) else ())
            if modes and cell.mode not in modes:
                nothing = f"{own.call} does not run in mode {cell.mode}: the formula runs instead"
                continue
            try:
                records += _own_records(cell, row, subject, adapter, own, cell.mode if further else "")
            except Exception as error:
                records.append(_thrown(cell, row, subject, error, own.call))
    if not records and (lacking := registry.find(cell.backend).natives_missing):
        hint = registry.find(cell.backend).hint
        nothing = f"{cell.backend} has no native {row.name} without {', '.join(lacking)}, not installed here: {hint}"
    return records or [_record(cell, row, "-", Judgement("NOT-RUN", message=nothing))]


def _thrown(cell: Cell, row: Row, subject: Subject | Steps, error: Exception, call: str = "") -> Record:
    """An error; where nothing is judged, as of no samples, to refuse is a convention like others."""
    message = _one_line(error)
    if isinstance(subject, Subject) and subject.tabulated:
        found = Judgement("KINK", worst=Worst((), "a convention", "refused"), message=message)
        return _record(cell, row, subject.order[0], found, subject.case, call)
    return _record(cell, row, "-", Judgement("ERROR", message=message), subject.case, call)


def case_records(cell: Cell, row: Row, subject: Subject | Steps, adapter: Adapter) -> list[Record]:
    """The records of one case, by the formula."""
    if isinstance(subject, Steps):
        values = optimizer_values(adapter, cell.mode, subject)
        return _judged(cell, row, subject.case, values, subject.references(cell.dtype), None)
    return _subject_records(cell, row, subject, subject_values(adapter, cell.mode, subject, None), None)


def _own_records(
    cell: Cell, row: Row, subject: Subject | Steps, adapter: Adapter, own: Native, mode: str
) -> list[Record]:
    """The records of one case, by a native implementation; `mode` is a further one of an optimizer."""
    if isinstance(subject, Steps):
        values = native_optimizer_values(subject, own, cell.dtype, mode)
        return _judged(cell, row, subject.case, values, subject.references(cell.dtype), own)
    given, values = native_values(adapter, cell.mode, row, subject, own, cell.dtype, cell.seed)
    return _subject_records(cell, row, given, values, own)


def _subject_records(cell: Cell, row: Row, subject: Subject, values: Values, own: Native | None) -> list[Record]:
    if subject.tabulated:
        return _conventions(cell, row, subject, values, own)
    references: Mapping[str, Reference] = subject.references(cell.dtype)
    kinks: list[Record] = []
    if all(values[name].shape == references[name].exact.hi.shape for name in values):
        kinks = _kinks(cell, row, subject, values, own)
        references = _without_kinks(subject, values, references)
    return kinks + _judged(cell, row, subject.case, values, references, own, subject.quantities)


def _judged(
    cell: Cell,
    row: Row,
    case: str,
    values: Values,
    references: Mapping[str, Reference],
    native: Native | None,
    order: tuple[str, ...] | None = None,
) -> list[Record]:
    """Judge the quantities in order; the first that departs is named in those that follow."""
    call = native.call if native else ""
    records: list[Record] = []
    first = ""
    for quantity in order or references:
        if quantity not in values:
            continue
        reference = references[quantity]
        if native is not None:  # what the formula cannot do in this dtype, an implementation of its own may not excuse
            reference = replace(reference, unsafe=None)
        found = judge(values[quantity], reference, cell.dtype)
        message = found.message
        if found.verdict in ("FORMULA", "ACCURACY"):
            message = f"after {first}, the first to depart" if first else "the first quantity to depart"
            message += _hint(found, cell.dtype)
            first = first or quantity
        records.append(_record(cell, row, quantity, found, case, call, message))
    return records


def _hint(found: Judgement, dtype: str) -> str:
    if dtype == "float64" and found.typical_digits is not None and 6 <= found.typical_digits <= 9.5:
        return "; most of what departs agrees to about 8 digits, as if a float32 number took part"
    return ""


def _conventions(cell: Cell, row: Row, subject: Subject, values: Values, native: Native | None) -> list[Record]:
    """What has no right value, such as the mean of no samples: tabulated, not judged."""
    records = []
    for quantity in subject.order:
        value = values[quantity]
        shown = f"{float(value):.6g}" if value.shape == () else f"a tensor of shape {value.shape}"
        found = Judgement("KINK", worst=Worst((), "a convention", shown))
        records.append(_record(cell, row, quantity, found, subject.case, native.call if native else ""))
    return records


def _kinks(cell: Cell, row: Row, subject: Subject, values: Values, native: Native | None) -> list[Record]:
    """At a kink the slope is a convention: tabulated, not judged. One record a kink."""
    records, seen = [], set()
    for kink in subject.kinks:
        if kink.at in seen or kink.quantity not in values:
            continue
        seen.add(kink.at)
        slope = float(values[kink.quantity][kink.index]) / kink.weight
        worst = Worst(kink.index, "a convention", f"{slope:.6g}")
        quantity = f"slope at {kink.at:g}"
        records.append(
            _record(cell, row, quantity, Judgement("KINK", worst=worst), subject.case, native.call if native else "")
        )
    return records


def _without_kinks(subject: Subject, values: Values, references: Mapping[str, Reference]) -> Mapping[str, Reference]:
    """Take the elements at kinks out of the judgement: both sides become an exact zero there."""
    if not subject.kinks:
        return references
    changed = dict(references)
    for quantity in {kink.quantity for kink in subject.kinks} & values.keys():
        indices = tuple(np.array([kink.index for kink in subject.kinks if kink.quantity == quantity]).T)
        reference = references[quantity]
        hi, lo, noise, actual = (
            np.array(one) for one in (reference.exact.hi, reference.exact.lo, reference.noise, values[quantity])
        )
        for array in (hi, lo, noise, actual):
            array[indices] = 0
        values[quantity] = actual
        changed[quantity] = replace(reference, exact=Exact(hi, lo), noise=noise, more_noise=None)
    return changed
