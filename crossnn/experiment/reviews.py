"""IMDB: 50,000 film reviews, good or bad (Maas et al. 2011), from the user's files.

Tokens are numbered as Keras does: 0 fills up, 1 begins a text, 2 is a word that is not among the most frequent ones,
and the most frequent word is 4 (`index_from` = 3, counted from 1). A text keeps its last words; a short one is filled
up in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from crossnn.errors import DataError
from crossnn.experiment.files import MOST_BYTES, locate, read_npz
from crossnn.experiment.samples import Request, Samples, Source

START, UNKNOWN, INDEX_FROM = 1, 2, 3
ARCHIVE, VOCABULARY = "imdb.npz", "aclImdb/imdb.vocab"
MOST_CHARACTERS = 1_000_000


def imdb(request: Request) -> Samples:
    """Reviews of `shape` tokens; `samples` limits the training part and the test part alike."""
    (file,) = locate("imdb", [[ARCHIVE], [VOCABULARY]])
    parts = _archive(file) if file.name == ARCHIVE else _folder(file, request.samples)
    x, t = [], []
    for number, (texts, labels) in enumerate(parts):
        if len(labels) != len(texts) or not set(labels) <= {0, 1} or not texts:
            raise DataError(f"{file}: {len(texts)} texts with {len(labels)} labels; expected one label, 0 or 1, a text")
        order = np.random.default_rng([30, number]).permutation(len(texts))  # files lie sorted by label
        order = order[: request.samples or None]
        length = int(np.prod(request.shape))
        x.append(np.stack([encode(texts[k], length, request.tokens) for k in order]))
        t.append(np.array([labels[k] for k in order], np.int64))
    return Samples(np.concatenate(x), np.concatenate(t), classes=2, tokens=request.tokens, test=len(t[1]))


def encode(ranks: Iterable[int], length: int, tokens: int) -> np.ndarray:
    """The tokens of a text: `ranks` are places in the list of words by frequency, from 1."""
    numbers = [START, *(rank + INDEX_FROM for rank in ranks)]
    known = [number if number < tokens or not tokens else UNKNOWN for number in numbers][-length:]
    return np.array([0] * (length - len(known)) + known, np.int64)


def _archive(file: Path) -> list[tuple[list[list[int]], list[int]]]:
    found = read_npz(file, ("x_train", "y_train", "x_test", "y_test"), lists=("x_train", "x_test"))
    return [
        ([[int(token) for token in text] for text in found[f"x_{part}"]], np.ravel(found[f"y_{part}"]).tolist())
        for part in ("train", "test")
    ]


def _folder(vocabulary: Path, samples: int) -> list[tuple[list[list[int]], list[int]]]:
    """The folder aclImdb as it is unpacked: a text a file, in train/pos, train/neg, test/pos and test/neg."""
    words = _text(vocabulary, MOST_BYTES).split("\n")
    ranks = {word.strip(): rank for rank, word in enumerate(words, 1)}
    parts: list[tuple[list[list[int]], list[int]]] = []
    for part in ("train", "test"):
        texts: list[list[int]] = []
        labels: list[int] = []
        for label, name in enumerate(("neg", "pos")):
            folder = vocabulary.parent / part / name
            files = sorted(folder.glob("*.txt"))
            if not files:
                raise DataError(f"{folder}: no .txt file in it; unpack the whole archive of reviews")
            for file in files[: samples // 2 + 1 if samples else None]:
                text = re.sub(r"<[^>]*>", " ", _text(file, MOST_CHARACTERS).lower())
                found = re.findall(r"[a-z0-9']+", text)
                texts.append([ranks.get(word, len(ranks) + 1) for word in found])
                labels.append(label)
        parts.append((texts, labels))
    return parts


def _text(file: Path, most: int) -> str:
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read(most + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as text ({error}); get the file again") from None
    if len(text) > most:
        raise DataError(f"{file}: more than {most:,} characters; not the file that is wanted")
    return text


SETS: Mapping[str, Source] = {"imdb": imdb}
