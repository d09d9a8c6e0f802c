"""Tokens of jobs that are rows of a store."""

from __future__ import annotations

import json

import pytest

from reflexio_async import InvalidRequest
from reflexio_async._engine.jobs.tokens import Token
from tests.scene import scene

WITHOUT_ROW = Token("profile_rerun", "http://s", "op-1", {"user_id": "u"}, 7)


def test_a_token_without_a_row_is_written_without_one() -> None:
    assert WITHOUT_ROW.to_text() == (
        '{"v":1,"kind":"profile_rerun","url":"http://s","id":"op-1","params":{"user_id":"u"},"not_before":7}'
    )


@pytest.mark.parametrize("operation_id", ["", "op-1"])
def test_a_token_with_a_row_is_read_as_it_was_written(operation_id: str) -> None:
    token = Token("profile_rerun", "http://s", operation_id, row="row-1")
    assert Token.from_text(token.to_text()) == token


def test_a_token_with_a_row_has_a_version_that_older_releases_refuse() -> None:
    """They would take the empty id for that of an operation."""
    assert json.loads(Token("profile_rerun", "http://s", "", row="row-1").to_text())["v"] == 2


@pytest.mark.parametrize("change", [{"row": "row-1"}, {"v": 2}, {"v": 3, "row": "row-1"}])
def test_a_row_belongs_to_version_2_alone(change: dict[str, object]) -> None:
    text = json.dumps(json.loads(WITHOUT_ROW.to_text()) | change)
    with pytest.raises(InvalidRequest, match="written by another release than this one"):
        Token.from_text(text)


async def test_a_client_without_a_store_says_where_a_job_that_was_not_begun_is_found() -> None:
    async with scene() as play:
        token = Token("profile_rerun", play.client.base_url, "", row="row-1")
        with pytest.raises(InvalidRequest, match="open the client with store="):
            play.client.job(token.to_text())


async def test_a_client_without_a_store_finds_a_job_that_was_begun() -> None:
    async with scene(1, rerun_seconds=30.0) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert job.token is not None
        begun = Token(
            **{name: value for name, value in json.loads(job.token).items() if name != "v"}, row="row-1"
        )
        assert (await play.client.job(begun.to_text())).profiles_generated == 1
