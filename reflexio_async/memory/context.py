"""What is recalled for one turn of an agent: as text for the prompt, and as data."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async.reflexio.models.enums import PlaybookStatus
from reflexio_async.reflexio.models.interactions import RetrievedLearning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.reflect.models.memories import Memory
    from reflexio_async.reflexio.models.agent_playbooks import AgentPlaybookView
    from reflexio_async.reflexio.models.experiments import RetrievalExperimentAssignment
    from reflexio_async.reflexio.models.playbooks import UserPlaybookView
    from reflexio_async.reflexio.models.profiles import ProfileView

DEFAULT_MAX_CHARS = 6000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MemoryContext:
    """What was recalled for one turn of an agent.

    ``str(context)`` is a section for the prompt: facts about the user, guidance learned from the user,
    guidance for all users, and lessons from earlier tasks. It says that it is data, and cannot override
    instructions. Its texts are escaped, so that no memory can end the section. It is empty when nothing was
    found, and then the context is false.

    Attributes:
        profiles: The facts that were found, best first. Not all of them need be in the text.
        user_playbooks: The guidance that was found and was learned from this user.
        agent_playbooks: The guidance that was found for all users. All of it is approved.
        memories: The memories of Reflect that were found.
        experiment: The experiment and the arm that the user is in, or None. Pass both on to the publish of
            the turn. With the arm ``holdout`` nothing is found.
        error: Why something is missing, or None. The other parts are there.
        searched: Whether the search in Reflexio succeeded. Otherwise nothing is known about ``learnings``.
        learnings: The learnings that are in the text, and no others. They belong on the agent's turn that is
            published, as its ``retrieved_learnings``.
        memory_ids: The ids of the memories that are in the text. They belong in the trace of the run, as its
            ``retrieved_memory_ids``.
    """

    profiles: Sequence[ProfileView] = ()
    user_playbooks: Sequence[UserPlaybookView] = ()
    agent_playbooks: Sequence[AgentPlaybookView] = ()
    memories: Sequence[Memory] = ()
    experiment: RetrievalExperimentAssignment | None = None
    error: Exception | None = None
    searched: bool = False
    _: KW_ONLY
    max_chars: int = DEFAULT_MAX_CHARS
    learnings: list[RetrievedLearning] = field(init=False)
    memory_ids: list[str] = field(init=False)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        from reflexio_async.memory.section import items_of, section, select  # noqa: PLC0415  # loads xml.sax

        approved = [each for each in self.agent_playbooks if each.playbook_status is PlaybookStatus.APPROVED]
        found = items_of(self.profiles, self.user_playbooks, approved, self.memories)
        items = select(found, self.max_chars)
        learnings = [
            RetrievedLearning(kind=item.part, learning_id=item.learning_id, **_receipt(item.receipt))
            for item in items
            if item.part != "memory"
        ]
        for name, value in (
            ("agent_playbooks", approved),
            ("learnings", learnings),
            ("memory_ids", [item.learning_id for item in items if item.part == "memory"]),
            ("text", section(items)),
        ):
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        # Without contents: reprs end up in logs.
        error = f", {type(self.error).__name__}" if self.error else ""
        found = f"{len(self.learnings)} learnings, {len(self.memory_ids)} memories"
        return f"<MemoryContext {found}, {len(self.text)} characters{error}>"


def _receipt(receipt: str | None) -> dict[str, Any]:
    return {"exposure_receipt": receipt} if receipt else {}
