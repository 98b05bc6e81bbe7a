"""What a specification may say: one frozen structure a kind, validated when it is read.

The fields *are* the schema; `load.py` turns a violation into a message that names file, table, key and what is
allowed. Formulas stay text here and are parsed by `check_formulas` at loading time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import msgspec

from crossnn.errors import FormulaError
from crossnn.formula.grammar import Formula, parse, parse_assignment

Domain = Literal["real", "probability", "simplex", "binary", "one_hot"]
KnobChoice = bool | list[str]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every specification has. `name`, `file` and `sha` are filled in by the loader."""

    name: str = ""
    file: str = ""
    sha: str = ""
    source: str = ""

    kind: ClassVar[str] = ""

    @property
    def summary(self) -> str:
        return ""

    def texts(self) -> list[tuple[str, str]]:
        """Every formula of this row as (key, text)."""
        return []


class Formulated(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A row with one formula, hyper-parameters and knobs."""

    formula: str
    definition: str = ""
    derivative: str = ""
    let: list[str] = []
    params: dict[str, float] = {}
    knobs: dict[str, KnobChoice] = {}
    points: list[float] = []
    kinks: list[float] = []
    acts_on: Literal["element", "vector"] = "element"

    @property
    def summary(self) -> str:
        return self.definition or self.formula

    def texts(self) -> list[tuple[str, str]]:
        single = [("definition", self.definition), ("formula", self.formula), ("derivative", self.derivative)]
        return [(key, text) for key, text in single if text or key == "formula"]

    def lets(self) -> list[Formula]:
        return [parse_assignment(line) for line in self.let]


class Activation(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="activation"):
    """f(x), element by element or over the last axis."""

    kind: ClassVar[str] = "activation"


class Loss(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="loss"):
    """One number a sample (or an element) from prediction y and target t; kinks are values of y - t."""

    kind: ClassVar[str] = "loss"
    prediction: Domain = "real"
    target: Domain = "real"


class Metric(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="metric"):
    """One number from predictions y and targets t, never differentiated."""

    kind: ClassVar[str] = "metric"
    prediction: Domain = "real"
    target: Domain = "real"


class Regularizer(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="regularizer"):
    """One number from a parameter w."""

    kind: ClassVar[str] = "regularizer"


class Initializer(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="initializer"):
    """A parameter from uniform draws u, normal draws z, fan_in and fan_out."""

    kind: ClassVar[str] = "initializer"


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A learned tensor of a layer. `when` names a knob without which it does not exist."""

    shape: list[str]
    initializer: str
    when: str = ""


class Layer(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="layer"):
    """A formula of inputs and parameters; see layers.toml."""

    kind: ClassVar[str] = "layer"
    formula: str
    inference: str = ""
    input: list[str] = []
    inputs: list[str] = msgspec.field(default_factory=lambda: ["x"])
    params: dict[str, Parameter] = {}
    options: dict[str, float] = {}
    knobs: dict[str, KnobChoice] = {}
    draws: dict[str, str] = {}

    @property
    def summary(self) -> str:
        return self.formula

    def texts(self) -> list[tuple[str, str]]:
        return [("formula", self.formula), *([("inference", self.inference)] if self.inference else [])]


class Optimizer(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="optimizer"):
    """Update lines for parameter w, in order; a name that is neither w nor a state slot is a temporary."""

    kind: ClassVar[str] = "optimizer"
    update: list[str]
    params: dict[str, float]
    knobs: dict[str, KnobChoice] = {}
    state: dict[str, float | str] = {}

    @property
    def summary(self) -> str:
        return "; ".join(self.update)

    def lines(self) -> list[Formula]:
        return [parse_assignment(line) for line in self.update]


class Network(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="network"):
    """Layers in order; `input` is the shape of one sample."""

    kind: ClassVar[str] = "network"
    input: list[int]
    layers: list[dict[str, str | float | bool | list[str]]]

    @property
    def summary(self) -> str:
        return " > ".join(str(layer.get("name", layer.get("layer", "?"))) for layer in self.layers)


class Experiment(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="experiment"):
    """A training run: everything that must be equal for two backends to train the same network."""

    kind: ClassVar[str] = "experiment"
    data: str
    network: str
    loss: str
    optimizer: dict[str, str | float | bool]
    batch_size: int
    epochs: int
    metrics: list[str] = []
    regularizers: list[dict[str, str | float | bool]] = []
    seed: int = 0
    held_out: float = 0.2

    @property
    def summary(self) -> str:
        return f"{self.network} on {self.data}, {self.loss}, {self.optimizer.get('use', '?')}"


AnyRow = (
    Activation | Loss | Metric | Regularizer | Initializer | Layer | Optimizer | Network | Experiment
)  # fmt: skip
KINDS = ("activation", "loss", "regularizer", "initializer", "metric", "layer", "optimizer", "network", "experiment")


VARIABLES: Mapping[str, tuple[str, ...]] = {
    "activation": ("x",),
    "loss": ("y", "t"),
    "metric": ("y", "t"),
    "regularizer": ("w",),
    "initializer": ("u", "z", "fan_in", "fan_out"),
}
"""The variables that formulas of a kind may use; the first is differentiated."""


def check_formulas(row: Row) -> None:
    """Parse every formula of a row once, and see that an optimizer moves w; raises FormulaError naming the key."""
    for key, text in row.texts():
        _named(key, parse, text)
    assignments = row.let if isinstance(row, Formulated) else row.update if isinstance(row, Optimizer) else []
    for number, line in enumerate(assignments, 1):
        _named(f"{'update' if isinstance(row, Optimizer) else 'let'} line {number}", parse_assignment, line)
    if isinstance(row, Optimizer):
        if "lr" not in row.params:
            raise FormulaError("params: an optimizer needs lr, its learning rate")
        if "w" not in {line.target for line in row.lines()}:
            raise FormulaError("update: no line assigns w, so nothing would be learned")


def _named(key: str, reader: Callable[[str], Formula], text: str) -> None:
    try:
        reader(text)
    except FormulaError as error:
        raise FormulaError(f"{key}: {error}") from None
