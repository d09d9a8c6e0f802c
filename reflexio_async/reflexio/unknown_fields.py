"""Unknown fields of interactions: dropped and reported, as the official client does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from reflexio_async._engine.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from reflexio_async.reflexio.models.interactions import InteractionData, PublishUserInteractionRequest

P = TypeVar("P", bound="BaseModel")

_PARTS = ("tools_used", "citations", "retrieved_learnings")


def without_unknown_fields(
    request: PublishUserInteractionRequest,
) -> tuple[PublishUserInteractionRequest, list[str]]:
    """``request`` without the fields that turns and their parts do not have, and a warning for each."""
    warnings: list[str] = []
    # Validation has made models of all turns and parts.
    turns = list(cast("Sequence[InteractionData]", request.interactions))
    for position, turn in enumerate(turns):
        # Most turns have neither unknown fields nor parts. A publish must not pay for the others.
        if turn.model_extra or turn.tools_used or turn.citations or turn.retrieved_learnings:
            turns[position] = _known_turn(turn, f"interactions[{position}]", warnings)
    return (request.model_copy(update={"interactions": turns}) if warnings else request), warnings


def _known_turn(turn: InteractionData, where: str, warnings: list[str]) -> InteractionData:
    already = len(warnings)
    changes = {
        name: [_known(part, f"{where}.{name}[{index}]", warnings) for index, part in enumerate(parts)]
        for name in _PARTS
        if (parts := cast("Sequence[BaseModel]", getattr(turn, name)))
    }
    turn = _known(turn, where, warnings)
    return turn.model_copy(update=changes) if len(warnings) > already else turn


def _known(part: P, where: str, warnings: list[str]) -> P:
    if not part.model_extra:
        return part
    fields = type(part).model_fields
    free = [name for name in fields if name not in part.model_fields_set]
    for name in part.model_extra:
        hint = did_you_mean(name, free)
        warnings.append(f"{where}: ignored the unknown field {name!r:.80}{hint}")
    known = {name: getattr(part, name) for name in part.model_fields_set if name in fields}
    return type(part).model_construct(**known)
