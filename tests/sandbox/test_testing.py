"""``reflexio_async.testing`` has everything that a test needs from the sandbox."""

from __future__ import annotations

from reflexio_async import sandbox, testing


def test_it_has_every_public_name_of_the_sandbox() -> None:
    for name in sandbox.__all__:
        assert getattr(testing, name) is getattr(sandbox, name)


def test_it_has_every_name_that_it_exports() -> None:
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []


async def test_a_test_needs_no_other_import_for_a_sandbox_with_a_fault() -> None:
    fault = testing.Fault(testing.faults.internal_error(), path="/health")
    async with testing.Sandbox(clock=testing.VirtualClock(), faults=testing.Faults([fault])) as box:
        assert box.faults.script == [fault]
