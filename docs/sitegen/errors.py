"""The page of the errors."""

from __future__ import annotations

from reflexio_async import errors
from sitegen.markdown import docstring
from sitegen.objects import attributes

WHAT_TO_DO = {
    "ConfigurationError": "Mend the option that the message names.",
    "InvalidRequest": "Mend the argument that the message names.",
    "ClientClosed": "Make a new client. If `outcome_unknown` is true, look for its effect.",
    "Withdrawn": "Nothing: you stopped it.",
    "APIConnectionError": "Check the address. If `outcome_unknown` is true, look before you send again.",
    "APITimeout": "Raise `timeout`, or try later. If `outcome_unknown` is true, look before you send again.",
    "APIStatusError": "Read `status` and `server_message`.",
    "BadRequest": "Mend the request.",
    "AuthenticationError": "Check the key, or sign in again.",
    "PermissionDenied": "Use a key that is allowed to.",
    "NotFound": "Check the id. If the server lacks the call, the message names the one to use.",
    "Conflict": "Read the state of the server, and decide anew.",
    "PayloadTooLarge": "Send less at once.",
    "UnprocessableRequest": "Mend the field that the message names.",
    "RateLimited": "Wait for `retry_after` seconds, or raise `timeout`: the client then waits by itself.",
    "ServerError": "Try later. If `outcome_unknown` is true, look before you send again.",
    "UnexpectedResponse": "Check that the address is that of the API: a proxy or a page may have answered.",
    "RequestRefused": "Read the message; the response is `error.response`.",
    "JobError": "Read `error.status`.",
    "JobFailed": "Read the reason for each user in `failed_users`.",
    "JobTimeout": "Wait again: `await client.job(error.token)`.",
    "JobCancelled": "Nothing: it was asked for, here or elsewhere.",
    "JobLost": "Start it again if doing the work twice does no harm.",
    "BatchInterrupted": "Mend the iterable; `error.report` has what was finished.",
    "StoreError": "See [the errors of a store](../../how-to/store.md#errors).",
    "LeaseLost": "Nothing: the other process goes on with it.",
}


def error_classes() -> list[type[errors.ReflexioError]]:
    """Every error of the package, in the order of the tree."""
    found: list[type[errors.ReflexioError]] = []
    waiting: list[type[errors.ReflexioError]] = [errors.ReflexioError]
    while waiting:
        kind = waiting.pop(0)
        if kind.__module__ == errors.__name__:
            found.append(kind)
        waiting = [*kind.__subclasses__(), *waiting]
    return found


def errors_page() -> str:
    """The page about errors."""
    parts = ["# Errors", docstring(errors).text]
    for kind in error_classes():
        parts += [f"## `{kind.__name__}`", docstring(kind).text]
        if kind.__name__ in WHAT_TO_DO:
            parts.append(f"**What to do**: {WHAT_TO_DO[kind.__name__]}")
        parts.append(attributes(kind))
    return "\n\n".join(part for part in parts if part)
