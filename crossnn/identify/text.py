"""The answer of `identify` in words, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.identify.resolved import lines
from crossnn.identify.result import Identified, Parting, Quantity
from crossnn.report.document import plain_table


def as_text(found: Identified) -> str:
    """Everything, as paragraphs."""
    return "\n\n".join(part for part in _parts(found) if part)


def _parts(found: Identified) -> Iterator[str]:
    yield f"{found.call}  ({found.kind})\n  {_verdict(found)}"
    row = load_catalogue().find(found.spec)
    yield _section(found.spec if found.matched else f"nearest: {found.spec}", "\n".join(lines(row, found.settings)))
    yield _section("settings", _settings(found, row))
    if found.slots or found.unexplained:
        state = [f"{ours} is {theirs}" for ours, theirs in found.slots.items()]
        state += [f"{theirs} is none of these" for theirs in found.unexplained]
        yield _section("state", "\n".join(state))
    yield _section("judged in float64", _quantities(found.quantities))
    if found.known:
        said = {one.known: one.message for one in found.quantities if one.known}
        yield _section("registered differences", "\n".join(f"{name}: {text}" for name, text in said.items()))
    if found.first is not None:
        yield _section("where they part first", parting(found.first))
    if found.others:
        others = [
            f"{one.spec}  {shown(one.settings)}" + ("" if one.everywhere else "  (at these numbers alone)")
            for one in found.others
        ]
        yield _section("the same formula", "\n".join(others))
    if found.notes:
        yield _section("notes", "\n".join(found.notes))


def _verdict(found: Identified) -> str:
    if not found.matched:
        alike = [one.name for one in found.quantities if one.explained]
        but = f" (as the nearest has it: {', '.join(alike)})" if alike and found.kind != "optimizer" else ""
        return f"none: no specification in any of its conventions computes this{but}"
    if found.verdict == "KNOWN":
        return f"is {found.spec}, apart from {_list(found.known)}"
    if found.verdict == "ROUNDING":
        return f"is {found.spec}, up to rounding (r = {found.r:.3g})"
    r = "" if found.r is None else f" (r = {found.r:.3g}, up to 64 is rounding)"
    return f"is {found.spec} in float64{r}"


def _list(names: tuple[str, ...]) -> str:
    many = "the registered difference" if len(names) == 1 else "the registered differences"
    return f"{many} {' and '.join(names)}"


def _settings(found: Identified, row: Row) -> str:
    knobs = getattr(row, "knobs", {})
    rows = []
    for name, value in found.settings.items():
        free = "makes no difference here" if name in found.undetermined else ""
        origin = "convention" if name in knobs else found.origins.get(name, "")
        rows.append([name, number(value), origin if origin != number(value) else "a number of its own", free])
    if not rows:
        return "none"
    width = [max(len(row[place]) for row in rows) for place in range(3)]
    return "\n".join(
        f"{name:<{width[0]}}  {value:<{width[1]}}  {origin:<{width[2]}}  {free}".rstrip()
        for name, value, origin, free in rows
    )


def _quantities(quantities: tuple[Quantity, ...]) -> str:
    rows = [
        [
            one.name,
            one.verdict,
            "" if one.r is None else f"{one.r:.3g}",
            "" if one.digits is None else f"{one.digits:.3g}",
        ]
        for one in quantities
    ]
    return plain_table(["quantity", "verdict", "r", "digits"], rows)


def parting(first: Parting) -> str:
    """The step, the quantity, the element, both numbers and how far they are apart."""
    at = f"step {first.step}, {first.quantity}" if first.step else first.quantity
    if "t" in first.inputs and not first.index:  # of a schedule, which counts the steps already taken
        at = f"{first.quantity} after {first.step} steps"
    where = f", element {list(first.index)}" if first.index else ""
    if first.inputs:
        where += f" ({shown(first.inputs)})"
    apart = abs(first.actual - first.expected)
    relative = f", {apart / abs(first.expected):.3g} relative" if first.expected and math.isfinite(apart) else ""
    return f"{at}{where}: {first.expected!r} expected, {first.actual!r} computed{relative}"


def shown(settings: Mapping[str, Any]) -> str:
    """Settings on one line."""
    return ", ".join(f"{name} = {number(value)}" for name, value in settings.items())


def number(value: Any) -> str:
    """A number as short as it is exact enough to read; anything else in small letters."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _section(title: str, body: str) -> str:
    return f"{title}\n" + "\n".join(f"  {line}".rstrip() for line in body.splitlines())


def as_data(found: Identified) -> dict[str, Any]:
    """Everything, as plain data for JSON."""
    return {
        "call": found.call, "kind": found.kind, "matched": found.matched, "spec": found.spec,
        "settings": dict(found.settings), "origins": dict(found.origins), "verdict": found.verdict, "r": found.r,
        "digits": found.digits, "known": list(found.known), "undetermined": list(found.undetermined),
        "slots": dict(found.slots), "unexplained": list(found.unexplained), "notes": list(found.notes),
        "quantities": [
            {
                "quantity": one.name, "verdict": one.verdict, "r": one.r, "digits": one.digits, "known": one.known,
                "worst": None if one.worst is None
                else {"index": list(one.worst.index), "expected": one.worst.expected, "actual": one.worst.actual},
            }
            for one in found.quantities
        ],
        "first": None if found.first is None
        else {
            "step": found.first.step, "quantity": found.first.quantity, "index": list(found.first.index),
            "expected": repr(found.first.expected), "actual": repr(found.first.actual),
            "inputs": dict(found.first.inputs),
        },
        "others": [
            {"spec": one.spec, "settings": dict(one.settings), "everywhere": one.everywhere} for one in found.others
        ],
    }  # fmt: skip
