"""Files of the user's: read in their real formats, and refused in a sentence when they are damaged or hostile."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossnn.errors import DataError, MissingDataError
from crossnn.experiment.data import SETS, load_data
from crossnn.experiment.files import read_idx, read_npz
from crossnn.experiment.images import IDX
from crossnn.experiment.reviews import encode
from crossnn.experiment.samples import Request

TRAIN, TEST = 12, 5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place in which data files are looked for."""
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def pictures() -> list[np.ndarray]:
    """Training images and labels, test images and labels."""
    generator = np.random.default_rng(0)
    sizes = ((TRAIN, 28, 28), (TRAIN,), (TEST, 28, 28), (TEST,))
    return [generator.integers(0, 256 if len(size) == 3 else 10, size).astype(np.uint8) for size in sizes]


def write_idx(folder: Path, packed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(IDX, pictures(), strict=True):
        data = idx(array)
        path = folder / name if packed else folder / name.removesuffix(".gz")
        path.write_bytes(gzip.compress(data) if packed else data)


def write_npz(file: Path, **arrays: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **arrays)


def mnist(folder: Path, where: str, packed: bool = True) -> None:
    write_idx(folder / where, packed)


def archive(folder: Path, name: str) -> None:
    x, t, test_x, test_t = pictures()
    write_npz(folder / name, x_train=x, y_train=t, x_test=test_x, y_test=test_t)


@pytest.mark.parametrize(
    ("data", "write"),
    [
        ("mnist", lambda folder: archive(folder, "mnist.npz")),
        ("mnist", lambda folder: mnist(folder, "")),
        ("mnist", lambda folder: mnist(folder, "MNIST/raw", packed=False)),
        ("fashion_mnist", lambda folder: mnist(folder, "fashion-mnist")),
    ],
    ids=["archive", "idx", "unpacked idx", "fashion"],
)
def test_images_in_every_usual_form(data: str, write: Callable[[Path], None], folder: Path) -> None:
    write(folder)
    x, t, test_x, test_t = pictures()
    found = load_data(data, 0, 0.2, (28, 28, 1), target="label")
    assert found.x.shape == (TRAIN, 28, 28, 1)
    assert np.array_equal(found.held_out_x[..., 0], (test_x / 255.0).astype(np.float32))
    assert np.array_equal(found.held_out_t, test_t)
    order = np.random.default_rng([0, 1]).permutation(TRAIN)
    assert np.array_equal(found.t, t[order])
    assert np.array_equal(found.x[..., 0], (x[order] / 255.0).astype(np.float32))
    first = load_data(data, 0, 0.2, (784,), target="one_hot", samples=7)
    assert first.x.shape == (7, 784)
    assert first.held_out_t.shape == (TEST, 10)
    few = load_data(data, 0, 0.2, (784,), target="label", samples=3)
    assert np.array_equal(few.held_out_t, test_t[:3])


def test_files_of_the_keras_folder_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSNN_DATA")
    archive(folder / "home" / ".keras" / "datasets", "mnist.npz")
    assert len(SETS["mnist"](Request(0)).x) == TRAIN + TEST


def test_what_is_missing_of_an_incomplete_set_is_named(folder: Path) -> None:
    mnist(folder, "mnist")
    (folder / "mnist" / IDX[3]).unlink()
    with pytest.raises(MissingDataError, match=rf"Not complete: \S*{IDX[3]} missing"):
        SETS["mnist"](Request(0))


REVIEWS = [[5, 3, 1], [2], [9, 9, 4, 1], []]


def as_keras_stores_them(lists: list[list[int]]) -> np.ndarray:
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def write_imdb(folder: Path, x: Any = None, protocol: int | None = None) -> None:
    lists = as_keras_stores_them(REVIEWS) if x is None else x
    write_npz(
        folder / "imdb.npz", x_train=lists, y_train=np.array([0, 1, 1, 0]), x_test=lists, y_test=np.array([1, 0, 0, 1])
    )


def test_reviews_as_keras_numbers_them(folder: Path) -> None:
    """keras.datasets.imdb.load_data(num_words=10), then pad_sequences(maxlen=4), both in front."""
    write_imdb(folder)
    found = SETS["imdb"](Request(0, (4,), 10))
    expected = {(1, 8, 6, 4): 0, (0, 0, 1, 5): 1, (2, 2, 7, 4): 1, (0, 0, 0, 1): 0}
    assert {tuple(row): label for row, label in zip(found.x[:4].tolist(), found.t[:4], strict=True)} == expected
    assert found.test == 4
    assert found.x.dtype == np.int64
    assert encode([1, 2], 5, 10).tolist() == [0, 0, 1, 4, 5]
    assert len(SETS["imdb"](Request(0, (4,), 10, samples=2)).x) == 4


def test_reviews_as_texts(folder: Path) -> None:
    words = ["the", "a", "film", "good", "bad", "don't"]
    (folder / "aclImdb").mkdir()
    (folder / "aclImdb" / "imdb.vocab").write_text("\n".join(words))
    texts = {"neg": "A bad film.<br /><br />The bad!", "pos": "The GOOD film; don't miss"}
    for part in ("train", "test"):
        for name, text in texts.items():
            place = folder / "aclImdb" / part / name
            place.mkdir(parents=True)
            (place / "0_1.txt").write_text(text)
    found = SETS["imdb"](Request(0, (6,), 10))
    expected = {(1, 5, 8, 6, 4, 8): 0, (1, 4, 7, 6, 9, 2): 1}
    assert {tuple(row): label for row, label in zip(found.x[:2].tolist(), found.t[:2], strict=True)} == expected
    (folder / "aclImdb" / "test" / "pos" / "0_1.txt").unlink()
    with pytest.raises(DataError, match=r"no .txt file in it"):
        SETS["imdb"](Request(0, (6,), 10))


# Damaged and hostile files ------------------------------------------------------------------------------------------

IMAGE = idx(pictures()[0])
HOSTILE_IDX = {
    "empty": (b"", "begins with nothing"),
    "another format": (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "begins with 89 50 4e 47"),
    "labels for images": (idx(pictures()[1]), "begins with 00 00 08 01"),
    "floats": (b"\x00\x00\x0d\x03" + IMAGE[4:], "an idx file of bytes"),
    "a torn header": (IMAGE[:10], "in the middle of its header"),
    "truncated": (IMAGE[:-7], "9,401 bytes are there"),
    "too long": (IMAGE + b"0", "more is there"),
    "absurdly large": (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31) + b"0", "at most 600,000,000"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("data", "words"), HOSTILE_IDX.values(), ids=list(HOSTILE_IDX))
def test_hostile_idx_files(data: bytes, words: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("images.gz" if packed else "images")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=words) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_damaged_gz_file(tmp_path: Path) -> None:
    whole = gzip.compress(IMAGE)
    for number, data in enumerate((whole[:-200], b"no gzip at all", whole[:40] + b"\xff" * 40 + whole[80:])):
        path = tmp_path / f"{number}.gz"
        path.write_bytes(data)
        with pytest.raises(DataError, match="cannot be read"):
            read_idx(path, 3)


class Hostile:
    """Runs a command when it is unpickled by what trusts pickles."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('this ran')",))


def npy(head: str, body: bytes = b"") -> bytes:
    text = head.encode().ljust(118 - len(head)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def zipped(file: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as target:
        for name, data in members.items():
            target.writestr(f"{name}.npy", data)
    return file


OBJECTS = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
HOSTILE_NPY = {
    "no array": (b"text", "no NumPy array"),
    "absurdly large": (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"),
        "at most 600,000,000",
    ),
    "truncated": (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9,), }", b"123"), "3 bytes are there"),
    "a header that is code": (npy("__import__('os').getcwd()"), "no NumPy array"),
    "negative lengths": (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-5,), }"), "promises -5 bytes"),
    "objects": (npy(OBJECTS, pickle.dumps([Hostile()])), "not loaded, since loading may run"),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE_NPY.values(), ids=list(HOSTILE_NPY))
def test_hostile_arrays(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read_npz(zipped(tmp_path / "a.npz", x=data), ["x"])


HOSTILE_LISTS = {
    "code": (pickle.dumps([Hostile()]), "names builtins.exec"),
    "code in an array": (pickle.dumps(as_keras_stores_them([Hostile()])), "names builtins.exec"),  # type: ignore[list-item]
    "texts": (pickle.dumps(as_keras_stores_them(["abc"])), "not lists of whole numbers"),  # type: ignore[list-item]
    "negative tokens": (pickle.dumps(as_keras_stores_them([[-3]])), "not lists of whole numbers"),
    "another length": (pickle.dumps(as_keras_stores_them([[1], [2]])), "its header promises shape"),
    "truncated": (pickle.dumps(as_keras_stores_them([[1, 2, 3]]))[:-9], "not lists of whole numbers"),
    "nothing": (b"", "not lists of whole numbers"),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE_LISTS.values(), ids=list(HOSTILE_LISTS))
def test_hostile_lists(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read_npz(zipped(tmp_path / "a.npz", x=npy(OBJECTS, data)), ["x"], lists=["x"])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_of_every_pickle_protocol(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps(as_keras_stores_them([[1, 2, 3]]), protocol)
    assert read_npz(zipped(tmp_path / "a.npz", x=npy(OBJECTS, data)), ["x"], lists=["x"]) == {"x": [[1, 2, 3]]}


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda file: file.write_bytes(b"PK not a zip"), "not a NumPy archive"),
        (lambda file: write_npz(file, x_train=np.zeros(3)), "has no x_test.npy, y_test.npy, y_train.npy"),
        (lambda file: write_npz(file, **_images(shape=(3, 28, 27))), r"\(3, 28, 27\), uint8; expected"),
        (lambda file: write_npz(file, **_images(dtype=np.float32)), "float32; expected"),
        (lambda file: write_npz(file, **_images(labels=[1, 2, 10])), "expected 3 whole numbers 0 to 9"),
        (lambda file: write_npz(file, **_images(labels=[1, 2])), "expected 3 whole numbers 0 to 9"),
    ],
)
def test_archives_that_hold_something_else(write: Callable[[Path], None], words: str, folder: Path) -> None:
    write(folder / "mnist.npz")
    with pytest.raises(DataError, match=words):
        SETS["mnist"](Request(0))


def _images(
    shape: tuple[int, ...] = (3, 28, 28), dtype: Any = np.uint8, labels: Any = (1, 2, 3)
) -> dict[str, np.ndarray]:
    x, t = np.zeros(shape, dtype), np.array(labels)
    return {"x_train": x, "y_train": t, "x_test": x, "y_test": t}


def test_reviews_without_their_labels(folder: Path) -> None:
    lists = as_keras_stores_them(REVIEWS)
    write_npz(folder / "imdb.npz", x_train=lists, y_train=np.array([0, 1]), x_test=lists, y_test=np.array([0, 1]))
    with pytest.raises(DataError, match="4 texts with 2 labels"):
        SETS["imdb"](Request(0, (4,), 10))


def test_a_list_repeated_a_million_times_is_no_bomb(tmp_path: Path) -> None:
    """A few bytes of pickle may stand for any number of references to one list."""
    bomb = [[0] * 1000] * 100_000
    stream = io.BytesIO()
    pickle.dump(as_keras_stores_them(bomb), stream)
    head = OBJECTS.replace("(1,)", "(100000,)")
    with pytest.raises(DataError, match="more than 75,000,000 numbers"):
        read_npz(zipped(tmp_path / "a.npz", x=npy(head, stream.getvalue())), ["x"], lists=["x"])
