"""What must hold, whatever fails."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from tests.faults.disturbances import SERVICES
from tests.faults.schedules import (
    ForeignOperation,
    ManualGeneration,
    Outage,
    Publish,
    PublishBatch,
    RerunBatch,
    Reruns,
    Restart,
)
from tests.faults.simulation import Simulation
from tests.scene import PLAYBOOKS, PUBLISH, RERUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.http.request_log import Record
    from reflexio_async.sandbox.reflexio.store.operation_slots import StoredOperation
    from tests.faults.calls import Call


_PATHS = {
    "rerun": RERUN,
    "playbook rerun": PLAYBOOKS,
    "manual": "/api/manual_profile_generation",
    "publish": PUBLISH,
}
_AT_ONCE = 40  # requests of one kind that may be sent without any time passing


class CheckedSimulation(Simulation):
    """A simulation that compares what its callers were told with what happened at the server."""

    def judge(self) -> None:
        """Add to ``problems`` whatever does not hold. It may be called again after the retries."""
        for call in self.calls:
            if call.error is not None:
                self.check_error(call.error, f"{call.what} {call.key}")
            if call.ends > 1 or (call.ends == 0 and not (call.abandoned or call.optional or self.left_early)):
                self.problems.append(f"{call.what} {call.key}: {call.ends} outcomes")
        at_once = Counter((record.method, record.path, record.at) for record in self.box.requests)
        self.problems += [f"{n} times at once: {what}" for what, n in at_once.items() if n > _AT_ONCE]
        self._judge_publishes()
        self._judge_reruns()
        self._judge_lost()
        self._judge_progress()
        self.problems = list(dict.fromkeys(self.problems))

    @property
    def left_early(self) -> bool:
        return self.schedule.leave_at is not None

    def _judge_publishes(self) -> None:
        stored = Counter(
            turn.content for request in self.box.stored_requests.values() for turn in request.interactions
        )
        for call in self.calls:
            if call.what != "publish":
                continue
            copies = stored[call.key]
            if copies > 1:
                self.problems.append(f"{call.key} is stored {copies} times")
            if call.completed and not call.abandoned and copies != 1:
                self.problems.append(f"{call.key} was said to be stored and is not: {call.result!r}")
            if call.surely_without_effect and copies and not call.retried:
                self.problems.append(f"{call.key} was said to have failed and is stored: {call.error!r}")

    def _judge_reruns(self) -> None:
        if self.schedule.dialect == "synchronous":
            return
        for what, service, name in (
            ("rerun", SERVICES[0], "user_id"),
            ("playbook rerun", SERVICES[1], "agent_version"),
        ):
            calls = [call for call in self.calls if call.what == what]
            operations = [
                operation
                for operation in self.box.operations(service)
                if operation.params.get("mode") is None and operation.params.get(name) != "somebody-else"
            ]
            self._judge_each(calls, operations, name)
            if not self._touches_starts(service) and not any(
                isinstance(s, ManualGeneration) for s in self.schedule.steps
            ):
                wasted = self.busy_refusals[service]
                if wasted > self.disturbances.foreign[service] + self._restarts:
                    self.problems.append(
                        f"{wasted} busy refusals for {self.disturbances.foreign[service]} intrusions"
                    )

    @property
    def _restarts(self) -> int:
        return sum(isinstance(step, Restart) for step in self.schedule.steps)

    def _touches_starts(self, service: str) -> bool:
        return any(
            service.split("_", maxsplit=1)[0] in fault.path for fault in self.schedule.scheduled_faults
        )

    def _judge_each(self, calls: Sequence[Call], operations: Sequence[StoredOperation], name: str) -> None:
        by_id = {operation.operation_id: operation for operation in operations}
        claimed: Counter[str] = Counter()
        for call in calls:
            if call.completed and self.schedule.dialect == "correlated" and call.result.success:
                claimed[call.result.operation_id] += 1
                operation = by_id.get(call.result.operation_id)
                if (
                    operation is None
                    or operation.status != "completed"
                    or operation.params.get(name) != call.key
                ):
                    self.problems.append(f"{call.key} was said to be completed: {operation}")
        self.problems += [f"{count} callers were given {key}" for key, count in claimed.items() if count > 1]
        for key in {call.key for call in calls}:
            theirs = [operation for operation in operations if operation.params.get(name) == key]
            mine = [call for call in calls if call.key == key]
            started = len(mine) - sum(call.surely_without_effect for call in mine)
            if len(theirs) > started:
                told = [(call.result, call.error) for call in mine]
                self.problems.append(f"{key}: {len(theirs)} operations for {started} starts; told {told}")
            completed = sum(call.completed and call.result.success for call in mine)
            if completed > sum(operation.status == "completed" for operation in theirs):
                self.problems.append(f"{key}: more completed than the server did: {theirs}")

    def _judge_lost(self) -> None:
        """What has never arrived at the server was not sent, and so is not lost."""
        if self.left_early or self._restarts:
            return  # a request may be on its way when a connection is closed
        for call in self.calls:
            if call.lost and not any(_is_start_of(record, call) for record in self.box.requests):
                self.problems.append(f"{call.key} is called lost, and was never sent: {call.error!r}")

    def _judge_progress(self) -> None:
        """Where nothing went wrong, everything has to succeed."""
        schedule = self.schedule
        if (
            schedule.scheduled_faults
            or self.left_early
            or schedule.failing is not None
            or schedule.timeout < 300.0
        ):
            return
        for step in schedule.steps:
            match step:
                case ForeignOperation() | Restart() | Outage() | ManualGeneration():
                    return
                case Publish(request_id=str()):
                    return
                case RerunBatch() | Reruns() if step.wait_timeout is not None:
                    return
                case RerunBatch() | PublishBatch() if (step.stop_after, step.cancel_after) != (None, None):
                    return
                case Reruns(disturb_after=float()) | Reruns(playbooks=True) | RerunBatch(fail_fast=True):
                    return
                case _:
                    pass
        for call in self.calls:
            if call.error is not None:
                self.problems.append(f"nothing went wrong, but {call.key}: {call.error!r}")


def _is_start_of(record: Record, call: Call) -> bool:
    body: Any = record.body
    if record.path != _PATHS[call.what] or not isinstance(body, dict):
        return False
    body = cast("dict[str, Any]", body)
    keys = [body.get("user_id"), body.get("agent_version")]
    return call.key in [*keys, *(turn["content"] for turn in body.get("interaction_data_list", ()))]
