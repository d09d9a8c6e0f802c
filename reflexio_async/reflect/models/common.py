"""What the requests to a Reflect server have in common."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reflexio_async._engine.models import ListOf, NotBlank, RequestModel, RequestPart

_VERDICTS = {"pass": "pass", "success": "pass", "fail": "fail", "failure": "fail"}


def verdict(result: str) -> str:
    """Return ``pass`` or ``fail``. ``success`` and ``failure`` mean the same. Case does not matter."""
    known = _VERDICTS.get(result.strip().lower())
    if known is None:
        message = "must be 'pass' or 'fail' ('success' and 'failure' mean the same)"
        raise ValueError(message)
    return known


def _none_as_empty(value: Any) -> Any:
    return () if value is None else value


Verdict = Annotated[str, AfterValidator(verdict), WithJsonSchema({"enum": ["pass", "fail"]})]
StepSize = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
Ids = Annotated[ListOf[NotBlank], BeforeValidator(_none_as_empty)]


class OmitsNone(RequestPart):
    """A part of a request. Its fields that are None are not sent."""

    @model_validator(mode="after")
    def _omit_none(self) -> Self:
        fields = self.model_fields_set
        fields -= {name for name in fields if getattr(self, name) is None}
        return self


class ReflectRequest(OmitsNone, RequestModel):
    """The base of every request to a Reflect server."""


class InProject(ReflectRequest):
    """A request that belongs to a project."""

    project_id: NotBlank | None = Field(
        default=None, exclude=True, description="The project. None: the project of the client."
    )


class NoFields(InProject):
    """A request without fields but the project."""
