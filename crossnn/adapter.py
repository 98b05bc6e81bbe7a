"""The adapter: the only file that the author of a backend must read.

An adapter teaches crossnn one framework. It says what each primitive is there (`primitives`), how arrays go in and
come out, and how that framework differentiates and compiles a function. Everything else (formulas, networks,
training, verdicts, timing) is written once, against this protocol.

Functions that crossnn hands to an adapter are pure: they take and return trees of tensors (a tensor, or dictionaries
and tuples of trees). Parameters are `dict[str, Tensor]` keyed by the specification's names, such as `hidden.kernel`,
so that no framework needs a translation of names.

To write one: subclass `BaseAdapter`, fill in `name`, `modes`, `primitives`, `tensor`, `array` and `value_and_grad`,
and run `crossnn check --backend your.module:YourAdapter`. tests/example_adapter.py does it in sixty lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crossnn.errors import BackendError

if TYPE_CHECKING:
    from crossnn.drawing.view import View
    from crossnn.trace.executed import Executed

Tensor = Any
Tree = Any
Params = dict[str, Tensor]
Function = Callable[..., Tree]
Meaning = Mapping[str, Callable[..., Any]]
Knobs = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What a started backend says about itself, for the report."""

    backend: str
    device: str
    dtype: str
    threads: int
    versions: Mapping[str, str]
    flags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Native:
    """A framework's own implementation of a specification, bound to knobs that it really implements.

    `call` is what a user would write (`torch.nn.functional.elu`). `function` computes it:
    activation  f(x) -> tensor of x's shape
    loss        f(y, t) -> the mean over the batch, a single number
    layer       f(params, *inputs) -> tensor; parameters, statistics and draws by the specification's names and layout;
                or (tensor, {statistic: what it becomes}) where the framework renews running statistics
    regularizer f(w) -> a single number
    constraint  f(w) -> tensor of w's shape
    metric      f(y, t) -> a single number, or what the specification returns
    clipping    f({name: gradient}) -> {name: gradient}
    schedule    f(t) -> learning rates; t is a NumPy array of counts of steps already taken, and so is what comes back
    initializer f(shape, seed) -> ({draw: array}, parameter): the framework's random numbers, by the formula's names
                (u, z, c, m), and what its initializer makes of the same generator in the same state
    optimizer   f(params, hyper) -> NativeOptimizer; f(params, hyper, mode) where `modes` names other modes than the
                first, such as an update that is compiled

    `modes` are those in which the framework can run it; none named: all, of an optimizer the first alone.
    """

    call: str
    function: Callable[..., Any]
    modes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """What a call of a framework makes, such as `torch.optim.NAdam(lr=0.01)`, to be identified: which formula is it?

    `settings` are its arguments by the framework's own names, those left at their defaults included. `native` computes
    it at these settings, as a Native of its kind does; what an optimizer reads of its state has the framework's names.
    """

    kind: str
    settings: Mapping[str, Any]
    native: Native


class OwnLayer(Protocol):
    """A framework's own layer as its constructor makes it where nothing is said but sizes: its defaults, its initial
    weights and the layout of its data are what is measured."""

    call: str

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics by the framework's names, in its layout."""

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set all of them."""

    def run(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """The (first) result for data in the framework's own layout."""


@dataclass(frozen=True)
class OwnModel:
    """A model of the framework's own, such as a torch.nn.Module, for comparing somebody's ports: its parameters by its
    own names (empty where a tree is taken as it is), `call(parameters, *inputs)` with others in their place, and the
    dtypes in which it can run."""

    arrays: Mapping[str, np.ndarray]
    call: Callable[..., Tree]
    dtypes: tuple[str, ...] = ("float64", "float32")


class NativeOptimizer(Protocol):
    """A framework's own optimizer, able to start from any state, so that one step can be judged alone."""

    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Mapping[str, np.ndarray]], step: int) -> None:
        """Set parameters, state slots (slot -> parameter -> array, by the specification's names) and the number of
        steps already taken."""

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        """One update with this learning rate."""

    def updates(self, gradients: Sequence[Mapping[str, np.ndarray]], learning_rate: float) -> Callable[[int], Any]:
        """For timing: a function that takes a step with the gradients of this number, which are on the device already,
        as a user's loop does, and returns what must be waited for."""

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        """Parameters, and those state slots that the framework keeps in the specification's terms."""


