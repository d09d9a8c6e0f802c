"""Full-text search over rows, ranked by BM25."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

_Row = TypeVar("_Row")

_WORD = re.compile(r"\w+")
_OPERATORS = frozenset({"AND", "OR", "NOT", "NEAR"})
_ENDINGS = ("ing", "ed", "es", "s")
_SHORTEST_STEM = 3
_SATURATION, _LENGTH_PENALTY = 1.2, 0.75


def ranked(query: str, rows: Iterable[_Row], text: Callable[[_Row], str]) -> list[_Row]:
    """The rows with any word of ``query``, best match first. Ties stay in order.

    The last word of the query may be the beginning of a word.
    """
    wanted = [_stem(word.lower()) for word in _WORD.findall(query) if word not in _OPERATORS]
    if not wanted:
        return []
    documents = [(row, _words(text(row))) for row in rows]
    if not documents:
        return []
    average = sum(words.total() for _, words in documents) / len(documents) or 1.0
    scores: list[tuple[float, _Row]] = []
    found = [[_hits(words, wanted, index) for _, words in documents] for index in range(len(wanted))]
    weights = [_weight(len(documents), sum(hits > 0 for hits in column)) for column in found]
    for index, (row, words) in enumerate(documents):
        length = 1 - _LENGTH_PENALTY + _LENGTH_PENALTY * words.total() / average
        score = sum(
            weight * hits[index] * (_SATURATION + 1) / (hits[index] + _SATURATION * length)
            for weight, hits in zip(weights, found, strict=True)
        )
        if score > 0:
            scores.append((score, row))
    scores.sort(key=lambda scored: -scored[0])
    return [row for _, row in scores]


def _hits(words: Counter[str], wanted: list[str], index: int) -> int:
    word = wanted[index]
    if index < len(wanted) - 1:
        return words[word]
    return sum(count for other, count in words.items() if other.startswith(word))


def _weight(documents: int, containing: int) -> float:
    return max(1e-6, math.log((documents - containing + 0.5) / (containing + 0.5)))


def _words(text: str) -> Counter[str]:
    return Counter(_stem(word.lower()) for word in _WORD.findall(text))


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word
