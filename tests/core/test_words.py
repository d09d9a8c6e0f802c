"""What checkers are told of an enum's texts is what the enum has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from reflexio_async.reflexio.models import enums
from reflexio_async.reflexio.models import literals as words

if TYPE_CHECKING:
    from enum import Enum

TEXTS = {name.removesuffix("Text"): value for name, value in vars(words).items() if name.endswith("Text")}


@pytest.mark.parametrize("name", TEXTS)
def test_the_texts_are_those_of_the_enum(name: str) -> None:
    enum: type[Enum] = getattr(enums, name)
    assert list(get_args(TEXTS[name])) == [member.value for member in enum]


@pytest.mark.parametrize("name", TEXTS)
def test_at_run_time_there_is_only_the_enum(name: str) -> None:
    given: Any = getattr(words, f"Any{name}")
    assert given is getattr(enums, name)
