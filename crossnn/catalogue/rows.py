"""What a specification may say: one frozen structure a kind, validated when it is read.

The fields *are* the schema; `load.py` turns a violation into a message that names file, table, key and what is
allowed. Formulas stay text here and are parsed by `formulas.py` at loading time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from crossnn.formula.grammar import Formula, parse_assignment

Domain = Literal[
    "real", "probability", "simplex", "binary", "one_hot", "label", "sign", "nonnegative", "index"
]  # fmt: skip
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
    kinks: list[float | str] = []
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


class Reduction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the numbers of a batch become one: `by` is a name of reductions.py; `weights` multiply the samples, or the
    samples of a class; `samples = 0` is the empty batch."""

    by: str = "mean"
    weights: Literal["", "sample", "class"] = ""
    samples: int | None = None


class Loss(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="loss"):
    """One number a sample (or an element) from prediction y and target t; kinks are values of y - t.

    inputs: further inputs by name with their domains, in the place of t. ends: predictions at which the loss may be
    infinite, judged in a case of their own. reductions: checked besides the mean.
    """

    kind: ClassVar[str] = "loss"
    prediction: Domain = "real"
    target: Domain = "real"
    inputs: dict[str, Domain] = {}
    ends: list[float] = []
    reductions: list[Reduction] = []


class Metric(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="metric"):
    """One number from predictions y and targets t, never differentiated."""

    kind: ClassVar[str] = "metric"
    prediction: Domain = "real"
    target: Domain = "real"


class Regularizer(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="regularizer"):
    """One number from a parameter w."""

    kind: ClassVar[str] = "regularizer"


class Initializer(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="initializer"):
    """A parameter from draws (u uniform, z normal, c normal but never beyond two deviations, m a tall normal matrix),
    fan_in and fan_out."""

    kind: ClassVar[str] = "initializer"


class Constraint(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="constraint"):
    """A parameter w made to obey, after an update; never differentiated."""

    kind: ClassVar[str] = "constraint"


class Schedule(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="schedule"):
    """A learning rate from t, the number of steps already taken; `lr` is its largest or its first value."""

    kind: ClassVar[str] = "schedule"


class Clipping(Formulated, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="clipping"):
    """A gradient from the gradient g of one parameter and `norm`, that of all parameters together."""

    kind: ClassVar[str] = "clipping"


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tensor of a layer: learned, or a running statistic. Lengths are texts such as `4*units`; `when` names a knob
    without which it does not exist."""

    shape: list[str]
    initializer: str
    when: str = ""


class Draw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Random numbers of a layer: 0 or 1, which is drawn with probability `keep`, or uniform from `low` to `high`. The
    shape is the input's where none is given."""

    keep: str = ""
    low: str = ""
    high: str = ""
    shape: list[str] = []


Setting = float | bool | str | list[int]


class Layer(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="layer"):
    """A formula of inputs and parameters; see layers.toml, which explains the keys."""

    kind: ClassVar[str] = "layer"
    formula: str
    inference: str = ""
    let: list[str] = []
    input: list[str] | dict[str, list[str]] = []
    inputs: list[str] = msgspec.field(default_factory=lambda: ["x"])
    domains: dict[str, str] = {}
    params: dict[str, Parameter] = {}
    options: dict[str, float | list[int]] = {}
    knobs: dict[str, KnobChoice] = {}
    draws: dict[str, str | Draw] = {}
    state: dict[str, Parameter] = {}
    update: list[str] = []
    carry: dict[str, list[str]] = {}
    over: str = "x"
    step: list[str] = []
    sizes: dict[str, float | list[int]] = {}
    cases: list[dict[str, Setting]] = []

    @property
    def summary(self) -> str:
        return self.formula

    def texts(self) -> list[tuple[str, str]]:
        return [("formula", self.formula), *([("inference", self.inference)] if self.inference else [])]

    def law(self, name: str) -> Draw:
        """How a draw is drawn; a text alone is the probability of a 1."""
        draw = self.draws[name]
        return Draw(keep=draw) if isinstance(draw, str) else draw


class Optimizer(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="optimizer"):
    """Update lines for parameter w, in order; a name that is neither w nor a state slot is a temporary.

    acts_on: in a `vector` elements meet (norms), and a `matrix` has two axes, of `rows` and `columns`. A state slot
    starts as a number, a hyper-parameter, or "w", a copy of the parameter; `reduced` slots have length 1 along an axis
    of the matrix, or are one number ("all"). cases: settings to be checked besides the defaults."""

    kind: ClassVar[str] = "optimizer"
    update: list[str]
    params: dict[str, float]
    knobs: dict[str, KnobChoice] = {}
    state: dict[str, float | str] = {}
    acts_on: Literal["element", "vector", "matrix"] = "element"
    reduced: dict[str, Literal[-1, -2, "all"]] = {}
    cases: list[dict[str, float | bool | str]] = []

    @property
    def summary(self) -> str:
        return "; ".join(self.update)

    def lines(self) -> list[Formula]:
        return [parse_assignment(line) for line in self.update]


