"""The listed differences exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.differences import CHECKED, Difference

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


@pytest.mark.parametrize("difference", CHECKED, ids=[difference.about for difference in CHECKED])
async def test_a_listed_difference_exists(wire: Wire, served_by: str, difference: Difference) -> None:
    answer = await wire.send(difference.method, difference.path, json=dict(difference.body) or None)
    expected = difference.real if served_by == "real" else difference.sandbox
    assert answer.status == expected.status, answer.text
    if isinstance(expected.part, str):
        assert expected.part in answer.text
    else:
        assert expected.part.items() <= answer.json.items()
