"""The frameworks' own implementations of one specification, side by side: how each is set, and what that makes of the
formula.

All of it follows from the settings with which they were judged to compute the formula: what was equal under one
setting alone computes with that setting.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from crossnn.errors import CrossnnError
from crossnn.formula.grammar import knob_condition
from crossnn.report.summary import ASIDE, WORST_FIRST, joined, number, place
from crossnn.runs.cell import Record
from crossnn.runs.findings import Convention

MOST_NAMED = 3
"""Calls with the same lines; of more the variants are counted."""


def comparison(records: Sequence[Record], conventions: Sequence[Convention] = ()) -> list[str]:
    """What the frameworks' usual calls have in common, in which conventions they never compute the same, and which
    defaults of theirs are not alike."""
    mine = usual(records)
    settings = native_settings(mine)
    if len(settings) < 2:
        return []
    calls = {backend: _calls(mine, backend) for backend in settings}
    never = conflicts(settings)
    said = []
    for name in sorted(varied(settings), key=lambda name: name not in never):
        each = ", ".join(
            f"{_list(mine[name])} in {calls[backend]}" for backend, mine in settings.items() if name in mine
        )
        said.append(f"{'Not the same formula' if name in never else 'Other settings'}: {name} is {each}.")
    others = other_settings(conventions, never)
    if others:
        said.append(f"{'Other defaults' if said else 'Same formula, other defaults'}: {others}.")
        said += _port(conventions)
    elif not said:
        known = any(one.known for one in mine)
        rest = ", computed with the differences below" if known else ", equal up to rounding"
        said.append(f"Same formula in all of them: {', '.join(calls.values())}{rest}.")
    return said


def usual(records: Iterable[Record]) -> list[Record]:
    """Of each framework the records of its first native call; where that call is one choice of an argument
    (`gelu(approximate=False)`), of all of its choices."""
    first: dict[str, str] = {}
    found = []
    for one in records:
        if _is_native(one):
            call = first.setdefault(one.backend, one.call)
            stem, bracket, _ = call.partition("(")
            if one.call == call or (bracket and one.call.startswith(stem + bracket)):
                found.append(one)
    return found


def other_settings(conventions: Iterable[Convention], without: Collection[str] = ()) -> str:
    """`eps is 1e-08 in torch.optim.Adam and optax.adam, 1e-07 in keras.optimizers.Adam`, of what is not alike."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in sorted(conventions, key=lambda one: place(one.backend, "")):
        for name, value in one.settings.items():
            if name not in without:
                shown = f"{value:g}" if isinstance(value, float) else str(value)
                calls = found.setdefault(name, {}).setdefault(shown, [])
                if _short(one) not in calls:
                    calls.append(_short(one))
    return "; ".join(
        f"{name} is {', '.join(f'{value} in {joined(calls)}' for value, calls in values.items())}"
        for name, values in found.items() if len(values) > 1
    )  # fmt: skip


RATE = r"\(learning_rate=[^,()]*\)$"


def usual_call(call: str) -> bool:
    """Whether a call has no arguments but a rate that had to be given."""
    return "(" not in re.sub(RATE, "", call)


def _short(one: Convention) -> str:
    """Without a rate that had to be given."""
    return re.sub(RATE, "", one.call or one.backend)


def _port(conventions: Iterable[Convention]) -> list[str]:
    """What a port suffers that keeps the specification's defaults, of each call for which that is something."""
    sizes: dict[str, list[str]] = {}
    for one in sorted(conventions, key=lambda one: place(one.backend, "")):
        if one.difference:
            sizes.setdefault(one.scenario, []).append(f"{number(one.difference)} from {_short(one)}")
    return [f"A port that keeps the specification's defaults departs by {', '.join(each)} ({scenario})."
            for scenario, each in sizes.items()]  # fmt: skip


