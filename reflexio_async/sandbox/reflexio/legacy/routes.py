"""The routes of January 2026; today's are not there, and neither are rate limits of most of them."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.routing import Route, Table, bare, get, post, sent
from reflexio_async.sandbox.reflexio.handlers import operations as on_operations
from reflexio_async.sandbox.reflexio.handlers import system as on_system
from reflexio_async.sandbox.reflexio.legacy import feedback as on_feedback
from reflexio_async.sandbox.reflexio.legacy import requests as on_requests
from reflexio_async.sandbox.reflexio.legacy import schemas as bodies
from reflexio_async.sandbox.reflexio.schemas import generation

LEGACY: Final = Table(
    (
        bare("GET", "/", on_system.root),
        bare("GET", "/health", on_system.healthy),
        Route("POST", "/token", lambda _: None, on_system.token, 5),
        post("/api/publish_interaction", on_requests.publish, bodies.Publish, 60),
        post("/api/get_requests", on_requests.get_requests, bodies.GetRequests),
        sent("DELETE", "/api/delete_request", on_requests.delete_request, bodies.DeleteRequest),
        sent("DELETE", "/api/delete_request_group", on_requests.delete_group, bodies.DeleteGroup),
        get("/api/get_all_profiles", on_requests.get_all_profiles, bodies.AllProfiles),
        post("/api/rerun_profile_generation", on_operations.rerun_profiles, bodies.RerunProfiles, 5),
        get("/api/get_operation_status", on_operations.operation_status, generation.OperationStatusQuery),
        post("/api/rerun_feedback_generation", on_feedback.rerun, bodies.RerunFeedback, 5),
        post("/api/manual_feedback_generation", on_feedback.manual, bodies.ManualFeedback, 5),
        post("/api/run_feedback_aggregation", on_feedback.aggregate, bodies.RunAggregation, 10),
        post("/api/get_raw_feedbacks", on_feedback.get_raw, bodies.GetRawFeedback),
        post("/api/search_raw_feedbacks", on_feedback.search_raw, bodies.SearchRawFeedback),
        post("/api/add_raw_feedback", on_feedback.add_raw, bodies.AddRawFeedback),
        sent("DELETE", "/api/delete_raw_feedback", on_feedback.delete_raw, bodies.DeleteRawFeedback),
        post("/api/upgrade_all_raw_feedbacks", on_feedback.upgrade, bodies.MoveRawFeedback),
        post("/api/downgrade_all_raw_feedbacks", on_feedback.downgrade, bodies.MoveRawFeedback),
        post("/api/get_feedbacks", on_feedback.get, bodies.GetFeedback),
        post("/api/search_feedbacks", on_feedback.search, bodies.SearchFeedback),
        post("/api/add_feedbacks", on_feedback.add, bodies.AddFeedback),
        sent("PUT", "/api/update_feedback_status", on_feedback.update_status, bodies.UpdateStatus),
        sent("DELETE", "/api/delete_feedback", on_feedback.delete, bodies.DeleteFeedback),
    )
)
