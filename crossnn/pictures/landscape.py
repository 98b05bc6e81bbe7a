"""The objective of a study over the plane of its two parameters: what a path walks down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Study
from crossnn.catalogue.trained import check_study
from crossnn.errors import CrossnnError
from crossnn.experiment.study import PARAM, StudyTask
from crossnn.formula.evaluate import walk
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.numpy_runs import compute


def study_of(row: Mapping[str, Any]) -> Study | None:
    """The study as a run recorded it; None where it has not two parameters, or where this version cannot read it."""
    try:
        study = msgspec.convert(row, Study)
        check_study(study)
        return study if np.shape(study.start) == (2,) and _graph(study) else None
    except (msgspec.ValidationError, CrossnnError, ValueError):
        return None


def heights(study: Study, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The objective at every pair of x and y: a row for each y. All points are computed at once, as runs."""
    across, up = np.meshgrid(x, y)
    w = np.stack([across.ravel(), up.ravel()], axis=1)
    data = {name: np.array(value, np.float64)[None] for name, value in study.data.items()}

    def number(node: Node) -> np.ndarray:
        return np.array([node.options["value"]])

    def run(node: Node, inputs: list[np.ndarray]) -> np.ndarray:
        return compute(node, node.operation, inputs)

    with np.errstate(all="ignore"):
        found = walk(_graph(study), {"w": w, "data": data}, number, run)
    return np.broadcast_to(np.asarray(found, np.float64), across.size).reshape(across.shape).copy()


def height(study: Study, point: tuple[float, float]) -> float:
    return float(heights(study, np.array(point[:1]), np.array(point[1:]))[0, 0])


def _graph(study: Study) -> Graph:
    """(w, data) -> the objective."""
    task = StudyTask(study, Catalogue({}), 0)

    def function(w: Node, data: Mapping[str, Node]) -> Node:
        return task.record_objective({PARAM: w}, {}, data)[0]

    return Graph.trace(function, {"w": (2,), "data": map_tree(shape_of, task.batch(0, 0, task.order(0)))})
