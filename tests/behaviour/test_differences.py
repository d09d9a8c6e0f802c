"""What is listed as different is different, and just so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.differences import CHECKED, Difference

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


@pytest.mark.parametrize("difference", CHECKED, ids=[difference.about for difference in CHECKED])
async def test_a_difference_is_as_it_is_listed(wire: Wire, served_by: str, difference: Difference) -> None:
    answer = await wire.send(difference.method, difference.path, json=dict(difference.body) or None)
    said = difference.real if served_by == "real" else difference.sandbox
    assert answer.status == said.status, answer.text
    if isinstance(said.part, str):
        assert said.part in answer.text
    else:
        assert said.part.items() <= answer.json.items()
