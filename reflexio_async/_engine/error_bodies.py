"""The bodies of error answers. What a 422 echoes of the input is dropped on reading."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Fault(BaseModel):
    """One field that the server refused."""

    model_config = ConfigDict(defer_build=True)

    loc: tuple[str | int, ...] = ()
    msg: str = ""

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.loc if part != "body")
        return f"{where}: {self.msg}" if where else self.msg


class Detail(BaseModel):
    """A reason in parts, as some routes give it."""

    model_config = ConfigDict(defer_build=True)

    message: str | None = None
    error: str | None = None
    reason: str | None = None
    hint: str | None = None
    operation_id: str | None = None

    def __str__(self) -> str:
        parts = (self.message, self.error, self.reason, self.hint, self.operation_id)
        return "; ".join(part for part in parts if part)


class Problem(BaseModel):
    """FastAPI's ``detail`` in its three shapes, or the rate limiter's ``error``."""

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    detail: list[Fault] | Detail | str | None = None
    error: str | None = None
    message: str | None = None

    def __str__(self) -> str:
        detail = self.detail
        said = "; ".join(map(str, detail)) if isinstance(detail, list) else str(detail or "")
        return said or self.error or self.message or ""


class Refusal(BaseModel):
    """A refusal without the fields that the answer otherwise has."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, defer_build=True)

    success: Literal[False]
    msg: str | None = None
    message: str | None = None
