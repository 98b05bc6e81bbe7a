"""Causes that show when one place of a port's source is edited, as the tables of edits propose.

The edited function is compiled and called in memory (sources.py). No file is changed. `causes=False` turns all of this
off.
"""

from __future__ import annotations

import ast
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from crossnn.causes.edits import OPERANDS, TELLING, Table, edits
from crossnn.causes.idioms import IDIOMS
from crossnn.causes.names import Site, meaning, named
from crossnn.causes.order import ORDER
from crossnn.causes.rewrites import REWRITES
from crossnn.causes.source_places import Definition, applied, parents_of
from crossnn.causes.sources import PORT, Source, constants, sides
from crossnn.causes.suspect import Suspect, Trial


def idioms(suspect: Suspect) -> Iterator[Trial]:
    """Mistakes with a name of their own."""
    yield from _edited(suspect, IDIOMS)


def edited(suspect: Suspect) -> Iterator[Trial]:
    yield from _edited(suspect, TELLING, quick=False, seconds=5.0)


def rewritten(suspect: Suspect) -> Iterator[Trial]:
    """Calls, operands, comparisons and axes that are others."""
    yield from _edited(suspect, REWRITES)


def reordered(suspect: Suspect) -> Iterator[Trial]:
    """Names and statements that are others, or in another order."""
    yield from _edited(suspect, ORDER)


def left_out(suspect: Suspect) -> Iterator[Trial]:
    """Factors that one has and the other has not; last, as this also mends what only has too few digits."""
    yield from _edited(suspect, OPERANDS)


def _edited(suspect: Suspect, tables: Sequence[Table], quick: bool = True, seconds: float = 2.0) -> Iterator[Trial]:
    """The source of the port first, then that of the reference; each for so many seconds."""
    for source, other, begins, holds in sides(suspect, quick):
        known, began = constants(other), time.process_time()
        for number, tree in enumerate(source.trees):
            nodes, parents = list(ast.walk(tree)), parents_of(tree)
            for edit in edits(tree, known, tables):
                if time.process_time() - began > seconds:
                    break
                changed = copy.deepcopy(tree)
                before, after, line = applied(changed, edit)
                if before == after:
                    continue
                places = f" (and {len(edit.also)} more)" if edit.also else ""
                where = f"line {source.lines[number] + line - 1}{places} of {tree.name}"
                says = f"{begins} when {where} reads `{after}` instead of `{before}`"
                site = Site(nodes[edit.node], edit.new(nodes[edit.node]), parents, begins == PORT)
                yield Trial(
                    named(edit.cause, site),
                    says + meaning(edit.cause, site),
                    partial(_tried, source, number, changed, holds),
                )


def _tried(source: Source, number: int, changed: Definition, holds: Callable[..., bool]) -> bool:
    return holds({}, source.built(number, changed))
