"""Old names of configuration fields. Older clients still send them."""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

from pydantic import BaseModel, model_validator

CONFIG: Final = {
    "batch_size": "window_size",
    "batch_interval": "stride_size",
    "extraction_window_size": "window_size",
    "extraction_window_stride": "stride_size",
}
WINDOWS: Final = {
    "batch_size_override": "window_size_override",
    "batch_interval_override": "stride_size_override",
    "extraction_window_size_override": "window_size_override",
    "extraction_window_stride_override": "stride_size_override",
}
PROFILES: Final = {"profile_content_definition_prompt": "extraction_definition_prompt", **WINDOWS}
PLAYBOOKS: Final = {
    "feedback_definition_prompt": "extraction_definition_prompt",
    "playbook_definition_prompt": "extraction_definition_prompt",
    "feedback_aggregator_config": "aggregation_config",
    "playbook_aggregator_config": "aggregation_config",
    "playbook_name": "extractor_name",
    "feedback_name": "extractor_name",
    **WINDOWS,
}
AGGREGATION: Final = {
    "min_feedback_threshold": "min_cluster_size",
    "refresh_count": "reaggregation_trigger_count",
    "similarity_threshold": "clustering_similarity",
}
NULL_IS_DEFAULT: Final = frozenset(
    {
        *("window_size", "stride_size", "playbook_optimizer_config", "lineage_gc", "expiry_reclamation"),
        *("governance_retention", "pending_tool_call_config", "retrieval_floor", "aggregation_config"),
    }
)
"""These fields accept null, which means their default."""


class OldNamesSchema(BaseModel):
    """Accepts old field names. Where both names are given, the new one wins."""

    old_names: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        fields = dict(cast("dict[str, Any]", given))
        for old, new in cls.old_names.items():
            if old in fields:
                value = fields.pop(old)
                fields.setdefault(new, value)
        return {
            name: value for name, value in fields.items() if value is not None or name not in NULL_IS_DEFAULT
        }
