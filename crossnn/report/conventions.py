"""The Rosetta table: what each framework does by default, concept by concept, and what a port suffers that overlooks
it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.conventions.found import AGREES
from crossnn.report.document import Block, Heading, Table, Text
from crossnn.report.summary import place
from crossnn.runs.findings import Convention, Finding

LEGEND = (
    "What each framework does where its user says nothing, measured: its own layer, loss, activation or optimizer was "
    "given numbers, and the answer is the arrangement or the settings with which the formula computes the same, to "
    "rounding, in float64. The last column says how far a port is off that keeps the specification's defaults where "
    "the framework has its own (0: not at all); it compares with the specification, not one framework with another. A "
    "dash: the framework has no such thing."
)


def convention_blocks(findings: Iterable[Finding]) -> list[Block]:
    """Tables for each kind of row, one line a concept. Concepts of which the same is asked share one question."""
    found = [one for one in findings if isinstance(one, Convention)]
    if not found:
        return []
    backends = sorted({one.backend for one in found}, key=lambda name: place(name, ""))
    content: list[Block] = [Text(LEGEND)]
    for kind in dict.fromkeys(one.kind for one in found):
        concepts: dict[str, list[Convention]] = {}
        for one in found:
            if one.kind == kind:
                concepts.setdefault(one.concept, []).append(one)
        answered = [group for group in concepts.values() if any(one.answer for one in group)]
        asked = Counter(group[0].asks for group in answered)
        apart = [group for group in answered if asked[group[0].asks] == 1 or not _scenario(group)]
        alike = [group for group in answered if group not in apart]
        if answered:
            content.append(Heading(3, f"{kind}: conventions"))
        if apart:
            heads = ["concept", "asked", *backends, "a port suffers"]
            rows = [
                [group[0].concept, group[0].asks, *_answers(group, backends), _suffered(group, backends)]
                for group in apart
            ]
            content.append(Table(heads, rows))
        if alike:
            content.append(Text(f"{alike[0][0].asks} A port suffers: {_scenario(alike[0])}."))
            heads = ["concept", "the specification", *backends, "a port suffers"]
            rows = [[g[0].concept, _own(g[0].spec), *_answers(g, backends), _shares(g, backends)] for g in alike]
            content.append(Table(heads, rows))
    return content


def _own(spec: str) -> str:
    """The specification's own defaults, as they are today."""
    row = load_catalogue().rows.get(spec)
    hyper, knobs = settings(row, {}) if row is not None else ({}, {})
    shown = {**knobs, **hyper}
    return ", ".join(f"{name}={one:g}" if isinstance(one, float) else f"{name}={one}" for name, one in shown.items())


def _scenario(group: Sequence[Convention]) -> str:
    return next((one.scenario for one in group if one.scenario), "")


def _answers(group: Sequence[Convention], backends: Sequence[str]) -> list[str]:
    return [
        "; ".join(_answer(one) for one in group if one.backend == backend and one.answer) or "-" for backend in backends
    ]


def _shares(group: Sequence[Convention], backends: Sequence[str]) -> str:
    """`torch 20%, jax 0`: the largest of a backend's calls."""
    largest: dict[str, float] = {}
    for one in group:
        if one.answer and one.difference is not None:
            largest[one.backend] = max(one.difference, largest.get(one.backend, 0.0))
    return ", ".join(f"{backend} {_share(largest[backend])}" for backend in backends if backend in largest)


def _suffered(group: Sequence[Convention], backends: Sequence[str]) -> str:
    shares, scenario = _shares(group, backends), _scenario(group)
    return f"{shares}: {scenario}" if shares and scenario else shares


def _answer(one: Convention) -> str:
    call = f" ({one.call})" if one.call else ""
    inexact = "" if one.error is None or one.error <= AGREES else f", up to a relative difference of {one.error:.2g}"
    return f"{one.answer}{inexact}{call}"


def _share(difference: float) -> str:
    return "0" if difference == 0 else f"{difference:.2g}" if difference < 0.0005 else f"{difference:.1%}"
