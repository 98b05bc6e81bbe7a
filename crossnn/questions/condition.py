"""The condition under which a claim holds, in words: what tells the cases where it holds from the others.

Sought in one name first (a span of a number, or some values), then in two and more, one inside the other. A condition
is said only if it is true for all cases where the claim holds, and for no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossnn.runs.cell import Point

MOST_GROUPS = 12
MOST_LISTED = 6
MOST_RUNS = 3
"""So many stretches of a number, at most, make a condition."""
Examples = Sequence[tuple[Mapping[str, Any], bool]]


def threshold(examples: Examples, names: Sequence[str]) -> str:
    """The measured number that is above, or below, a value where the claim is true in a repetition, and only there."""
    for name in names:
        held = [at[name] for at, true in examples if true]
        rest = [at[name] for at, true in examples if not true]
        if not held or not rest or None in (*held, *rest):
            continue
        if max(rest) < min(held):
            return f"{_words(name)} >= {_shown(min(held))} (not at {_shown(max(rest))})"
        if max(held) < min(rest):
            return f"{_words(name)} <= {_shown(max(held))} (not at {_shown(min(rest))})"
    return ""


def clause(examples: Examples, names: Sequence[str]) -> str:
    """The condition that is true for the examples that hold and for no other; empty where these names do not tell."""
    for name in names:
        if found := _single(examples, name):
            return found
    texts = [text for name in names if (text := _grouped(examples, name, [one for one in names if one != name]))]
    return min(texts, key=len, default="")


def _grouped(examples: Examples, name: str, others: Sequence[str]) -> str:
    """A condition for each value of one name, in the others; values with the same condition together."""
    values = list(dict.fromkeys(at[name] for at, _ in examples))
    if not 1 < len(values) <= MOST_GROUPS:
        return ""
    conditions: dict[str, list[Any]] = {}
    for value in values:
        group = [one for one in examples if one[0][name] == value]
        if all(true for _, true in group):
            conditions.setdefault("", []).append(value)
        elif any(true for _, true in group):
            inner = clause(group, others)
            if not inner:
                return ""
            conditions.setdefault(inner, []).append(value)
    parts = [f"{_values(name, values, some)}{_and(inner)}" for inner, some in conditions.items()]
    return "; or ".join(parts)


def _and(condition: str) -> str:
    if not condition:
        return ""
    return f" and ({condition})" if " or " in condition else f" and {condition}"


def _values(name: str, every: Sequence[Any], some: Sequence[Any]) -> str:
    """Some of all values of a name, as a span where they are one."""
    if any(isinstance(value, str) for value in every):
        return _listed(name, some)
    order = sorted(every)
    runs = _runs([value in some for value in order])
    if len(runs) > 1 or runs == [(0, len(order) - 1)]:
        return _listed(name, sorted(some))
    return _span(name, order, *runs[0])


def _single(examples: Examples, name: str) -> str:
    """The condition in one name alone, where that tells."""
    truths: dict[Any, bool] = {}
    for at, true in examples:
        if truths.setdefault(at[name], true) is not true:
            return ""
    if len(set(truths.values())) < 2:
        return ""
    if any(isinstance(value, str) or value is None for value in truths):
        return _listed(name, [value for value, true in truths.items() if true])
    order = sorted(truths)
    runs = _runs([truths[value] for value in order])
    if len(runs) > MOST_RUNS:
        return ""
    if len(runs) > 1 and all(first == last for first, last in runs):
        return _listed(name, [order[first] for first, _ in runs])
    parts = [_span(name, order, first, last) for first, last in runs]
    if len(runs) > 1:
        return " or ".join(parts)
    ((first, last),) = runs
    beside = [_shown(order[place]) for place in (first - 1, last + 1) if 0 <= place < len(order)]
    return f"{parts[0]} (not at {', nor at '.join(beside)})"


def _runs(truths: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last place of each stretch of true ones."""
    starts = [place for place, true in enumerate(truths) if true and not (place and truths[place - 1])]
    ends = [place for place, true in enumerate(truths) if true and not any(truths[place + 1 : place + 2])]
    return list(zip(starts, ends, strict=True))


def _span(name: str, order: Sequence[float], first: int, last: int) -> str:
    low, high, words = _shown(order[first]), _shown(order[last]), _words(name)
    if first == 0:
        return f"{words} <= {high}"
    if last == len(order) - 1:
        return f"{words} >= {low}"
    return f"{low} <= {words} <= {high}" if first < last else f"{words} is {low}"


def _listed(name: str, values: Sequence[Any]) -> str:
    shown = [_shown(value) for value in values]
    return f"{_words(name)} is {' or '.join(filter(None, [', '.join(shown[:-1]), shown[-1]]))}"


def counted(points: Sequence[Point], found: Sequence[bool | None]) -> str:
    """The cases one by one, where there is no condition, or a long one: those where it holds, or the others."""
    holding = [point for point, answer in zip(points, found, strict=True) if answer]
    others = [point for point, answer in zip(points, found, strict=True) if not answer]
    fewer = holding if len(holding) <= len(others) else others
    listed = [", ".join(f"{_words(name)} {_shown(value)}" for name, value in point.at.items()) for point in fewer]
    more = f"; and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
    which = "cases:" if fewer is holding else "cases, not in"
    return f"in {len(holding)} of {len(points)} {which} {'; '.join(listed[:MOST_LISTED])}{more}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return str(value)
    return "without bound" if value >= 1e308 else f"{value:.4g}"
