"""From the records of a run to its pictures: paths of studies, boundaries of networks of two inputs.

Of every backend one mode is drawn, that which is furthest from the reference: where it lies on the others, all do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossnn.pictures.boundary import Answers, boundaries
from crossnn.pictures.landscape import study_of
from crossnn.pictures.panels import Square
from crossnn.pictures.plot import STYLES, Point
from crossnn.pictures.trajectory import Walk, trajectories
from crossnn.runs.cell import ORACLE, About, Numbers, Training

MOST_PANELS = 12
Groups = Mapping[str, Sequence[Training]]


def paths_picture(groups: Groups, title: str) -> tuple[str, str]:
    """The paths of these studies, and a caption; empty where none was recorded."""
    walks = [walk for spec, group in groups.items() if (walk := _walk(spec, group))]
    shown = walks[:MOST_PANELS]
    exact = {walk.exact for walk in shown}
    truth = "closed form or reference" if len(exact) > 1 else "closed form" if True in exact else "reference"
    caption = f"{title}: the path of every backend; circles: {truth}{_left_out(walks)}"
    return trajectories(shown, title, _columns(groups, len(shown))), caption


def boundaries_picture(groups: Groups, title: str) -> tuple[str, str]:
    """Where these networks decide, and a caption; empty where none was asked."""
    found = [one for spec, group in groups.items() if (one := _answers(spec, group))]
    caption = f"{title}: where every backend's trained network decides, over the reference's answers{_left_out(found)}"
    return boundaries(found[:MOST_PANELS], title), caption


def _left_out(found: Sequence[object]) -> str:
    return f"; the first {MOST_PANELS} of {len(found)}" if len(found) > MOST_PANELS else ""


def _columns(groups: Groups, count: int) -> int:
    """As many as the last setting of a family has values, so that each has a column of its own."""
    every = [about for group in groups.values() if (about := _about(group)).varied]
    if not every or len(every) != count or len(every[0].varied) < 2:
        return 0
    return len({tuple(one.varied.values())[-1] for one in every})


def _about(group: Sequence[Training]) -> About:
    return next((one.about for one in group if one.about is not None), About())


def _shown(group: Sequence[Training]) -> tuple[Training | None, list[Training]]:
    """The reference of the first seed, and the training of each backend that is furthest from it; in float64, where
    that was trained."""
    seed = min(one.seed for one in group)
    same = [one for one in group if one.seed == seed]
    reference = next((one for one in same if one.backend == ORACLE), None)
    others = [one for one in same if one.backend != ORACLE]
    dtype = "float64" if any(one.dtype == "float64" for one in others) else others[0].dtype if others else ""
    found: dict[str, Training] = {}
    for one in others:
        known = found.get(one.backend)
        if one.dtype == dtype and (known is None or (one.curve_r or 0.0) > (known.curve_r or 0.0)):
            found[one.backend] = one
    order = list(STYLES)
    ours = sorted((one for name, one in found.items() if name in order), key=lambda one: order.index(one.backend))
    return reference, [*ours, *(one for name, one in found.items() if name not in order)]


def _walk(spec: str, group: Sequence[Training]) -> Walk | None:
    about = _about(group)
    study = study_of(about.study) if about.study else None
    if study is None:
        return None
    reference, others = _shown(group)
    paths = {(one.backend, one.mode): _points(one.ending) for one in others if len(one.ending) == 2 * study.steps}
    truth = _points(reference.ending) if reference and len(reference.ending) == 2 * study.steps else []
    return Walk(spec, study, paths, truth, bool(study.closed_form)) if paths or truth else None


def _points(ending: Numbers) -> list[Point | None]:
    pairs = zip(ending[::2], ending[1::2], strict=True)
    return [None if x is None or y is None else (x, y) for x, y in pairs]


def _answers(spec: str, group: Sequence[Training]) -> Answers | None:
    plane = _about(group).plane
    if plane is None or not plane.half > 0:
        return None
    reference, others = _shown(group)

    def grid(one: Training) -> np.ndarray | None:
        values = np.array([np.nan if value is None else value for value in one.surface])
        return values.reshape(plane.side, plane.side) if values.size == plane.side**2 > 1 else None

    backends = {(one.backend, one.mode): values for one in others if (values := grid(one)) is not None}
    truth = grid(reference) if reference else None
    if truth is None and not backends:
        return None
    samples = [(x, y, bool(yes)) for x, y, yes in plane.samples]
    return Answers(spec, Square(plane.x, plane.y, plane.half), plane.level, truth, backends, samples)
