"""The endpoints that start jobs, by the name of the kind: with them, the jobs of a store are started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async.reflexio.api.playbooks import MANUAL_PLAYBOOK_GENERATION, RERUN_PLAYBOOK_GENERATION
from reflexio_async.reflexio.api.profiles import MANUAL_PROFILE_GENERATION, RERUN_PROFILE_GENERATION
from reflexio_async.reflexio.jobs import MANUAL_PLAYBOOKS, MANUAL_PROFILES, PLAYBOOK_RERUN, PROFILE_RERUN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.jobs.kinds import SlotKind
    from reflexio_async._engine.wire import Endpoint

STARTS: Mapping[str, tuple[SlotKind[Any], Endpoint[Any]]] = {
    kind.name: (kind, endpoint)
    for kind, endpoint in (
        (PROFILE_RERUN, RERUN_PROFILE_GENERATION),
        (PLAYBOOK_RERUN, RERUN_PLAYBOOK_GENERATION),
        (MANUAL_PROFILES, MANUAL_PROFILE_GENERATION),
        (MANUAL_PLAYBOOKS, MANUAL_PLAYBOOK_GENERATION),
    )
}
