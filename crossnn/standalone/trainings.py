"""Standalone files of experiments and studies: the network with its training loop, or an optimizer on an objective.

Generated are the objective with everything that the network does, the update of a parameter, and the evaluation of
what is held out. Data, initial parameters, batches and masks are drawn in the file as crossnn draws them, so that the
loss curve is the same up to rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.experiment.problem import Problem
from crossnn.experiment.study import PARAM, StudyTask
from crossnn.experiment.task import Task
from crossnn.formula.derive import gradients
from crossnn.formula.graph import Graph, leaves
from crossnn.formula.simplify import simplify
from crossnn.standalone.data import check_data, data_library, data_text
from crossnn.standalone.dialect import Dialect, Function
from crossnn.standalone.draft import Draft, literal, quoted
from crossnn.standalone.initial import initial_parameters_text, initial_state_lines
from crossnn.standalone.library import Library, numbers_library
from crossnn.standalone.said import said_of
from crossnn.standalone.updates import schedule_function, update_of

OUTPUT = "Prints one line for each number: its name, such as `loss@3` after epoch 3, and all its digits."


def training_draft(problem: Problem, dialect: Dialect) -> Draft:
    """The standalone file of a training."""
    task = problem if isinstance(problem, Task) else None
    if task is not None:
        check_data(task.row.data)
    update = update_of(problem, dialect)
    functions = [*objective_functions(problem, dialect), *update.functions]
    numbers: dict[str, str] = {} if task is None else {"SEED": str(task.row.seed + task.seed)}
    if problem.rule.schedule is None:
        numbers["LR"] = repr(float(problem.rule.optimizer.hyper["lr"]))
        rate = "LR"
    else:
        functions.append(schedule_function(problem.rule, dialect))
        rate = f"{functions[-1].name}(tensor(float(step)))"
    blocks = [update.text, _train_step(problem, dialect)]
    libraries: tuple[Library, ...] = ()
    packages: tuple[str, ...] = ()
    if task is not None:
        own, main = _experiment(task, dialect, rate)
        functions += own.functions
        blocks += [data_text(task), own.text, main]
        numbers |= own.numbers
        libraries = (numbers_library(), data_library())
        packages = ("scikit-learn",) if task.row.data.startswith("digits") else ()
    else:
        assert isinstance(problem, StudyTask)
        numbers["W"] = literal(problem.params[PARAM])
        blocks.append(_study(problem, rate))
    return Draft(
        f"{problem.row.name} ({problem.row.kind}) in {dialect.title}: a training in float64.", said_of(problem.row),
        dialect, functions, "\n\n\n".join(blocks), numbers, libraries, OUTPUT, packages,
    )  # fmt: skip


def objective_functions(problem: Problem, dialect: Dialect) -> list[Function]:
    """What is minimised; where the framework does not differentiate, with its gradients, by crossnn's own rules."""
    graph = problem.objective
    if dialect.differentiates:
        return [dialect.function(graph, "objective", loops=True)]
    return [dialect.function(with_gradients(graph), "objective_and_gradients")]


def with_gradients(graph: Graph) -> Graph:
    """(params, ...) -> (value, statistics where there are any, gradients by the names of the parameters)."""
    graph = simplify(graph)
    results = graph.result if isinstance(graph.result, tuple) else (graph.result,)
    params = graph.arguments["params"]
    found = gradients(results[0], list(leaves(params)))
    named = dict(zip(params, found, strict=True))
    return Graph(graph.arguments, (*results, named), tuple(results[0].tape))


def _train_step(problem: Problem, dialect: Dialect) -> str:
    layers = ", layers" if problem.layers else ""
    if not dialect.differentiates:
        differentiated = f"objective_and_gradients(params{layers}, data)"
    else:
        found = "value_statistics_and_gradients" if layers else "value_and_gradients"
        differentiated = f"{found}(objective, params{layers}, data)"
    return f"""{dialect.decorator}def train_step(params, state{layers}, data, lr, t):
    loss{layers}, gradients = {differentiated}
    params, state = update(params, gradients, state, lr, t)
    return loss, params, state{layers}"""


@dataclass(frozen=True)
class _Own:
    """What an experiment has besides: functions, text, numbers."""

    functions: list[Function]
    text: str
    numbers: dict[str, str]


