"""The Literal types of the enums, for type checkers, have the values of the enums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from reflexio_async.reflexio.models import enums, literals

if TYPE_CHECKING:
    from enum import Enum

TEXTS = {name.removesuffix("Text"): value for name, value in vars(literals).items() if name.endswith("Text")}


@pytest.mark.parametrize("name", TEXTS)
def test_a_literal_has_the_values_of_its_enum(name: str) -> None:
    enum: type[Enum] = getattr(enums, name)
    assert list(get_args(TEXTS[name])) == [member.value for member in enum]


@pytest.mark.parametrize("name", TEXTS)
def test_at_run_time_the_type_is_the_enum(name: str) -> None:
    given: Any = getattr(literals, f"Any{name}")
    assert given is getattr(enums, name)
