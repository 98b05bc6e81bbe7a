"""Numbers that somebody would write in a program, near one that was found by fitting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from crossnn.causes.suspect import Suspect
from crossnn.ports.port import is_array


class Nice:
    """Numbers that are written in programs: decimals of few digits, ratios, roots, those of the other source."""

    def __init__(self, suspect: Suspect, known: Sequence[float]) -> None:
        lengths = {length for one in suspect.values.values() if is_array(one) for length in one.shape}
        shapes = [one.shape for one in suspect.values.values() if is_array(one)]
        lengths |= {math.prod(part) for shape in shapes for count in (2, 3) for part in
                    itertools.combinations(shape, count)}  # fmt: skip
        lengths |= {math.isqrt(one) for one in lengths} | {one // 2 for one in lengths} | {one // 4 for one in lengths}
        counts = sorted(one for one in lengths if one > 1)
        found = [*known, *(1 - one for one in known), *(one * one for one in known)]
        for one in counts:
            found += [one, 1 / one, math.sqrt(one), 1 / math.sqrt(one), one - 1, 1 / (one - 1), (one - 1) / one,
                      one / (one - 1), math.sqrt((one - 1) / one), math.sqrt(one / (one - 1))]  # fmt: skip
        found += [top / under for under in range(1, 13) for top in range(1, 25)]
        found += [math.pi, math.e, math.log(2), 1 / math.log(2), math.sqrt(2), math.sqrt(2 / math.pi), math.sqrt(0.5),
                  1.702, 0.044715, 1.0507009873554805, 1.6732632423543772, 2 * math.pi, math.log(10)]  # fmt: skip
        name = suspect.departing
        self.many = name is not None and suspect.actual is not None and suspect.actual[name].size > 3
        self.found = sorted({sign * one for one in found for sign in (1, -1)} | {0.0})

    def near(self, value: float, start: float, width: float) -> Iterator[float]:
        close = [one for one in self.found if abs(one - value) <= width]
        close += [start * one for one in (2, 0.5, -1, 4, 0.25, 10, 0.1, 1e3, 1e-3) if abs(start * one - value) <= width]
        if value:
            close += [float(f"{value:.{digits}g}") for digits in (1, 2, 3, 4, 6)]
        if self.many:
            close.append(value)
        yield from dict.fromkeys(one for one in close[:12] if abs(one - value) <= max(width, 1e-2 * abs(value)))