def _experiment(task: Task, dialect: Dialect, rate: str) -> tuple[_Own, str]:
    start = initial_parameters_text(task.plan, task.params)
    evaluation = dialect.function(_evaluation(task), "evaluation", loops=True)
    evaluation = dataclasses.replace(evaluation, text=f"{dialect.decorator}{evaluation.text}")
    functions, numbers = [evaluation, *start.functions], {"BATCH": str(task.batch_size)}
    layers = ", layers" if task.layers else ""
    answer: list[str] = []
    if task.ending is not None and task.ending.graph is not None and task.ending.data is not None:
        functions.append(dialect.function(_without_layers(task.ending.graph, bool(task.layers)), "answer"))
        numbers["ASKED"] = literal(task.ending.data["x"])
        answer = [f'show("answer", answer(params{layers}, {{"x": tensor(ASKED)}}))']
    draws = [f"    batch[{quoted(name)}] = tensor({_draw(task, name)})" for name in task.plan.draws]
    evaluate = [
        f"for name, value in evaluation(params{layers}, held_out).items():",
        '    show(f"{name}@{epoch + 1}", value)',
    ]
    step = [
        "for number in range(len(x) // BATCH):",
        "    chosen = order[number * BATCH : (number + 1) * BATCH]",
        '    batch = {"x": tensor(x[chosen]), "t": tensor(t[chosen])}',
        *draws,
        f"    loss, params, state{layers} = train_step(params, state{layers}, batch, {_lr(rate)}, tensor(step + 1.0))",
        "    losses.append(float(loss))",
        "    step += 1",
    ]
    lines = [
        "x, t, held_out_x, held_out_t = data()",
        "start = initial_parameters()",
        "params = {name: tensor(w) for name, w in start.items()}",
        *initial_state_lines(task.rule, task.params),
        *(_layers(task.layers) if layers else []),
        'held_out = {"x": tensor(held_out_x), "t": tensor(held_out_t)}',
    ]
    if task.epochs:
        lines += [
            "step = 0",
            f"for epoch in range({task.epochs}):",
            "    order = np.random.default_rng([SEED, 2, epoch]).permutation(len(x))",
            "    losses = []",
            *(f"    {line}" for line in step),
            '    show(f"loss@{epoch + 1}", np.mean(losses))',
            *(f"    {line}" for line in evaluate),
        ]
    else:
        lines += ["epoch = -1  # nothing is trained: the numbers are given", *evaluate]
    main = "\n".join(["def main():", *(f"    {line}" for line in [*lines, *answer])])
    return _Own(functions, start.text, numbers), main


def _lr(rate: str) -> str:
    return rate if "(" in rate else f"tensor({rate})"


def _layers(layers: Mapping[str, np.ndarray]) -> list[str]:
    """Running statistics before the first step."""
    starts = {name: f"np.full({value.shape}, {float(value.flat[0])!r})" for name, value in layers.items()}
    return ["layers = {", *(f"    {quoted(name)}: tensor({start})," for name, start in starts.items()), "}"]


def _draw(task: Task, name: str) -> str:
    law, shape = task.plan.laws[name], task.plan.draws[name].shape
    if law.keep is not None:
        return f"mask({quoted(name)}, {shape}, {law.keep!r}, step)"
    return f"between({quoted(name)}, {shape}, {law.low!r}, {law.high!r}, step)"


def _evaluation(task: Task) -> Graph:
    """The evaluation, its loss called by its name among the numbers of a training."""
    graph = _without_layers(task.evaluation, bool(task.layers))
    result = {"held_out_loss" if name == "loss" else name: value for name, value in graph.result.items()}
    return dataclasses.replace(graph, result=result)


def _without_layers(graph: Graph, keep: bool) -> Graph:
    """The graph without an argument of running statistics where there are none."""
    arguments: dict[str, Any] = {name: tree for name, tree in graph.arguments.items() if keep or name != "layers"}
    return dataclasses.replace(graph, arguments=arguments)


def _study(problem: StudyTask, rate: str) -> str:
    data = problem.batch(0, 0, problem.order(0))
    arrays = ", ".join(f"{quoted(name)}: tensor({literal(value)})" for name, value in data.items())
    lines = [
        f'start = {{"{PARAM}": np.array(W)}}',
        "params = {name: tensor(w) for name, w in start.items()}",
        *initial_state_lines(problem.rule, problem.params),
        f"data = {{{arrays}}}",
        f"for step in range({problem.epochs}):",
        f"    loss, params, state = train_step(params, state, data, {_lr(rate)}, tensor(step + 1.0))",
        '    show(f"loss@{step + 1}", loss)',
        f'    show(f"{PARAM}@{{step + 1}}", params["{PARAM}"])',
    ]
    return "\n".join(["def main():", *(f"    {line}" for line in lines)])
