"""`crossnn show NAME --picture FILE.svg`: an activation, a schedule, the path of a study, the boundary of a network.

Studies and experiments are trained here, by NumPy alone; `crossnn run NAME` draws all backends into its report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crossnn.catalogue.build import settings
from crossnn.catalogue.rows import Activation, Formulated, Row, Schedule, Trained
from crossnn.catalogue.validate import check_values
from crossnn.errors import CrossnnError, SpecError

FEWEST, MOST = 30.0, 5000.0
COUNTS = ("steps", "warmup", "rise", "period")
"""Steps of a schedule that are drawn: half as many again as the largest of these settings, within these limits."""
KINDS = "activation, schedule, study, experiment"


def write_picture(rows: Sequence[Row], given: Mapping[str, Any], files: Sequence[str], file: str) -> str:
    """The picture of one row as an SVG file; what to tell of it."""
    if len(rows) != 1:
        raise CrossnnError(f"--picture {file}: draws one row, and {len(rows)} were named; name one")
    svg = _picture(rows[0], given, files)
    try:
        Path(file).write_text(svg + "\n", encoding="utf-8")
    except OSError as error:
        raise CrossnnError(f"--picture {file}: cannot be written ({error.strerror}); choose another file") from error
    return f"Picture of {rows[0].name}: {file}"


def _picture(row: Row, given: Mapping[str, Any], files: Sequence[str]) -> str:
    if isinstance(row, Formulated):
        check_values(msgspec.structs.replace(row, params=settings(row, given)[0]))
    if isinstance(row, Activation):
        from crossnn.pictures.activation import activation_picture

        return activation_picture(row, given)
    if isinstance(row, Schedule):
        return _schedule(row, given)
    if isinstance(row, Trained):
        return _trained(row, given, files)
    raise SpecError(f"{row.name} ({row.kind}) has no picture; kinds that have: {KINDS}; --graph draws what it computes")


def _schedule(row: Schedule, given: Mapping[str, Any]) -> str:
    """The learning rate of every step, as far as it changes."""
    import numpy as np

    from crossnn.catalogue.updates import learning_rates
    from crossnn.report.chart import line_chart

    hyper, knobs = settings(row, given)
    steps = int(min(max([FEWEST, *(1.5 * hyper[name] for name in COUNTS if name in hyper)]), MOST))
    rates = np.asarray(learning_rates(row, np.arange(float(steps)), hyper, knobs), np.float64)
    return line_chart({(row.name, ""): rates.tolist()}, across="step", up="learning rate", logarithmic=False)


def _trained(row: Trained, given: Mapping[str, Any], files: Sequence[str]) -> str:
    """The path or the boundary, else the loss curve."""
    from crossnn.catalogue.load import load_catalogue
    from crossnn.experiment.plane import survey_of
    from crossnn.pictures.trained import boundaries_picture, paths_picture
    from crossnn.report.chart import line_chart
    from crossnn.runs.cell import ORACLE, Cell, Training
    from crossnn.training.loop import numbers
    from crossnn.training.reference import about_of
    from crossnn.training.train import problem_of, train

    if given:
        raise SpecError(
            f"{row.name}: --knob sets formulas; {row.kind} {row.name} is trained as its row says: leave it out"
        )
    (found,) = train(Cell(task="train", spec=row.name, backend="numpy", mode="compiled", files=tuple(files)))
    if not isinstance(found, Training):
        raise CrossnnError(f"{row.name} cannot be trained here: {found.message}")
    problem = problem_of(row, load_catalogue(files), 0)
    one = msgspec.structs.replace(found, about=about_of(problem, survey_of(problem)))
    group = [one]
    if one.about and one.about.study and problem.ending and problem.ending.truth is not None:
        group.append(msgspec.structs.replace(one, backend=ORACLE, ending=numbers(problem.ending.truth)))
    for draw in (paths_picture, boundaries_picture):
        svg, _ = draw({row.name: group}, row.name)
        if svg:
            return svg
    svg = line_chart({("numpy", "compiled"): one.loss}, across="step or epoch", up=f"training loss of {row.name}")
    if not svg:
        raise CrossnnError(f"{row.name} takes no step, or its loss is no finite number: nothing to draw")
    return svg
