"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from the user's files.

Grey levels are scaled to [0, 1] (lecture S1-67). The files are the usual ones: four idx files, or Keras's archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from crossnn.errors import DataError
from crossnn.experiment.files import locate, read_idx, read_npz
from crossnn.experiment.samples import Request, Samples, Source, single

IDX = (
    "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
)  # fmt: skip
KEYS = ("x_train", "y_train", "x_test", "y_test")
SIDE = 28


def _alternatives(archive: str, places: Sequence[str]) -> list[list[str]]:
    return [[archive], *([f"{place}/{name}" if place else name for name in IDX] for place in places)]


def images(name: str, alternatives: Sequence[Sequence[str]], request: Request) -> Samples:
    """Images and labels, the test images last; `samples` limits the training part and the test part alike."""
    files = locate(name, alternatives)
    if len(files) == 1:
        arrays = [np.asarray(one) for one in read_npz(files[0], KEYS).values()]
    else:
        arrays = [read_idx(file, rank) for file, rank in zip(files, (3, 1, 3, 1), strict=True)]
    _check(str(files[0]), "training", arrays[0], arrays[1])
    _check(str(files[0]), "test", arrays[2], arrays[3])
    x, t, test_x, test_t = (array[: request.samples or None] for array in arrays)
    x, t = np.concatenate([x, test_x]), np.concatenate([t, test_t]).astype(np.int64)
    return Samples(single(x / 255.0), t, classes=10, test=len(test_x))


def _check(file: str, part: str, x: np.ndarray, t: np.ndarray) -> None:
    if x.ndim != 3 or x.shape[1:] != (SIDE, SIDE) or x.dtype != np.uint8 or not len(x):
        raise DataError(f"{file}: {part} images of shape {x.shape}, {x.dtype}; expected (n, {SIDE}, {SIDE}), uint8")
    if t.shape != x.shape[:1] or not np.issubdtype(t.dtype, np.integer) or t.max() > 9 or t.min() < 0:
        raise DataError(f"{file}: {part} labels of shape {t.shape}, {t.dtype}; expected {len(x)} whole numbers 0 to 9")


SETS: Mapping[str, Source] = {
    "mnist": partial(images, "mnist", _alternatives("mnist.npz", ["", "mnist", "MNIST/raw"])),
    "fashion_mnist": partial(
        images,
        "fashion_mnist",
        _alternatives("fashion_mnist.npz", ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"]),
    ),
}
