"""Parameters and optimizer state travel: bit by bit there and back, and what a framework's own layers, modules and
optimizers do with them is what the formulas say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Layer, Network, Optimizer
from crossnn.conventions.formula import layer_value
from crossnn.conventions.found import AGREES, relative
from crossnn.conventions.own import numbers
from crossnn.errors import CrossnnError, DataError
from crossnn.exchange import files
from crossnn.exchange.files import Saved, from_layout, initial, to_layout
from crossnn.parity.paths import PARAM

CATALOGUE = load_catalogue()
LAYOUTS = [name for name, backend in registry.BUILT_IN.items() if backend.layout]
NETWORKS = [row.name for row in CATALOGUE.of_kind("network") if isinstance(row, Network)]
Arrays = dict[str, np.ndarray]


@lru_cache(maxsize=256)
def filled(network: str, optimizer: str = "", dtype: str = "float64") -> Saved:
    """Numbers that are all different, with a state where an optimizer is named."""
    start = initial(network)
    paths = {**start.params, **start.statistics}
    values = {
        path: numbers(*array.shape, seed=place).astype(dtype) for place, (path, array) in enumerate(paths.items())
    }
    row = CATALOGUE.rows.get(optimizer)
    slots = [*row.state] if isinstance(row, Optimizer) else []
    state = {
        slot: {
            path: numbers(*start.params[path].shape, seed=100 * (number + 1) + place).astype(dtype)
            for place, path in enumerate(start.params)
        }
        for number, slot in enumerate(slots)
    }
    params = {path: values[path] for path in start.params}
    return Saved(network, params, {path: values[path] for path in start.statistics}, optimizer, state, 7)


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


@pytest.mark.parametrize("layout", [files.OURS, *LAYOUTS])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_round_trip_is_exact_to_the_bit(network: str, layout: str, tmp_path: Path) -> None:
    saved = filled(network, dtype="float32" if network == "lenet" else "float64")
    kinds = {str(table["layer"]) for table in getattr(CATALOGUE.find(network), "layers")}  # noqa: B009
    rows = [row for kind in kinds if isinstance(row := CATALOGUE.find(kind), Layer) and (row.params or row.state)]
    lacking = [row.name for row in rows if layout != files.OURS and row.name not in registry.layout_of(layout).layers]
    if lacking:
        with pytest.raises(CrossnnError, match="has no layout for"):
            to_layout(saved, layout)
        return
    files.save(tmp_path / "saved.safetensors", saved, layout)
    found = files.load(tmp_path / "saved.safetensors")
    assert same(found.params, saved.params)
    assert same(found.statistics, saved.statistics)
    assert (found.network, found.step) == (network, 7)


OPTIMIZERS = [(layout, name) for layout in LAYOUTS for name in registry.layout_of(layout).optimizers]


@pytest.mark.parametrize(("layout", "optimizer"), OPTIMIZERS)
def test_the_state_of_optimizers_travels_too(layout: str, optimizer: str, tmp_path: Path) -> None:
    saved = filled("lenet", optimizer)
    known = registry.layout_of(layout).optimizers[optimizer]
    saved = Saved(saved.network, saved.params, {}, optimizer, {slot: saved.state[slot] for slot in known}, saved.step)
    files.save(tmp_path / "saved.safetensors", saved, layout)
    found = files.load(tmp_path / "saved.safetensors")
    assert found.state.keys() == known.keys()
    assert all(same(found.state[slot], saved.state[slot]) for slot in known)
    assert (found.optimizer, found.step) == (optimizer, 7)


LAYERS: tuple[tuple[str, dict[str, int], dict[str, Any], tuple[int, ...]], ...] = (
    ("dense", {"features": 5, "units": 3}, {"units": 3}, (2, 5)),
    ("conv2d", {"channels": 2, "filters": 4, "size": 3}, {"filters": 4, "kernel_size": (3, 3)}, (1, 9, 8, 2)),
    ("batch_norm", {"features": 4}, {}, (2, 4)),
    ("layer_norm", {"features": 4}, {}, (2, 4)),
    ("rms_norm", {"features": 4}, {}, (2, 4)),
    ("simple_rnn", {"features": 5, "units": 3}, {"units": 3}, (2, 4, 5)),
    ("lstm", {"features": 5, "units": 3}, {"units": 3}, (2, 4, 5)),
    ("gru", {"features": 5, "units": 3}, {"units": 3}, (2, 4, 5)),
)
EPSILONS = {"torch": 1e-5, "tensorflow": 1e-3}


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize(("name", "sizes", "given", "shape"), LAYERS)
def test_own_layers_do_with_them_what_the_formula_says(
    backend: str, name: str, sizes: dict[str, int], given: dict[str, Any], shape: tuple[int, ...],
    adapter: Callable[..., Adapter],
) -> None:  # fmt: skip
    own = adapter(backend).own_layer(name, sizes)
    assert own is not None
    rule = registry.layout_of(backend).layers[name]
    knobs = {"reset_after": True} if name == "gru" else {}
    row = CATALOGUE.find(name)
    assert isinstance(row, Layer)
    slots = rule.back({theirs: numbers(*one.shape, seed=3) ** 2 for theirs, one in own.weights().items()}, knobs)
    assert slots.keys() == {*row.params, *row.state}, own.weights().keys()
    own.load(rule.there(slots, knobs))
    x = numbers(*shape)
    eps = {"rms_norm": {"torch": float(np.finfo(float).eps), "tensorflow": 1e-6}}.get(name, EPSILONS)[backend]
    chosen = {**given, **({"eps": eps} if "eps" in row.options else {})}
    value, _ = layer_value(name, chosen, {"x": x}, slots, training=False)
    channels_first = backend == "torch" and name == "conv2d"
    time_first = backend == "torch" and len(shape) == 3
    found = own.run(x.transpose(0, 3, 1, 2) if channels_first else x.transpose(1, 0, 2) if time_first else x)
    found = found.transpose(0, 2, 3, 1) if channels_first else found[-1] if time_first else found
    assert relative(found, value) <= AGREES


def test_a_torch_module_takes_the_file_as_its_state(tmp_path: Path, adapter: Callable[..., Adapter]) -> None:
    """With strict loading: every name and shape of a module as its user writes it, and then the same answers."""
    backend = adapter("torch")
    torch = pytest.importorskip("torch")
    saved = filled("mlp")
    names = [path.removesuffix(".kernel") for path in saved.params if path.endswith(".kernel")]

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            for name in names:
                self.add_module(name, torch.nn.Linear(*saved.params[f"{name}.kernel"].shape))

    files.save(tmp_path / "mlp.safetensors", saved, "torch")
    module = Module().double()
    tensors = {name: torch.from_numpy(array) for name, array in load_file(tmp_path / "mlp.safetensors").items()}
    module.load_state_dict(tensors, strict=True)
    for name in names:
        kernel = saved.params[f"{name}.kernel"]
        x = numbers(3, kernel.shape[0])
        answer = getattr(module, name)(torch.from_numpy(x)).detach().numpy()
        assert relative(answer, x @ kernel + saved.params[f"{name}.bias"]) <= AGREES
    assert backend.name == "torch"


CONVENTIONS: dict[str, dict[str, Any]] = {
    "adamax": {"eps_place": "inside"}, "radam": {"eps_place": "hat", "threshold": 5.0},
    "amsgrad": {"correction": "after"}, "rprop": {"on_change": "wait"}, "rmsprop": {"centered": True},
}  # fmt: skip
"""Those of torch, where they are not the rows' defaults."""


