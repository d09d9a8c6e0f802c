"""Rows that are there before a test begins, written past all routes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from reflexio_async.sandbox.checks import check_all
from reflexio_async.sandbox.reflexio.schemas.publishing import Interaction, Publish
from reflexio_async.sandbox.reflexio.store.rows import AgentPlaybook, Playbook, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.reflexio.store.store import Store

_SEEDED = "seeded"


class Seeding:
    """What a sandbox can be given; ValueError says what is wrong with it."""

    @property
    def _store(self) -> Store:
        raise NotImplementedError

    def seed(
        self,
        user_id: str,
        *texts: str,
        agent_version: str = "agent-v0",
        session_id: str = _SEEDED,
        source: str = "",
    ) -> None:
        """Store one publish of ``texts``, as if long ago: nothing is learnt from it until a generation."""
        texts = texts or ("I like sushi",)
        check_all(
            "seed",
            user_id=(user_id, "text that is not blank"),
            texts=(texts, "texts, at least one and none blank"),
            agent_version=(agent_version, "stored text"),
            session_id=(session_id, "text that is not blank"),
            source=(source, "stored text"),
        )
        try:
            publish = Publish(
                user_id=user_id,
                session_id=session_id,
                interaction_data_list=[Interaction(role="user", content=text) for text in texts],
                agent_version=agent_version,
                source=source,
            )
        except ValidationError as error:
            # What the route alone knows: how long things may be, and what a source looks like.
            wrong = error.errors()[-1]
            field = wrong["loc"][0]
            name = "texts" if field == "content" else field
            message = f"seed: {name}: {wrong['msg']}, not {wrong['input']!r:.200}"
            raise ValueError(message) from None
        self._store.insert(publish)

    def seed_profile(
        self,
        user_id: str,
        *contents: str,
        status: Literal["pending", "archived"] | None = None,
        source: str = "",
        tags: Sequence[str] = (),
    ) -> list[str]:
        """Store a profile per text, current unless ``status`` says otherwise; their ids."""
        check_all(
            "seed_profile",
            user_id=(user_id, "text that is not blank"),
            contents=(contents, "texts, at least one and none blank"),
            status=(status, "pending, archived or None"),
            source=(source, "stored text"),
            tags=(tags, "a list of texts"),
        )
        store = self._store
        rows = [
            Profile(
                profile_id=str(uuid.uuid4()),
                user_id=user_id,
                content=content,
                created_at=store.now,
                last_modified=store.now,
                request_id=_SEEDED,
                status=status,
                interaction_ids=[],
                source=source,
                tags=list(tags),
            )
            for content in contents
        ]
        for row in rows:
            store.put_profile(row)
        return [row.profile_id for row in rows]

    def seed_playbook(
        self,
        user_id: str,
        *contents: str,
        agent_version: str = "agent-v0",
        trigger: str | None = None,
        status: Literal["pending", "archived"] | None = None,
    ) -> list[int]:
        """Store a user playbook per text, current unless ``status`` says otherwise; their ids."""
        check_all(
            "seed_playbook",
            user_id=(user_id, "text that is not blank"),
            contents=(contents, "texts, at least one and none blank"),
            agent_version=(agent_version, "stored text"),
            trigger=(trigger, "text or None"),
            status=(status, "pending, archived or None"),
        )
        store = self._store
        rows = [
            Playbook(
                user_playbook_id=0,
                user_id=user_id,
                agent_version=agent_version,
                request_id=_SEEDED,
                created_at=store.now,
                trigger=trigger,
                source_span=None,
                status=status,
                interaction_ids=[],
                content=content,
                indexed=f"{trigger or ''} {content}",
            )
            for content in contents
        ]
        for row in rows:
            store.put_playbook(row)
        return [row.user_playbook_id for row in rows]

    def seed_agent_playbook(
        self,
        *contents: str,
        agent_version: str = "agent-v0",
        trigger: str | None = None,
        approval: Literal["pending", "approved", "rejected"] = "pending",
    ) -> list[int]:
        """Store an agent playbook per text; their ids."""
        check_all(
            "seed_agent_playbook",
            contents=(contents, "texts, at least one and none blank"),
            agent_version=(agent_version, "stored text"),
            trigger=(trigger, "text or None"),
            approval=(approval, "pending, approved or rejected"),
        )
        store = self._store
        rows = [
            AgentPlaybook(
                agent_playbook_id=0,
                agent_version=agent_version,
                created_at=store.now,
                content=content,
                name="playbook",
                trigger=trigger,
                approval=approval,
                indexed=f"{trigger or ''} {content}",
            )
            for content in contents
        ]
        for row in rows:
            store.put_agent_playbook(row)
        return [row.agent_playbook_id for row in rows]
