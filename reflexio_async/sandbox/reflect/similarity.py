"""Similarity without an embedding model: the cosine between two texts' counts of words."""

from __future__ import annotations

import math
import re
from collections import Counter

Vector = dict[str, float]
"""A text as a direction: its words, lower-cased, to their share; of length 1 unless there are no words."""

_WORD = re.compile(r"\w+")


def vector(text: str) -> Vector:
    """The direction of ``text``."""
    counts = Counter(_WORD.findall(text.lower()))
    length = math.sqrt(sum(count * count for count in counts.values()))
    return {word: count / length for word, count in counts.items()}


def cosine(one: Vector, other: Vector) -> float:
    """From 0 (no word in common) to 1 (the same words in the same shares)."""
    if len(one) > len(other):
        one, other = other, one
    return settled(sum(share * other[word] for word, share in one.items() if word in other))


def settled(number: float) -> float:
    """Without the last digits, which hang on the order of summing."""
    return round(number, 9)
