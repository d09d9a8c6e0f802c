"""Names that parts of the configuration had before; clients and files that are older still send them."""

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
"""Null here is as good as nothing, though these are not optional."""


class Renamed(BaseModel):
    """Takes fields under their old names too; today's name wins where both are given."""

    renamed: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _under_todays_names(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        named = dict(cast("dict[str, Any]", given))
        for old, new in cls.renamed.items():
            if old in named:
                part = named.pop(old)
                named.setdefault(new, part)
        return {name: part for name, part in named.items() if part is not None or name not in NULL_IS_DEFAULT}