@pytest.mark.parametrize("name", list(registry.layout_of("torch").optimizers))
def test_torchs_own_optimizer_keeps_the_state_under_these_names(name: str, adapter: Callable[..., Adapter]) -> None:
    runner, state = loaded(adapter("torch"), name, CONVENTIONS.get(name, {}))
    kept = runner.optimizer.state_dict()["state"][0]
    for slot, (theirs, sign) in registry.layout_of("torch").optimizers[name].items():
        if theirs in kept:
            assert np.array_equal(sign * kept[theirs].numpy(), state[slot]), f"{theirs} is not {slot}"


REFUSED: tuple[tuple[Callable[[Path], Any], str], ...] = (
    (lambda path: files.load(path / "none.safetensors"), "cannot be read"),
    (lambda path: files.load(path / "torn.safetensors"), "not a whole safetensors file"),
    (lambda path: files.load(path / "plain.safetensors"), "names no network"),
    (lambda path: files.load(path / "plain.safetensors", network="mlp", layout="torch"), "no layer of mlp has"),
    (lambda path: files.load(path / "plain.safetensors", network="adam"), "not a network"),
    (lambda path: files.load(path / "plain.safetensors", network="mlp", layout="nope"), "unknown layout"),
    (lambda path: to_layout(filled("mlp", "adam"), "nope"), "unknown layout"),
    (lambda path: to_layout(filled("mlp", "nadam"), "torch"), "has no place in the layout"),
    (lambda path: from_layout({"optimizer.odd.w": np.ones(1)}, "mlp", "torch", "adam"), "unknown optimizer state"),
    (lambda path: files.save("/proc/none/x", filled("mlp")), "cannot be written"),
)


