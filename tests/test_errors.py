"""The error classes, and the drawing of their tree at the top of ``errors.py``."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pytest

import reflexio_async
from reflexio_async import InvalidRequest, errors
from reflexio_async.errors import printable


def drawn() -> dict[str, str]:
    """Each class in the drawing, with its parent."""
    doc = errors.__doc__
    assert doc is not None
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in doc.splitlines():
        found = re.match(r"^ {4}([│ ]*[├└]── )?(\w+)(?: {2,}|$)", line)
        if found is None:
            continue
        depth = len(found[1] or "") // 4
        name = found[2]
        del above[depth:]
        if above:
            parents[name] = above[-1]
        above.append(name)
    return parents


def classes() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.ReflexioError)
    }


def test_the_drawing_matches_the_classes() -> None:
    tree = {
        name: kind.__bases__[0].__name__
        for name, kind in classes().items()
        if kind is not errors.ReflexioError
    }
    assert drawn() == tree


def test_every_error_is_exported() -> None:
    assert classes().keys() <= set(reflexio_async.__all__)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.InvalidRequest, ValueError),
        (errors.APITimeout, TimeoutError),
        (errors.JobTimeout, TimeoutError),
        (errors.JobFailed, RuntimeError),
    ],
)
def test_some_errors_have_a_builtin_base(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)


def test_every_error_has_a_docstring() -> None:
    assert [name for name, kind in classes().items() if not kind.__doc__] == []


def test_a_status_error_has_its_correlation_id_and_defaults() -> None:
    error = errors.NotFound(
        "gone", status=404, method="GET", path="/x", headers={"x-correlation-id": "a75f03a8"}
    )
    assert (error.correlation_id, error.retry_after, error.attempts) == ("a75f03a8", None, 1)
    assert not error.outcome_unknown
    assert errors.NotFound("gone", status=404, method="GET", path="/x").correlation_id is None


EXAMPLES: list[tuple[type[Exception], dict[str, Any]]] = [
    (errors.ConfigurationError, {}),
    (errors.APIConnectionError, {"outcome_unknown": True, "attempts": 3}),
    (errors.APITimeout, {"outcome_unknown": True}),
    (errors.RateLimited, {"status": 429, "method": "GET", "path": "/x", "retry_after": 3.0}),
    (errors.UnexpectedResponse, {"url": "http://x", "status": 200}),
]


@pytest.mark.parametrize(("kind", "fields"), EXAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_an_error_can_be_pickled(kind: type[Exception], fields: dict[str, Any]) -> None:
    """Process pools and task queues pickle the errors of their workers."""
    error = pickle.loads(pickle.dumps(kind("what happened", **fields)))  # noqa: S301  # bytes of this test
    assert type(error) is kind
    assert str(error) == "what happened"
    for name, value in fields.items():
        assert getattr(error, name) == value


def test_a_message_is_one_printable_line_of_limited_length() -> None:
    error = InvalidRequest("a\x1b[2J\r\nb\u202e\ud800" + "x" * 10_000)
    assert str(error).startswith(r"a\x1b[2J b\u202e\ud800xxx")
    assert len(str(error)) == 4001
    assert error.faults == str(error)


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("naïve 日本語 🍣") == "naïve 日本語 🍣"
    assert printable("abc", 2) == "ab…"
