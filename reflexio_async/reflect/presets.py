"""The vendor's advice for finding memories, as options of ``trace``, ``query_memories`` and the like.

    from reflexio_async.reflect import presets

    async with client.trace(task, **presets.COLD_START) as ctx: ...

Server-behaviour: Cold start. ``client.learning_report()`` says which one fits.
"""

from typing import Final, Literal, TypeAlias, TypedDict


class Preset(TypedDict):
    """Options of ``client.trace``, which explains them."""

    limit: int
    lambda_: float
    similarity_threshold: float


COLD_START: Final[Preset] = {"limit": 5, "lambda_": 0.1, "similarity_threshold": 0.2}
"""For a project with fewer than some hundred reviewed memories. With ``LATER`` it would find nothing."""

LATER: Final[Preset] = {"limit": 5, "lambda_": 0.5, "similarity_threshold": 0.5}
"""For a project with some hundred reviewed memories or more."""

PresetName: TypeAlias = Literal["cold_start", "later"]
"""The name of ``COLD_START`` or ``LATER``."""

BY_NAME: Final[dict[PresetName, Preset]] = {"cold_start": COLD_START, "later": LATER}

COLD_START_MEMORIES: Final = 200
"""With fewer reviewed memories, ``learning_report`` advises ``COLD_START``: "some hundred", as a number."""
