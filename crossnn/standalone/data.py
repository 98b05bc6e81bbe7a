"""The data of an experiment as code: the set as crossnn draws it, then split, encoded and shuffled as crossnn does.

The functions that draw a set are taken from crossnn/experiment/*.py as they stand there; what they are asked (a seed)
and what they hand over (inputs and targets) is all that is rewritten.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache, partial

from crossnn.errors import SpecError
from crossnn.experiment import digits, sequences, synthetic
from crossnn.experiment.samples import Request
from crossnn.experiment.task import Task
from crossnn.standalone.library import Library, library

DRAWN = {name: source for name, source in {**synthetic.SETS, **sequences.SETS}.items() if name != "random_images"}
SAMPLES = 'Samples = collections.namedtuple("Samples", "x t")'


class _Alone(ast.NodeTransformer):
    """`request.seed` becomes SEED; samples are inputs and targets alone; types and the request are left out."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.args.args = [ast.arg(one.arg) for one in node.args.args if one.arg != "request"]
        node.returns = None
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Attribute(value=ast.Name(id="request"), attr="seed"):
                return ast.Name("SEED", ast.Load())
            case ast.Attribute(value=ast.Name(id="request"), attr=attribute):
                raise SpecError(f"standalone code: this data set depends on the {attribute} that is asked for")
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        node.args = [one for one in node.args if not (isinstance(one, ast.Name) and one.id == "request")]
        if isinstance(node.func, ast.Name) and node.func.id == "Samples":
            node.args, node.keywords = node.args[:2], []
        return node


@cache
def _drawn() -> Library:
    """The functions that draw data sets, without types."""
    texts = ["import collections", "import numpy as np", SAMPLES]
    for module in (synthetic, sequences):
        for node in ast.parse(inspect.getsource(module)).body:
            named = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if isinstance(node, ast.FunctionDef) and node.name != "random_images":
                texts.append(ast.unparse(ast.fix_missing_locations(_Alone().visit(node))))
            elif named or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper()):
                texts.append(ast.unparse(node))
    return library("\n".join(texts))


def data_library() -> Library:
    """What the texts of data sets need."""
    return _drawn()


def data_text(task: Task) -> str:
    """`data()`: inputs and targets to train on, and those that are held out."""
    row, found = task.row, task.data
    call = _call(row.data)
    source = DRAWN.get(row.data, digits.SETS.get(row.data))
    assert source is not None
    whole = source(Request(row.seed + task.seed, tuple(task.network.input), task.network.tokens, row.samples))
    train = len(whole.x) - whole.test
    kept = min(row.samples or train, train)
    shape = tuple(found.x.shape[1:])
    lines = [f"x, t = {call}"]
    if whole.x.shape[1:] != shape:
        lines.append(f"x = x.reshape(-1, {', '.join(map(str, shape))})")
    lines += _targets(task, whole.classes)
    lines.append(f"order = np.random.default_rng([SEED, 1]).permutation({kept})")
    cut = len(found.x)
    rest = f"slice({train}, None)" if whole.test else f"order[{cut}:]"
    lines.append(f"trained, held_out = order[:{cut}], {rest}")
    if row.normalise:
        lines += [
            "x, held_out_x = standardised(x[trained], x[held_out])",
            "return x, t[trained], held_out_x, t[held_out]",
        ]
    else:
        lines.append("return x[trained], t[trained], x[held_out], t[held_out]")
    said = f'"""Inputs and targets of {cut} samples to train on, and of {len(found.held_out_x)} that are held out."""'
    return "\n".join(["def data():", *(f"    {line}" for line in (said, *lines))])


def check_data(data: str) -> None:
    """Refuse a set that is read from the user's files, or made for the network that asks for it."""
    if data not in DRAWN and data not in digits.SETS:
        raise SpecError(
            f"standalone code cannot have the data {data!r}: they are read from files, or drawn for a network; it has "
            "what crossnn draws from a seed, and the digits of scikit-learn"
        )


def _call(data: str) -> str:
    """The call of the function that draws a data set, or reads it."""
    source = DRAWN.get(data)
    if isinstance(source, partial):
        return f"{source.func.__name__}({', '.join(map(repr, source.args))})"
    return f"{getattr(source, '__name__', data)}()"


def _targets(task: Task, classes: int) -> list[str]:
    """Class labels in the form that the loss takes."""
    target = task.loss.target
    if not classes or target == "label":
        return []
    if target == "sign":
        return ["t = (2.0*t - 1)[..., None]"]
    if target in ("binary", "probability") or (target == "real" and classes == 2):
        return ["t = t.astype(float)[..., None]"]
    return [f"t = np.eye({classes})[t]"]
