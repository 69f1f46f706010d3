"""Random numbers that belong to a sample, not to the order in which samples are processed.

A sample's key is a hash of seed, epoch and index, and its draws are a hash of the key and a counter. So batch size,
shuffling and threads cannot change what a sample gets, and a whole batch is drawn in a few array operations, where
seeding a NumPy generator for every sample would cost more than the training step.

The hash is SplitMix64: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import numpy as np

_GAMMA, _MIX_1, _MIX_2 = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_11, _27, _30, _31 = (np.uint64(c) for c in (11, 27, 30, 31))
_1 = np.uint64(1)


def derive(keys: np.ndarray, words: np.ndarray | int) -> np.ndarray:
    """Keys (uint64, at least 1-d) for sub-streams numbered by `words` (non-negative integers; broadcast)."""
    z = keys + _GAMMA * (np.atleast_1d(np.asarray(words, np.uint64)) + _1)
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


def sample_keys(seed: int, stream: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """One key a sample; `stream` separates uses of the same seed, such as shuffling and augmentation.

    Examples
    --------
    >>> import numpy as np
    >>> all_at_once = sample_keys(0, 1, 2, np.arange(4))
    >>> bool(all_at_once[3] == sample_keys(0, 1, 2, np.array([3]))[0])
    True
    """
    root = np.zeros(1, np.uint64)
    for word in (seed, stream, epoch):
        root = derive(root, word)
    return derive(root, indices)


def uniform(keys: np.ndarray, count: int) -> np.ndarray:
    """(len(keys), count) float64 draws from [0, 1)."""
    return (derive(keys[:, None], np.arange(count)) >> _11) * 2.0**-53


def normal(keys: np.ndarray, count: int) -> np.ndarray:
    """(len(keys), count) normal draws of mean 0 and deviation 1, by Box and Muller's way."""
    draws = uniform(keys, 2 * count).reshape(len(keys), count, 2)
    return np.sqrt(-2 * np.log1p(-draws[..., 0])) * np.cos(2 * np.pi * draws[..., 1])
