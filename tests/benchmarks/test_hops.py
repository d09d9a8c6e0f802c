"""An operation passes few files and functions of the package."""

from __future__ import annotations

import pytest

from benchmarks import hops


@pytest.mark.slow
@pytest.mark.parametrize("operation", hops.LIMITS)
def test_an_operation_is_within_its_limits(operation: str) -> None:
    most_files, most_moves = hops.LIMITS[operation]
    counted = hops.measure(operation)
    assert len(counted.files) <= most_files, counted.files
    assert counted.moves <= most_moves, counted.functions


@pytest.mark.slow
def test_the_files_of_the_package_alone_are_counted_from_the_call_on() -> None:
    counted = hops.measure("a typed call")
    assert counted.files[0] == "_engine/endpoints/takes.py"
    assert "reflexio/api/profiles.py" in counted.files
    assert not any(file.startswith(("sandbox/", "/")) for file in counted.files)
    assert ("reflexio/api/profiles.py", "ProfilesAPI.search_user_profiles") in counted.functions
