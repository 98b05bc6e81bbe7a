"""Steps L7 to L9 as they are shown: errors, rewritten numbers, decisions that the data makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.formula.oracle import exact
from crossnn.lesson import verdicts
from crossnn.lesson.page import Cell, Html, code, details, heading, prose, side_by_side, table
from crossnn.lesson.programs import EXPRESSIONS, Expression, expression_graph
from crossnn.lesson.texts import Texts
from crossnn.lesson.verdicts import Verdict

ByDtype = Mapping[str, Mapping[str, Any]]
Shown = tuple[Verdict, list[Html]]

COLOURS = {"traceback": "good", "message": "known", "nowhere": "bad", "silent": "bad"}


def error_location(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    bugs = list(dict.fromkeys(name for _, one in verdicts.present(found) for name in one["bugs"]))
    rows: list[list[str | Cell]] = []
    said: list[Html] = []
    for backend, one in verdicts.present(found):
        for mode in next(iter(one["bugs"].values()))["modes"]:
            cells: list[str | Cell] = []
            for name in bugs:
                outcome = one["bugs"][name]["modes"][mode]
                cells.append(_outcome(say, name, outcome))
                if "error" in outcome:
                    frames = say("L7.frames", number=outcome["frames"])
                    said.append(prose(f"`{backend} {mode}`, {say(f'L7.{name}')}: `{outcome['error']}` ({frames})"))
            rows.append([f"{backend} {mode}", *cells])
    codes = [(f"{say(f'L7.{name}')} ({backend})", code(_marked(bug["code"], bug["line"])))
             for backend, one in list(verdicts.present(found))[:1] for name, bug in one["bugs"].items()]  # fmt: skip
    headers = [say("ui.engine"), *(say(f"L7.{name}") for name in bugs)]
    return verdicts.harder_to_find(found), [
        side_by_side(codes),
        table(headers, rows),
        prose(say("L7.legend")),
        details(say("L7.messages"), *said),
    ]


def _outcome(say: Texts, name: str, outcome: Mapping[str, Any]) -> Cell:
    kind = outcome["outcome"]
    if kind == "silent" and name == "branch":
        return Cell(say("L7.works", result=outcome["result"]), "good")
    if kind == "silent":
        return Cell(say("L7.silent", result=outcome["result"]), "bad")
    return Cell(say(f"L7.{kind}"), COLOURS[kind])


def _marked(text: str, line: int) -> str:
    lines = text.splitlines()
    lines[line - 1] += "    # <--"
    return "\n".join(lines)


def short(text: str) -> str:
    """A number with six digits; what JSON has no number for comes as text."""
    return f"{float(text):.6g}"


def truth_of(one: Expression) -> np.ndarray:
    """The value to many digits."""
    found: np.ndarray = np.ravel(exact(expression_graph(one), {"x": np.array(one.x)})[0].hi)
    return found


def six_digits(values: np.ndarray) -> str:
    return ", ".join(f"{float(value):.6g}" for value in values)


def rewritten(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    engines = [(backend, mode) for backend, one in verdicts.present(found) for mode in one["modes"]]
    rows: list[list[str | Cell]] = []
    for number, one in enumerate(EXPRESSIONS):
        cells: list[str | Cell] = []
        for backend, mode in engines:
            modes = found[backend]["modes"]
            value, plain = modes[mode][number], next(iter(modes.values()))[number]
            if "absent" in value:
                cells.append(Cell("-", "absent"))
                continue
            text = ", ".join(map(short, value["value"]))
            differs = "absent" not in plain and value["value"] != plain["value"]
            cells.append(Cell(f"{text} ≠", "known") if differs else text)
        at = ", ".join(f"{x:g}" for x in one.x)
        rows.append([f"`{one.formula}`, x = {at}", six_digits(truth_of(one)), *cells])
    headers = [say("L8.expression"), say("L8.truth"), *(f"{backend} {mode}" for backend, mode in engines)]
    formulas = [f"{one.formula} (x = {', '.join(f'{x:g}' for x in one.x)})" for one in EXPRESSIONS]
    nearer, farther = _compared(found)
    counted = prose(say("L8.compared", nearer=nearer, farther=farther))
    return verdicts.same_numbers(found, formulas), [table(headers, rows), prose(say("L8.legend")), counted]


def _compared(found: Mapping[str, Any]) -> tuple[int, int]:
    """How many of the differing numbers are nearer to the truth than eager ones, and how many farther."""
    nearer = farther = 0
    truths = [truth_of(one) for one in EXPRESSIONS]
    for _, one in verdicts.present(found):
        plain = next(iter(one["modes"].values()))
        for values in list(one["modes"].values())[1:]:
            for truth, value, other in zip(truths, values, plain, strict=True):
                if "absent" in value or "absent" in other or value["value"] == other["value"]:
                    continue
                here, there = (_distance(each["value"], truth) for each in (value, other))
                nearer += here < there
                farther += here > there
    return nearer, farther


def _distance(texts: list[str], truth: np.ndarray) -> float:
    value = np.array([float(text) for text in texts])
    with np.errstate(all="ignore"):
        gap = np.where((value == truth) | (np.isnan(value) & np.isnan(truth)), 0.0, np.abs(value - truth))
    return float(np.max(np.where(np.isnan(gap), np.inf, gap)))


def branching(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    programs = list(dict.fromkeys(name for _, one in verdicts.present(found) for name in one["programs"]))
    rows: list[list[str | Cell]] = []
    ways: list[list[str | Cell]] = []
    codes: list[tuple[str, Html]] = []
    for backend, one in verdicts.present(found):
        for mode in next(iter(one["programs"].values()))["modes"]:
            cells: list[str | Cell] = []
            for name in programs:
                outcome = one["programs"][name]["modes"][mode]
                if "absent" in outcome:
                    cells.append(Cell(say("L9.refused", why=f"`{outcome['absent']}`"), "bad"))
                else:
                    made = "" if outcome["graphs"] is None else f"; {say('L9.graphs', number=outcome['graphs'])}"
                    word = say("L9.right" if outcome["right"] else "L9.wrong")
                    cells.append(Cell(f"{word}{made}", "good" if outcome["right"] else "bad"))
            rows.append([f"{backend} {mode}", *cells])
        for way in one["ways"]:
            values = ", ".join(f"{value:g}" for value in way["values"])
            ways.append([f"{backend}: `{way['way']}`", values, ", ".join(way["inside"]) or "-", way["note"] or "-"])
            codes.append((f"{backend}: {way['way']}", code(way["code"])))
    first = next(verdicts.present(found), None)
    texts = [(name, code(program["code"])) for name, program in first[1]["programs"].items()] if first else []
    return verdicts.cannot_follow_data(found), [
        side_by_side(texts),
        table([say("ui.engine"), *(f"`{name}`" for name in programs)], rows),
        heading(3, say("L9.own_ways")),
        table([say("L9.way"), say("L9.values"), say("L9.inside"), say("L9.note")], ways),
        details(say("L9.code"), side_by_side(codes)),
    ]
