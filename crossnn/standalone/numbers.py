"""What standalone files of trainings draw: initial parameters and masks, from the seed and a name, by NumPy alone.

Read as text by library.py and copied; `SEED` is a constant of each file. What is drawn is what crossnn draws
(crossnn/catalogue/initial.py, crossnn/catalogue/network.py).
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# No types: the generated functions, among which these stand, have none.

import math
import zlib

import numpy as np

SEED = 0


def generator_of(name, *step):
    """Random numbers that depend on the seed, on the step and on whose they are, not on the order of drawing."""
    return np.random.default_rng([SEED, *step, zlib.crc32(name.encode())])


def uniform_numbers(name, shape):
    return generator_of(name).random(shape)


def normal_numbers(name, shape):
    generator = generator_of(name)
    generator.random(shape)  # the uniform numbers of this parameter, which come first and are not used
    return generator.standard_normal(shape)


def orthonormal_numbers(name, shape):
    """Q of the QR decomposition of a normal matrix, R with a positive diagonal; all axes but the last are rows."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    generator = np.random.default_rng([SEED, zlib.crc32(name.encode()), 2])
    q, r = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(shape)


def mask(name, shape, keep, step):
    """1 with probability `keep`, else 0."""
    return (generator_of(name, step).random(shape) < keep).astype(float)


def between(name, shape, low, high, step):
    return low + (high - low) * generator_of(name, step).random(shape)


def spread(shape, step):
    """Multiples of 1/32 from -50/32 to 50/32, in no order."""
    return np.reshape(np.arange(int(np.prod(shape))) * step % 101 - 50, shape) / 32.0


def single(values):
    """Rounded to float32, and kept as float64."""
    return values.astype(np.float32).astype(np.float64)


def standardised(x, held_out_x):
    """Minus the mean, divided by the standard deviation: of the training samples, for the held-out ones too."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)  # a feature that never changes stays at zero
    return single((x - mean) / scale), single((held_out_x - mean) / scale)


def digits():
    """1797 handwritten digits of 8 x 8 pixels, grey levels scaled to [0, 1], with their labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SystemExit("the digits come with scikit-learn, not installed here: pip install scikit-learn") from None
    found = load_digits()
    return found.images / 16.0, found.target


def digits_even():
    """The digits; is it even?"""
    images, labels = digits()
    return images, (labels % 2 == 0).astype(np.int64)


def digits_pixels():
    """The digits, each of which is its own target, as 64 numbers."""
    images, _ = digits()
    return images, images.reshape(len(images), -1)