class Network(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="network"):
    """Layers in order; `input` is the shape of one sample, whose numbers are indices below `tokens` where that is
    given. `weights` are parameters that start as written instead of drawn."""

    kind: ClassVar[str] = "network"
    input: list[int]
    layers: list[dict[str, str | float | bool | list[str | int]]]
    tokens: int = 0
    weights: dict[str, list[Any]] = {}

    @property
    def summary(self) -> str:
        return " > ".join(str(layer.get("name", layer.get("layer", "?"))) for layer in self.layers)


Use = dict[str, str | float | bool]
"""A row by its name (`use`), with its settings."""


class Trained(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What is minimised step by step. `main` rows are trained where none is named, and `timed` ones timed; `left_out`
    says why a mode (`torch compiled`) is not trained, `printed` what a lecture printed of the outcome. The loader fills
    in `family` and what is `varied` in it."""

    optimizer: Use
    schedule: Use = {}
    clip: Use = {}
    constraints: list[Use] = []
    main: bool = False
    timed: bool = False
    left_out: dict[str, str] = {}
    printed: dict[str, float] = {}
    family: str = ""
    varied: dict[str, str | float] = {}


class Experiment(Trained, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="experiment"):
    """A training run: everything that must be equal for two backends to train the same network. `input` is the shape
    of a sample where it is not the network's own; `closed_form` says what the trained network must compute exactly."""

    kind: ClassVar[str] = "experiment"
    data: str
    network: str
    loss: str
    batch_size: int | Literal["full"]
    epochs: int
    input: list[int] = []
    metrics: list[str] = []
    regularizers: list[Use] = []
    normalise: bool = False
    samples: int = 0
    seed: int = 0
    held_out: float = 0.2
    closed_form: Literal["", "least_squares", "frequencies", "targets"] = ""

    @property
    def summary(self) -> str:
        return f"{self.network} on {self.data}, {self.loss}, {self.optimizer.get('use', '?')}"


class Study(Trained, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="study"):
    """An optimizer on an objective without data: a formula of w and of the arrays in `data`. `closed_form` is w after
    t steps, of w0, lr and t; `minimum` where the objective is smallest."""

    kind: ClassVar[str] = "study"
    objective: str
    start: list[Any]
    steps: int
    let: list[str] = []
    data: dict[str, list[Any]] = {}
    params: dict[str, float] = {}
    closed_form: str = ""
    minimum: list[Any] = []

    @property
    def summary(self) -> str:
        return f"{self.objective}, {self.optimizer.get('use', '?')}"

    def texts(self) -> list[tuple[str, str]]:
        return [("objective", self.objective), *([("closed_form", self.closed_form)] if self.closed_form else [])]


class Question(Row, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="question"):
    """A claim that a measurement can judge: what is said, as printed; what it is taken to mean; the `protocol` that
    measures it, with `settings`; and the comparisons of measured numbers that are all true where the claim holds. What
    the verdict is stands nowhere.

    seeds: repetitions of every case. `most` of them must agree. by: what the condition is looked for in, where the
    claim holds in some cases alone: numbers, or what the protocol varies. backends: who measures; "all" stands for
    every one. `main` questions are asked where nothing is named."""

    kind: ClassVar[str] = "question"
    says: str
    means: str = ""
    protocol: str
    holds: list[str]
    by: list[str] = []
    settings: dict[str, Any] = {}
    seeds: int = 10
    most: float = 0.9
    backends: list[str] = msgspec.field(default_factory=lambda: ["numpy"])
    main: bool = False

    @property
    def summary(self) -> str:
        return self.says


AnyRow = (
    Activation | Loss | Metric | Regularizer | Constraint | Initializer | Layer | Optimizer | Schedule | Clipping
    | Network | Experiment | Study | Question
)  # fmt: skip
KINDS = (
    "activation", "loss", "regularizer", "constraint", "initializer", "metric", "layer", "optimizer", "schedule",
    "clipping", "network", "experiment", "study", "question",
)  # fmt: skip


VARIABLES: Mapping[str, tuple[str, ...]] = {
    "activation": ("x",),
    "loss": ("y", "t"),
    "metric": ("y", "t"),
    "regularizer": ("w",),
    "constraint": ("w",),
    "initializer": ("u", "z", "c", "m", "fan_in", "fan_out"),
    "schedule": ("t",),
    "clipping": ("g", "norm"),
}
"""The variables that formulas of a kind may use; the first is differentiated."""