class Adapter(Protocol):
    """What crossnn asks of a backend."""

    name: str
    """Registered name, such as `torch`."""

    modes: tuple[str, ...]
    """Ways of running the same function; the first runs every primitive as it is called."""

    primitives: Meaning
    """Primitive name -> function on this framework's tensors. Use `source.OPERATORS` for those Python operators
    that the tensors understand. Some that no formula names are optional: `split(x, sizes, axis)`, where slices are all
    of an axis, cuts them at once; `loop(step, carried, sequences)` repeats a step (crossnn/formula/loops.py); and those
    that do what several primitives do, such as `max_pool` (crossnn/formula/fused.py)."""

    in_mode: Mapping[str, Meaning]
    """Mode -> primitives that are another function there, or that are offered there alone."""

    in_place: Mapping[str, Mapping[str, str]]
    """Mode -> how a primitive is written there that overwrites its first operand: {"eager": {"multiply":
    "{}.mul_({})"}}. For functions that nobody differentiates, such as an optimizer's update."""

    loops: tuple[str, ...]
    """The modes in which `loop` is worth its while: equal steps of recurrent layers stay a loop there."""

    crops: tuple[str, ...]
    """The modes in which outputs of convolutions that no pooling looks at are left out (crossnn/formula/cropped.py)."""

    spelling: Mapping[str, str]
    """Primitive name -> the public name a user would write, `torch.exp`; for the generated code that is shown."""

    namespace: Mapping[str, Any]
    """The modules that `spelling` names: {"torch": torch}."""

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        """Called once, first: fix device, working dtype and threads; make results deterministic and full precision
        (no TF32). Raises BackendError with what is available where it cannot."""

    def tensor(self, array: np.ndarray) -> Tensor:
        """A tensor on the started device; floating-point arrays take the started dtype, others keep theirs."""

    def kernel(self, array: np.ndarray) -> Tensor:
        """The same for a parameter that is nothing but the second factor of matrix products, in the layout that is
        fastest there; for whoever keeps and renews it."""

    def array(self, tensor: Tensor) -> np.ndarray:
        """The value as an array of the tensor's own dtype: a silent loss of precision must stay visible."""

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        """`f(params, *data) -> number` becomes `(params, *data) -> (number, gradients by the names of params)`.

        With `aux`, which is passed only where it is needed, `f` returns `(number, tree)`, such as a loss and the new
        running statistics; the tree is handed through: `(params, *data) -> ((number, tree), gradients)`."""

    donates: bool
    """Whether `compile` takes a third argument."""

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        """`f` in one of `modes`. If the adapter `donates`, the caller may give away so many of the first arguments,
        which come back renewed as the last results: what is computed may take their memory."""

    def wait(self, tree: Tree) -> None:
        """Return when every tensor of the tree has been computed."""

    def stages(self) -> AbstractContextManager[Mapping[str, float]]:
        """Around a first call: afterwards the mapping has the seconds of each stage of compilation that the framework
        tells apart, such as `trace` and `compile`."""

    def device_memory(self) -> int | None:
        """The peak of memory on the device since this was asked last, in bytes; None where nothing counts it."""

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        """The framework's own implementation of this specification with exactly these knobs and hyper-parameters,
        or None where it has none."""

    def variants(self, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
        """Other ways in which the framework computes the same: another function or class, or another implementation
        of it (`fused`, `foreach`). Each has a call of its own."""

    def model(self, function: Callable[..., Any]) -> OwnModel | None:
        """What is called here, if it is a model with parameters of its own; None for a plain function."""

    def guest(self) -> AbstractContextManager[None]:
        """Around work in somebody else's process: afterwards the settings that `start` changes are as before, as far as
        the framework lets them."""

    def opened(self, call: str) -> Opened:
        """What this call makes: the full name of a function or class of the framework, with literal arguments or none.
        Nothing else is evaluated. Raises BackendError with what is known where it is no such call."""

    def own_layer(self, name: str, sizes: Mapping[str, int]) -> OwnLayer | None:
        """The framework's own layer for this row of the catalogue at its defaults, started for the present dtype; None
        where it has no layers, or not this one. `sizes` by the names that crossnn/conventions/layers.py gives."""

    def views(self, f: Function, arguments: Sequence[Tree], mode: str) -> Iterator[View]:
        """The graphs that the framework makes of `f` in this mode, from what it recorded to what it runs, in order;
        each is made when it is asked for. One that cannot be made here has no vertices and says why in its note."""

    def watched(
        self, f: Function, arguments: Sequence[Tree], cotangent: np.ndarray | None = None
    ) -> tuple[Tree, list[Executed]]:
        """The result of `f`, run as in the first mode, and every operation as it ran, the arguments before them. With
        a `cotangent`, an array like the first tensor of the result, also the gradient of the sum of their product with
        respect to every value that has one. An adapter without it is traced by its primitives, without gradients."""


class BaseAdapter:
    """What most adapters have in common; override what differs."""

    name = ""
    modes: tuple[str, ...] = ("eager",)
    spelling: Mapping[str, str] = {}
    namespace: Mapping[str, Any] = {}
    loops: tuple[str, ...] = ()
    crops: tuple[str, ...] = ()
    in_mode: Mapping[str, Meaning] = {}
    in_place: Mapping[str, Mapping[str, str]] = {}
    donates = False

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        self.device, self.dtype, self.threads = device, dtype, threads
        return Facts(self.name, device, dtype, threads, {})

    def tensor(self, array: np.ndarray) -> Tensor:
        raise NotImplementedError

    def kernel(self, array: np.ndarray) -> Tensor:
        return self.tensor(array)

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        return f

    def wait(self, tree: Tree) -> None:
        return None

    def stages(self) -> AbstractContextManager[Mapping[str, float]]:
        return nullcontext({})

    def device_memory(self) -> int | None:
        return None

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        return None

    def variants(self, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
        return ()

    def model(self, function: Callable[..., Any]) -> OwnModel | None:
        return None

    def guest(self) -> AbstractContextManager[None]:
        return nullcontext()

    def opened(self, call: str) -> Opened:
        raise BackendError(f"the adapter of {self.name!r} opens no calls: it has no method 'opened'")

    def own_layer(self, name: str, sizes: Mapping[str, int]) -> OwnLayer | None:
        return None

    def views(self, f: Function, arguments: Sequence[Tree], mode: str) -> Iterator[View]:
        return iter(())

    def watched(
        self, f: Function, arguments: Sequence[Tree], cotangent: np.ndarray | None = None
    ) -> tuple[Tree, list[Executed]]:
        raise BackendError(f"the adapter of {self.name!r} does not tell what it runs: it has no method 'watched'")
