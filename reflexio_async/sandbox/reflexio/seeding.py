"""Rows that tests store directly, without a request."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from pydantic import ValidationError

from reflexio_async.sandbox.checks import check_all
from reflexio_async.sandbox.reflexio.schemas.interactions import (
    InteractionDataSchema,
    PublishUserInteractionRequestSchema,
)
from reflexio_async.sandbox.reflexio.store.rows import (
    StoredAgentPlaybook,
    StoredProfile,
    StoredUserPlaybook,
)
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore

SEEDED = "seeded"
"""The request id, and the default session id, of seeded rows."""


class Seeding(ABC):
    """The calls of a sandbox that store rows. Each checks its arguments first."""

    @property
    @abstractmethod
    def _store(self) -> ReflexioStore: ...

    def seed(
        self,
        user_id: str,
        *texts: str,
        agent_version: str = "agent-v0",
        session_id: str = SEEDED,
        source: str = "",
    ) -> None:
        """Store a publish of ``texts``. Nothing is learnt from it until a generation.

        Raises:
            ValueError: An argument is wrong. The message names it.
        """
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
            publish = PublishUserInteractionRequestSchema(
                user_id=user_id,
                session_id=session_id,
                interaction_data_list=[InteractionDataSchema(role="user", content=text) for text in texts],
                agent_version=agent_version,
                source=source,
            )
        except ValidationError as error:
            # Only the route's schema limits lengths and the format of a source.
            problem = error.errors()[-1]
            field = problem["loc"][0]
            name = "texts" if field == "content" else field
            message = f"seed: {name}: {problem['msg']}, not {problem['input']!r:.200}"
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
        """Store a profile per text, current by default. Returns their ids.

        Raises:
            ValueError: An argument is wrong. The message names it.
        """
        check_all(
            "seed_profile",
            user_id=(user_id, "text that is not blank"),
            contents=(contents, "texts, at least one and none blank"),
            status=(status, "pending, archived or None"),
            source=(source, "stored text"),
            tags=(tags, "a list of texts"),
        )
        rows = [
            StoredProfile(
                profile_id=str(uuid.uuid4()),
                user_id=user_id,
                content=content,
                created_at=self._store.now,
                last_modified_timestamp=self._store.now,
                generated_from_request_id=SEEDED,
                status=status,
                source=source,
                tags=list(tags),
            )
            for content in contents
        ]
        for row in rows:
            self._store.add_profile(row)
        return [row.profile_id for row in rows]

    def seed_playbook(
        self,
        user_id: str,
        *contents: str,
        agent_version: str = "agent-v0",
        trigger: str | None = None,
        status: Literal["pending", "archived"] | None = None,
    ) -> list[int]:
        """Store a user playbook per text, current by default. Returns their ids.

        Raises:
            ValueError: An argument is wrong. The message names it.
        """
        check_all(
            "seed_playbook",
            user_id=(user_id, "text that is not blank"),
            contents=(contents, "texts, at least one and none blank"),
            agent_version=(agent_version, "stored text"),
            trigger=(trigger, "text or None"),
            status=(status, "pending, archived or None"),
        )
        rows = [
            StoredUserPlaybook(
                user_id=user_id,
                agent_version=agent_version,
                request_id=SEEDED,
                created_at=self._store.now,
                trigger=trigger,
                status=status,
                content=content,
            )
            for content in contents
        ]
        for row in rows:
            self._store.add_playbook(row)
        return [row.user_playbook_id for row in rows]

    def seed_agent_playbook(
        self,
        *contents: str,
        agent_version: str = "agent-v0",
        trigger: str | None = None,
        approval: Literal["pending", "approved", "rejected"] = "pending",
    ) -> list[int]:
        """Store an agent playbook per text. Returns their ids.

        Raises:
            ValueError: An argument is wrong. The message names it.
        """
        check_all(
            "seed_agent_playbook",
            contents=(contents, "texts, at least one and none blank"),
            agent_version=(agent_version, "stored text"),
            trigger=(trigger, "text or None"),
            approval=(approval, "pending, approved or rejected"),
        )
        rows = [
            StoredAgentPlaybook(
                agent_version=agent_version,
                created_at=self._store.now,
                content=content,
                playbook_name="playbook",
                trigger=trigger,
                playbook_status=approval,
            )
            for content in contents
        ]
        for row in rows:
            self._store.add_agent_playbook(row)
        return [row.agent_playbook_id for row in rows]