@pytest.mark.parametrize(("action", "words"), REFUSED)
def test_what_is_wrong_is_said(action: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    save_file({"odd.weight": np.ones(3)}, tmp_path / "plain.safetensors")
    whole = (tmp_path / "plain.safetensors").read_bytes()
    (tmp_path / "torn.safetensors").write_bytes(whole[:-5])
    with pytest.raises(CrossnnError, match=words):
        action(tmp_path)


def test_a_second_bias_of_torch_is_added(tmp_path: Path) -> None:
    """Of a module that torch trained: two biases that act as one."""
    arrays = to_layout(filled("lstm_text_40"), "torch")
    (name,) = (name for name in arrays if name.endswith("bias_hh_l0"))
    assert not np.any(arrays[name])
    found = from_layout({**arrays, name: np.ones_like(arrays[name])}, "lstm_text_40", "torch")
    (bias,) = (path for path in found.params if path.endswith("lstm.bias"))
    assert np.array_equal(found.params[bias], filled("lstm_text_40").params[bias] + 1)


def test_saved_says_what_it_holds() -> None:
    assert repr(filled("mlp", "adam")).startswith("<Saved mlp: ")
    assert issubclass(DataError, CrossnnError)


KERAS: dict[str, dict[str, Any]] = {
    "momentum": {"form": "inside"}, "nesterov": {"form": "inside"}, "adagrad": {"eps_place": "inside"},
    "rmsprop": {"eps_place": "inside", "centered": True, "momentum": "inside"}, "adam": {"eps_place": "hat"},
    "adamw": {"eps_place": "hat"}, "amsgrad": {"correction": "hat"},
}  # fmt: skip
OPTAX: dict[str, dict[str, Any]] = {
    "adagrad": {"eps_place": "inside"}, "rmsprop": {"centered": True, "momentum": "inside"},
    "amsgrad": {"correction": "before"}, "adamax": {"eps_place": "inside"}, "nadam": {"schedule": "never"},
    "lamb": {"decay": "in_ratio"},
}  # fmt: skip


def loaded(own: Adapter, name: str, conventions: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """The framework's own optimizer with a state of ours, and that state."""
    row = CATALOGUE.find(name)
    assert isinstance(row, Optimizer)
    hyper, knobs = settings(row, conventions)
    native = own.native("optimizer", name, {**hyper, **knobs})
    assert native is not None, f"{own.name} has no {name} with {conventions}"
    state = {slot: np.abs(numbers(6, seed=2 + k)) + 0.1 for k, slot in enumerate(row.state)}
    runner = native.function({PARAM: numbers(6)}, {**hyper, **knobs})
    runner.load({PARAM: numbers(6)}, {slot: {PARAM: one} for slot, one in state.items()}, 6)
    return runner, state


@pytest.mark.parametrize("name", list(registry.layout_of("tensorflow").optimizers))
def test_kerass_own_optimizer_keeps_the_state_under_these_names(name: str, adapter: Callable[..., Adapter]) -> None:
    runner, state = loaded(adapter("tensorflow"), name, KERAS.get(name, {}))
    kept = {one.path.rsplit("/", 1)[-1]: one.numpy() for one in runner.optimizer.variables}
    for slot, (theirs, sign) in registry.layout_of("tensorflow").optimizers[name].items():
        (found,) = (value for path, value in kept.items() if path.endswith(f"_{theirs}") or path == theirs)
        assert np.array_equal(sign * found, state[slot]), f"{theirs} is not {slot}"


@pytest.mark.parametrize("name", list(registry.layout_of("jax").optimizers))
def test_optaxs_own_optimizer_keeps_the_state_under_these_names(name: str, adapter: Callable[..., Adapter]) -> None:
    optax = pytest.importorskip("optax")
    runner, state = loaded(adapter("jax"), name, OPTAX.get(name, {}))
    for slot, (theirs, sign) in registry.layout_of("jax").optimizers[name].items():
        found = optax.tree_utils.tree_get(runner.state, theirs)
        assert np.array_equal(sign * np.array(found[PARAM]), state[slot]), f"{theirs} is not {slot}"
