"""Subjects whose inputs have all 53 bits of float64, and what they are in shorter dtypes.

Were all inputs float32 numbers, then whatever only copies, selects or scales them (a rectifier, a maximum, a slice)
could be computed in float32 inside float64 code, and no check would see it. So inputs are moved by less than float32
can show. A shorter dtype is given those numbers rounded, which are what they were before; so is the truth for it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from crossnn.parity import inputs
from crossnn.parity.judge import Reference
from crossnn.parity.subject import Arrays, Subject


@dataclass
class FullSubject(Subject):
    """A subject with inputs of all bits."""

    @cached_property
    def short(self) -> Subject:
        """The same with inputs that float32 holds."""
        return Subject(**{**_fields(self), "params": _short(self.params), "data": _short(self.data)})

    def references(self, dtype: str) -> dict[str, Reference]:
        return super().references(dtype) if dtype == "float64" else self.short.references(dtype)

    @property
    def quantities(self) -> tuple[str, ...]:
        gradients = [] if self.scalar is None else map(self.gradient_name, self.params)
        return self.order or (*self.forward.result, *gradients)


def full(subject: Subject) -> FullSubject:
    """The subject with all bits in every number but those that are written with few, which mean something."""
    params = {name: inputs.all_bits(value) for name, value in subject.params.items()}
    data = {name: inputs.all_bits(value) for name, value in subject.data.items()}
    return FullSubject(**{**_fields(subject), "params": params, "data": data})


def _fields(subject: Subject) -> dict[str, Any]:
    return {field.name: getattr(subject, field.name) for field in fields(Subject)}


def _short(arrays: Arrays) -> Arrays:
    return {name: value if value.dtype.kind in "iu" else inputs.single(value) for name, value in arrays.items()}