def varied(settings: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """The conventions in which frameworks' own implementations are not all alike. Numbers are left out: that one was
    judged with other ones says nothing about its formula."""
    names = dict.fromkeys(name for mine in settings.values() for name in mine)
    return [
        name
        for name in names
        if len({frozenset(mine.get(name, ())) for mine in settings.values()}) > 1
        and not any(re.match(r"[-+\[(\d.]", value) for mine in settings.values() for value in mine.get(name, ()))
    ]


def conflicts(settings: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """The conventions of which two frameworks share no choice that was judged."""
    offered = {name: [mine[name] for mine in settings.values() if name in mine] for name in varied(settings)}
    return [
        name
        for name, several in offered.items()
        if any(one.isdisjoint(other) for one in several for other in several)
    ]  # fmt: skip


def native_settings(records: Iterable[Record]) -> dict[str, dict[str, set[str]]]:
    """Backend -> setting -> the values with which its own implementation was judged."""
    found: dict[str, dict[str, set[str]]] = {}
    for one in records:
        if _is_native(one):
            mine = found.setdefault(one.backend, {})
            for key, value in settings_of(one.case).items():
                mine.setdefault(key, set()).add(value)
    return dict(sorted(found.items(), key=lambda item: place(item[0], "")))


def settings_of(case: str) -> dict[str, str]:
    """`eps_place=hat eps=0.001` by name; nothing of what is not written so."""
    return dict(re.findall(r"(\w+)=(\[[^]]*\]|\([^)]*\)|\S+)", case))


def _is_native(one: Record) -> bool:
    return one.implementation == "native" and one.verdict != "NOT-RUN"


def _calls(records: Iterable[Record], backend: str) -> str:
    found = dict.fromkeys(one.call for one in records if one.backend == backend and one.call)
    return next(iter(found), backend)


def _list(values: set[str]) -> str:
    return " or ".join(sorted(values))


def native_table(records: Sequence[Record]) -> dict[str, Any]:
    """A table of the frameworks' own implementations: a line for each backend and call."""
    native = [one for one in records if _is_native(one)]
    names = varied(native_settings(records))
    groups: dict[tuple[str, str], list[Record]] = {}
    for one in native:
        groups.setdefault((one.backend, one.call), []).append(one)
    rows = []
    for (backend, call), group in sorted(groups.items(), key=lambda item: (place(item[0][0], ""), item[0][1])):
        values = [settings_of(one.case) for one in group]
        chosen = [" or ".join(sorted({each[name] for each in values if name in each})) for name in names]
        known = dict.fromkeys(one.known for one in group if one.known)
        rows.append([backend, call, *chosen, *(_verdict(group, dtype) for dtype in ("float64", "float32")),
                     ", ".join(known)])  # fmt: skip
    heads = ["framework", "own implementation", *names, "float64", "float32", "known difference"]
    return {"heads": heads, "rows": rows} if rows else {}


def _verdict(group: Sequence[Record], dtype: str) -> str:
    """`EQUAL, r 2.1`, or where it is not equal, how many digits are right."""
    judged = [one for one in group if one.dtype == dtype and one.verdict not in ASIDE]
    if not judged:
        return ""
    worst = min(judged, key=lambda one: WORST_FIRST.index(one.verdict)).verdict
    these = [one for one in judged if one.verdict == worst]
    digits = [one.digits for one in these if one.digits is not None]
    if worst in ("EQUAL", "ROUNDING") or not digits:
        return f"{worst}, r {number(max((one.r or 0.0 for one in these), default=0.0))}"
    right = f"{min(digits):.0f} digits" if min(digits) >= 1.5 else "one digit" if min(digits) >= 0.5 else "no digit"
    return f"{worst}, {right} right at worst"


def chosen_lines(formula: str, records: Sequence[Record]) -> str:
    """The lines in which the frameworks' usual calls never compute the same; calls that have the same lines stand
    together, variants counted."""
    mine = sorted(usual(records), key=lambda one: place(one.backend, ""))
    never = conflicts(native_settings(mine))
    first = dict.fromkeys(one.call for one in mine)
    found: dict[str, list[str]] = {}
    for one in [*mine, *records]:
        if _is_native(one) and one.call not in found:
            knobs = {name: value == "True" if value in ("True", "False") else value
                     for name, value in settings_of(one.case).items() if name in never}  # fmt: skip
            found[one.call] = [resolved(line, knobs) for line in formula.split("\n")]
    differing = [number for number, same in enumerate(zip(*found.values(), strict=True)) if len(set(same)) > 1]
    groups: dict[tuple[str, ...], list[str]] = {}
    for call, lines in found.items():
        groups.setdefault(tuple(lines[n] for n in differing), []).append(call)
    said = [line for lines, calls in groups.items() for line in (f"{_some(calls, first)}:", *(f"  {x}" for x in lines))]
    return "\n".join(said) if differing else ""


def _some(calls: Sequence[str], first: Container[str]) -> str:
    """`torch.optim.Adam, optax.adam and 12 variants`."""
    named = list(calls) if len(calls) <= MOST_NAMED else [call for call in calls if call in first] or list(calls[:1])
    more = len(calls) - len(named)
    return joined(named) if not more else f"{', '.join(named)} and {more} variant{'s' if more > 1 else ''}"


def resolved(line: str, knobs: Mapping[str, bool | str]) -> str:
    """`w = a if place == "in" else b` as it is with these settings; as it was, where they do not decide it."""
    name, equals, text = line.partition(" = ")
    try:
        return name + equals + _decided(text, knobs)
    except (CrossnnError, SyntaxError, KeyError):
        return line


def _decided(text: str, knobs: Mapping[str, bool | str]) -> str:
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.IfExp):
            kept = node.body if knob_condition(text, node.test, dict(knobs)) else node.orelse
            part = ast.get_source_segment(text, kept) or ""
            return _decided(text[: node.col_offset] + part + text[node.end_col_offset :], knobs)
    return text
