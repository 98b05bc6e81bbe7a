"""Whether the rows of a user's file can be recorded at all: found before any backend is started.

Recording needs shapes and names only. What fails here (an unknown name, shapes that do not fit, an experiment without
a full batch) would fail on every backend alike, so it is a fault of the file and no finding about a backend.
"""

from __future__ import annotations

from collections.abc import Iterable

from crossnn.catalogue.build import formula_graph, knob_choices, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, assemble, check_weights, record_layer
from crossnn.catalogue.rows import (
    VARIABLES,
    Activation,
    Constraint,
    Experiment,
    Formulated,
    Initializer,
    Layer,
    Loss,
    Network,
    Optimizer,
    Row,
    Study,
)
from crossnn.catalogue.updates import initial_state, slot_shape, update_graph
from crossnn.errors import CrossnnError, MissingDataError, SpecError, UnknownNameError, choices, unknown
from crossnn.formula.graph import Node, shape_of, topological

SIZE = 4


def refuse_unbuildable(rows: Iterable[Row], catalogue: Catalogue) -> None:
    """Record each row once, in all its conventions; SpecError names the first that cannot be."""
    for row in rows:
        try:
            _build(row, catalogue)
        except CrossnnError as error:
            where = f"{row.file}: [{row.name}]"
            text = str(error)
            raise SpecError(text if text.startswith(where) else f"{where}: {text}") from None


def _build(row: Row, catalogue: Catalogue) -> None:
    match row:
        case Formulated():
            _formulated(row)
        case Layer():
            _layer(row, catalogue)
        case Optimizer():
            _optimizer(row)
        case Network():
            for training in (True, False):
                x = Node([], "input", shape=(SIZE, *row.input), name="x")
                check_weights(assemble(row, catalogue, x, training=training))
        case Experiment():
            _experiment(row, catalogue)
        case Study():
            _study(row, catalogue)


def _formulated(row: Formulated) -> None:
    from crossnn.parity.functions import function_subjects

    for subject in function_subjects(row, 0):
        value = subject.forward.result.get("value")
        if isinstance(row, Activation) and value is not None:
            shape = subject.params["x"].shape
            same = value.shape[:-1] == shape[:-1] if row.acts_on == "vector" else value.shape == shape
            if not same or len(value.shape) != len(shape):
                kept = "every axis but the last" if row.acts_on == "vector" else "the shape"
                raise SpecError(f"formula: turns shape {shape} into {value.shape}; an activation keeps {kept}")
        if isinstance(row, Constraint) and value.shape != subject.data["w"].shape:
            before = subject.data["w"].shape
            raise SpecError(
                f"formula: turns shape {before} into {value.shape}; a constraint keeps that of its parameter"
            )
        if row.derivative:
            given = {k: v for k, v in subject.settings.items() if k in row.params or k in row.knobs}
            hyper, knobs = settings(row, given)
            arrays = {**subject.data, **subject.params}
            shapes = {name: shape_of(arrays[name]) for name in (*VARIABLES[row.kind], *_inputs(row)) if name in arrays}
            formula_graph(row, shapes, hyper, knobs, row.derivative)


def _inputs(row: Formulated) -> list[str]:
    return list(row.inputs) if isinstance(row, Loss) else []


def _layer(row: Layer, catalogue: Catalogue) -> None:
    from crossnn.parity.layers import layer_subjects

    for subject in layer_subjects(row, 0):
        options = {key: value for key, value in subject.settings.items() if key in row.options or key in row.knobs}
        assembly = Assembly([], training=False)
        given = {**subject.params, **subject.data}
        for name in row.inputs:
            assembly.outputs[name] = Node(
                assembly.tape, "input", shape=given[name].shape, name=name,
                dtype="index" if name in row.domains else "float",
            )  # fmt: skip
        output = record_layer(assembly, None, row, "", {**options, "inputs": row.inputs})
        if not {id(assembly.outputs[name]) for name in row.inputs} & {id(node) for node in topological([output])}:
            raise SpecError(f"formula: what comes out depends on none of the inputs {choices(row.inputs)}")
    for slot, parameter in row.params.items():
        known = [one.name for one in catalogue.of_kind("initializer")]
        if not isinstance(catalogue.rows.get(parameter.initializer), Initializer):
            raise UnknownNameError(f"params.{slot}: {unknown('initializer', parameter.initializer, known)}")


def _optimizer(row: Optimizer) -> None:
    hyper, _ = settings(row, {})
    initial_state(row, hyper, {})
    for case in row.cases:
        settings(row, case)
    for shape in ((SIZE,), (SIZE, 3)):
        right = {"w": shape, **{slot: slot_shape(row, slot, shape) for slot in row.state}}
        for knobs in knob_choices(row):
            params, state = update_graph(row, {"w": shape}, hyper, knobs).result
            for name, value in [("w", params["w"]), *((slot, state[slot]["w"]) for slot in row.state)]:
                if value.shape not in (right[name], () if name in row.state else shape):
                    raise SpecError(
                        f"update: {name} has shape {value.shape} after a step on parameters of shape {shape}; "
                        f"{right[name]} is right"
                    )


def _experiment(row: Experiment, catalogue: Catalogue) -> None:
    from crossnn.experiment.task import Task

    task = Task(row, catalogue, 0)
    try:
        samples = len(task.data.x)
    except MissingDataError:
        return  # then it is not run, which is no fault of the file
    if not samples or task.batches < 1 or not len(task.data.held_out_x):
        raise SpecError(
            f"batch_size = {row.batch_size}, held_out = {row.held_out}: data {row.data!r} then has {samples} samples "
            f"to train on and {len(task.data.held_out_x)} held out; at least one batch and one sample are needed"
        )
    prediction, target = task.plan.prediction.shape[1:], task.data.t.shape[1:]
    labels = task.data.t.dtype.kind in "iu"
    if labels:  # the prediction has a number for each class
        *first, classes = prediction or (0,)
        prediction = tuple(first)
        if task.data.t.max() >= classes:
            raise SpecError(
                f"network {row.network!r} predicts {classes} class(es); labels of {row.data!r} go up to "
                f"{task.data.t.max()}"
            )
    if prediction != target:
        raise SpecError(
            f"network {row.network!r} predicts shape {task.plan.prediction.shape[1:]}; targets of {row.data!r} have "
            f"{target}{' (labels)' if labels else ''}"
        )
    slots = {path.rsplit(".", 1)[-1] for path in task.plan.params}
    for key, tables in (("regularizers", row.regularizers), ("constraints", row.constraints)):
        for table in tables:
            if table["on"] not in slots:
                raise SpecError(f"{key}: on = {table['on']!r} is no parameter of {row.network!r}: {choices(slots)}")
    _ = task.step, task.evaluation, task.rates, task.ending


def _study(row: Study, catalogue: Catalogue) -> None:
    from crossnn.experiment.study import StudyTask

    task = StudyTask(row, catalogue, 0)
    _ = task.step, task.rates, task.ending
