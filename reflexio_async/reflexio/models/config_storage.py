"""The parts of the configuration that hold credentials: storage and API keys. Credentials are masked."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
)

from reflexio_async._engine.models import REVEAL, Secret
from reflexio_async.reflexio.models.masks import masked


class StorageConfigTest(IntEnum):
    """The result of testing the storage. The server has only the number."""

    UNKNOWN = 0
    INCOMPLETE = 1
    FAILED = 2
    SUCCEEDED = 3


class ConfigPart(BaseModel):
    """A part of the configuration. Fields that this release does not know are kept, and sent back.

    Credentials in them are masked in reprs and dumps.
    """

    hides_unknown_texts: ClassVar[bool] = False
    """Whether every text in an unknown field is masked, not only what has the name of a credential."""

    model_config = ConfigDict(
        extra="allow",
        validate_assignment=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        defer_build=True,
    )

    @model_serializer(mode="wrap")
    def _without_unknown_credentials(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if info.context != REVEAL:
            for name in self.model_extra or {}:
                if name in fields:
                    fields[name] = masked(fields[name], name, everything=self.hides_unknown_texts)
        return fields

    def __repr_args__(self) -> Any:
        """The fields, without credentials."""
        unknown = self.model_extra or {}
        for name, value in super().__repr_args__():
            known = name not in unknown
            yield name, value if known else masked(value, str(name), everything=self.hides_unknown_texts)

    def to_wire(self) -> dict[str, Any]:
        """The fields that were read or set, with secrets in clear: for sending, or for a backup.

        ``set_config`` takes it back. A dump it does not take: there the secrets are masked.
        """
        return self._with_changed_parts().model_dump(mode="json", exclude_unset=True, context=REVEAL)

    def _with_changed_parts(self) -> Self:
        """A copy in which a part counts as set when a field within it was set."""
        parts: dict[str, ConfigPart] = {}
        for name, value in self:
            if isinstance(value, ConfigPart):
                part = value._with_changed_parts()  # noqa: SLF001  # of this class
                if name in self.model_fields_set or part.model_fields_set:
                    parts[name] = part
        return self.model_copy(update=parts)


class StorageConfigSQLite(ConfigPart):
    """SQLite."""

    db_path: str | None = None
    storage_type: Literal["sqlite"] = Field(default="sqlite", alias="type")


class StorageConfigSupabase(ConfigPart):
    """Supabase."""

    url: str
    key: Secret
    db_url: Secret
    read_key: Secret | None = None
    read_url: str | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    storage_type: Literal["supabase"] = Field(default="supabase", alias="type")


class StorageConfigPostgres(ConfigPart):
    """PostgreSQL."""

    db_url: Secret
    pool_acquire_timeout: Annotated[float, Field(gt=0)] = 30.0
    pool_size: Annotated[int, Field(ge=1)] = 10
    read_db_url: Secret | None = None
    read_pool_acquire_timeout: Annotated[float, Field(gt=0)] | None = None
    read_pool_size: Annotated[int, Field(ge=1)] | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    storage_type: Literal["postgres"] = Field(default="postgres", alias="type")


class StorageConfigDisk(ConfigPart):
    """A folder of files. Older servers have it."""

    dir_path: str
    qmd_binary: str = "qmd"


class StorageConfigManagedSupabase(ConfigPart):
    """Storage that the hosted service manages."""

    managed_by: Literal["platform"]
    schema_present: bool = True


class UnknownStorage(ConfigPart):
    """Storage that this release does not know. Its texts are masked: they may be credentials."""

    hides_unknown_texts = True

    def __repr_args__(self) -> Any:
        """The names of the fields, without their values."""
        return [(name, "***") for name in self.model_extra or {}]


def _kind_of_storage(value: Any) -> str:
    """The tag of the kind of storage that ``value`` is: a model, or a mapping that was read."""
    fields = dict[str, Any](value)
    if "managed_by" in fields:
        return "managed"
    kind = fields.get("type", fields.get("storage_type"))
    if kind is None:
        # Servers leave out the type, except that of PostgreSQL (server-behaviour: Configuration).
        if fields.keys() >= {"url", "key", "db_url"}:
            return "supabase"
        if "dir_path" in fields:
            return "disk"
        return "sqlite" if fields.keys() <= {"db_path"} else "unknown"
    return str(kind) if kind in ("sqlite", "supabase", "postgres", "disk") else "unknown"


def _tag(value: Any) -> str | None:
    return _kind_of_storage(value) if isinstance(value, Mapping | ConfigPart) else None


StorageConfig: TypeAlias = Annotated[
    Annotated[StorageConfigSQLite, Tag("sqlite")]
    | Annotated[StorageConfigSupabase, Tag("supabase")]
    | Annotated[StorageConfigPostgres, Tag("postgres")]
    | Annotated[StorageConfigDisk, Tag("disk")]
    | Annotated[StorageConfigManagedSupabase, Tag("managed")]
    | Annotated[UnknownStorage, Tag("unknown")],
    Discriminator(_tag, custom_error_type="storage", custom_error_message="must be a mapping"),
]


class AnthropicConfig(ConfigPart):
    """Anthropic."""

    api_key: Secret


class CustomEndpointConfig(ConfigPart):
    """An endpoint that speaks the OpenAI protocol."""

    model: str
    api_key: Secret
    api_base: str


class DashScopeConfig(ConfigPart):
    """DashScope."""

    api_key: Secret
    api_base: str | None = None


class DeepSeekConfig(ConfigPart):
    """DeepSeek."""

    api_key: Secret


class GeminiConfig(ConfigPart):
    """Gemini."""

    api_key: Secret


class MiniMaxConfig(ConfigPart):
    """MiniMax."""

    api_key: Secret


class MoonshotConfig(ConfigPart):
    """Moonshot."""

    api_key: Secret


class AzureOpenAIConfig(ConfigPart):
    """A deployment on Azure OpenAI."""

    api_key: Secret
    endpoint: str
    api_version: str = "2024-02-15-preview"
    deployment_name: str | None = None


class OpenAIConfig(ConfigPart):
    """OpenAI, or Azure OpenAI."""

    api_key: Secret | None = None
    azure_config: AzureOpenAIConfig | None = None


class OpenRouterConfig(ConfigPart):
    """OpenRouter."""

    api_key: Secret


class XAIConfig(ConfigPart):
    """xAI."""

    api_key: Secret


class ZAIConfig(ConfigPart):
    """Z.ai."""

    api_key: Secret


class APIKeyConfig(ConfigPart):
    """The organisation's own keys, by provider."""

    hides_unknown_texts = True

    anthropic: AnthropicConfig | None = None
    custom_endpoint: CustomEndpointConfig | None = None
    dashscope: DashScopeConfig | None = None
    deepseek: DeepSeekConfig | None = None
    gemini: GeminiConfig | None = None
    minimax: MiniMaxConfig | None = None
    moonshot: MoonshotConfig | None = None
    openai: OpenAIConfig | None = None
    openrouter: OpenRouterConfig | None = None
    xai: XAIConfig | None = None
    zai: ZAIConfig | None = None
