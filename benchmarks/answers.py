"""The response bodies of the static server. They have the shapes of the real servers' responses."""

from __future__ import annotations

import json
from typing import Any


def profiles(count: int) -> bytes:
    """The response of ``POST /api/get_profiles`` and ``GET /api/get_all_profiles``."""
    items = [
        {
            "profile_id": f"697e71d1-e4bb-458e-971b-7c0cf1b7{number:04}",
            "user_id": "user-1",
            "content": f"User mentioned: I like sushi, most of all number {number} of the usual place",
            "last_modified_timestamp": 1795325020 + number,
            "generated_from_request_id": f"rerun_097e1f{number:02}",
            "profile_time_to_live": "one_month",
            "expiration_timestamp": 1797917020 + number,
            "status": "pending",
            "source": "",
            "source_interaction_ids": [number, number + 1],
            "tags": [],
        }
        for number in range(count)
    ]
    return encoded({"success": True, "user_profiles": items, "msg": f"Found {count} profile(s)"})


def memories(count: int) -> bytes:
    """The response of Reflect's ``POST …/memory/query``."""
    return encoded(
        [
            {
                "id": f"mem_{number:08}",
                "task": f"Rename the column of table {number} without downtime",
                "reflection": f"Add the new column first, write to both, only then move reader {number} over",
                "q_value": 0.71,
                "similarity": 0.83,
                "score": 0.77,
                "success": True,
                "summary": "Write to both columns before readers move",
            }
            for number in range(count)
        ]
    )


def trace(trace_id: str, *, reviewed: bool) -> bytes:
    """The response of Reflect's ``GET …/traces/{trace_id}``."""
    stored: dict[str, Any] = {
        "id": trace_id,
        "task": "Rename a column without downtime",
        "trajectory": [
            {"role": "user", "content": "Rename the column, please"},
            {"role": "assistant", "content": "Both columns are written now; moving the readers over"},
        ],
        "final_response": "Done",
        "retrieved_memory_ids": ["mem_00000001", "mem_00000002"],
        "review_status": "reviewed" if reviewed else "pending",
        "ingest_status": "completed" if reviewed else "processing",
        "ingest_attempts": 1,
        "metadata": {},
    }
    if reviewed:
        review = {"id": f"rev_{trace_id}", "trace_id": trace_id, "result": "pass", "mode": "inline"}
        stored |= {"created_memory_id": f"mem_{trace_id}", "review": review}
    return encoded(stored)


def encoded(response: Any) -> bytes:
    return json.dumps(response, separators=(",", ":")).encode()
