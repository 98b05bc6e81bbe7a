"""Data sets: drawn from the seed alone, split once, encoded as the loss wants them; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from crossnn.errors import MissingDataError, SpecError
from crossnn.experiment.data import SETS, Data, load_data
from crossnn.experiment.samples import Request, Samples
from crossnn.experiment.synthetic import function

FILES = ("mnist", "fashion_mnist", "imdb")
HERE = [name for name in SETS if name not in FILES]


def samples(name: str, seed: int = 0) -> Samples:
    return SETS[name](Request(seed))


def load(name: str, seed: int = 0, **options: object) -> Data:
    found = samples(name)
    shape = found.x.shape[1:]
    return load_data(name, seed, 0.2, shape, tokens=found.tokens, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HERE)
def test_a_set_is_split_once_and_fits_float32(name: str) -> None:
    found, data = samples(name), load(name)
    total = len(data.x) + len(data.held_out_x)
    assert total == len(found.x)
    assert len(data.held_out_x) == (found.test or total - round(total * 0.8))
    for array in (data.x, data.t, data.held_out_x, data.held_out_t):
        assert np.array_equal(array, array.astype(np.float32))
    assert data.x.dtype == (np.int64 if found.tokens else np.float64)


@pytest.mark.parametrize("name", HERE)
def test_a_set_depends_on_the_seed_alone(name: str) -> None:
    data, again, other = load(name), load(name), load(name, seed=1)
    assert np.array_equal(data.x, again.x)
    assert np.array_equal(data.t, again.t)
    assert len(data.x) < 5 or not np.array_equal(data.x, other.x)


@pytest.mark.parametrize("name", [name for name in HERE if SETS[name](Request(0)).test])
def test_a_test_part_of_its_own_is_what_is_held_out(name: str) -> None:
    found, data = samples(name), load(name)
    assert np.array_equal(data.held_out_x, found.x[-found.test :])


def test_labels_become_what_the_loss_takes() -> None:
    labels = load("digits", target="label").t
    assert labels.shape == (1438,)
    assert labels.dtype.kind == "i"
    one_hot = load("digits", target="one_hot").t
    assert np.array_equal(one_hot.argmax(axis=1), labels)
    assert np.array_equal(one_hot.sum(axis=1), np.ones(1438))
    binary, sign = load("digits_even", target="binary").t, load("digits_even", target="sign").t
    assert binary.shape == (1438, 1)
    assert set(np.unique(binary)) == {0.0, 1.0}
    assert np.array_equal(sign, 2 * binary - 1)
    assert load("copy", target="one_hot").t.shape == (384, 8, 6)
    assert load("copy", target="label").t.shape == (384, 8)


def test_a_sample_has_the_shape_that_the_network_takes() -> None:
    flat, image, rows = (load_data("digits", 0, 0.2, shape).x for shape in ((64,), (8, 8, 1), (8, 8)))
    assert image.shape == (1438, 8, 8, 1)
    assert np.array_equal(flat.reshape(image.shape), image)
    assert np.array_equal(image[..., 0], rows)


def test_the_first_samples_alone() -> None:
    data = load("linear4", samples=100)
    assert (len(data.x), len(data.held_out_x)) == (80, 20)
    rows = {tuple(row) for row in np.concatenate([data.x, data.held_out_x])}
    assert rows == {tuple(row) for row in samples("linear4").x[:100]}


def test_normalised_features_have_mean_zero_and_deviation_one_where_they_change() -> None:
    data = load("scales", normalise=True)
    assert np.allclose(data.x.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(data.x.std(axis=0), 1, atol=1e-6)
    raw = load("scales")
    assert raw.x.std(axis=0).max() / raw.x.std(axis=0).min() > 500
    expected = (raw.held_out_x - raw.x.mean(axis=0)) / raw.x.std(axis=0)
    assert np.allclose(data.held_out_x, expected, rtol=1e-6), (
        "held-out samples: by the training samples' mean and deviation"
    )
    digits = load_data("digits", 0, 0.2, (64,), normalise=True)
    assert np.all(digits.x[:, 0] == 0), "a pixel that never changes"


@pytest.mark.parametrize(
    ("name", "truth"),
    [("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("xor_table", [0, 1, 1, 0]), ("not", [1, 0])],
)
def test_truth_tables(name: str, truth: list[int]) -> None:
    assert samples(name).t[: len(truth)].tolist() == truth
    assert samples(name).t[-samples(name).test :].tolist() == truth


def test_blobs_are_separated_by_a_line() -> None:
    found = samples("blobs", seed=3)
    side = found.x.sum(axis=1)
    assert np.all((side > 0.5) == (found.t == 1))


def test_functions_are_the_functions() -> None:
    request = Request(0)
    linear, quadratic = (function(8, kind, request) for kind in ("linear", "quadratic"))
    assert np.array_equal(linear.x, quadratic.x)
    scale = linear.t[:, 0] / (linear.x @ np.array([1, -1, 1, 1, -1, 1, 1, -1]))
    assert np.allclose(scale, scale[0], rtol=1e-5)
    odd = quadratic.x[:, :-1] * quadratic.x[:, 1:]
    form = np.linalg.lstsq(np.hstack([quadratic.x**2, odd]), quadratic.t[:, 0], rcond=None)
    assert np.allclose(np.hstack([quadratic.x**2, odd]) @ form[0], quadratic.t[:, 0], atol=1e-6)
    for arguments in (4, 8, 12):
        for kind in ("linear", "quadratic", "transcendental"):
            t = samples(f"function_{kind}_{arguments}").t
            assert np.mean(t**2) == pytest.approx(1, rel=1e-6)


def test_sequences_say_what_their_labels_say() -> None:
    first, parity, copy = samples("first_token"), samples("parity"), samples("copy")
    assert np.array_equal(first.t, first.x[:, 0])
    assert np.array_equal(parity.t, parity.x.sum(axis=1) % 2)
    assert np.array_equal(copy.t[:, :-1], copy.x[:, 1:])
    assert np.array_equal(copy.t[:, 2:], copy.x[:, :-2]), "the word has three tokens"
    text = samples("sentiment")
    share = [np.mean(text.x[text.t == label] < 10) for label in (0, 1)]
    assert share[0] > 2.5 * share[1]
    for name in ("first_token", "parity", "copy", "sentiment"):
        found = samples(name)
        assert found.x.max() == found.tokens - 1
        assert set(np.unique(found.t)) == set(range(found.classes))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("digts", {}, "unknown data 'digts'; did you mean 'digits'"),
        ("xor", {"shape": (3,)}, r"samples of shape \(2,\); the network takes \(3,\)"),
        ("copy", {"shape": (8,)}, "has tokens; the network must say how many different ones: tokens = 6"),
        ("copy", {"shape": (8,), "tokens": 5}, "tokens up to 5; the network knows 5: tokens = 6"),
        ("xor", {"shape": (2,), "tokens": 5}, "has numbers, and the network takes tokens"),
        ("digits", {"shape": (64,), "target": "binary"}, "10 classes; the loss knows two"),
        ("linear4", {"shape": (4,), "target": "one_hot"}, "numbers as targets; the loss wants classes"),
        ("copy", {"shape": (8,), "tokens": 6, "normalise": True}, "tokens are names, not sizes"),
    ],
)
def test_what_does_not_fit_is_one_sentence(name: str, options: dict[str, object], words: str) -> None:
    shape = options.pop("shape", (2,))
    with pytest.raises(SpecError, match=words):
        load_data(name, 0, 0.2, shape, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_not_here_are_named(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingDataError) as caught:
        SETS[name](Request(0, (4,), 10))
    for word in (name, str(tmp_path), "CROSSNN_DATA", "nothing is downloaded", ".npz"):
        assert word in str(caught.value)
