"""Similarity of texts without an embedding model: the cosine of their word counts."""

from __future__ import annotations

import math
import re
from collections import Counter

Vector = dict[str, float]
"""A text as a vector of length 1: each word in lower case, with its share. Empty without words."""

_WORD = re.compile(r"\w+")


def vector(text: str) -> Vector:
    """The vector of a text."""
    counts = Counter(_WORD.findall(text.lower()))
    length = math.sqrt(sum(count * count for count in counts.values()))
    return {word: count / length for word, count in counts.items()}


def cosine(one: Vector, other: Vector) -> float:
    """From 0 (no word in common) to 1 (the same words with the same shares)."""
    if len(one) > len(other):
        one, other = other, one
    return rounded(sum(share * other[word] for word, share in one.items() if word in other))


def rounded(number: float) -> float:
    """Without the last digits, which depend on the order of summing."""
    return round(number, 9)
