"""Settings of the sandbox's Reflexio service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from reflexio_async.sandbox.checks import check_collection, check_seconds, check_type

Dialect = Literal["correlated", "uncorrelated", "synchronous"]
"""A generation of servers: how reruns are started and followed."""


@dataclass(frozen=True, slots=True)
class ReflexioSettings:
    """The options of ``Sandbox``, which documents them.

    Raises:
        TypeError: An option has a wrong type. The message names it.
        ValueError: An option has a wrong value. The message names it.
    """

    dialect: Dialect = "correlated"
    rate_limits: bool = False
    api_key: str | None = field(default=None, repr=False)
    logins: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    token_lifetime: float | None = None
    rerun_seconds: float | Callable[[str], float] = 0.0
    failing_users: Collection[str] = ()
    learning_seconds: float = 0.0
    aggregation_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    my_config: bool = False
    legacy: bool = False

    def __post_init__(self) -> None:
        if self.dialect not in get_args(Dialect):
            message = f"dialect must be one of {', '.join(get_args(Dialect))}, not {self.dialect!r}"
            raise ValueError(message)
        for name in ("rate_limits", "my_config", "legacy"):
            check_type(name, getattr(self, name), bool, "True or False")
        for name in ("learning_seconds", "aggregation_seconds", "evaluation_seconds"):
            check_seconds(name, getattr(self, name))
        if self.token_lifetime is not None:
            check_seconds("token_lifetime", self.token_lifetime)
        if not callable(self.rerun_seconds):
            check_seconds("rerun_seconds", self.rerun_seconds)
        if self.api_key is not None:
            check_type("api_key", self.api_key, str, "a text", secret=True)
        check_type("logins", self.logins, Mapping, "a mapping from email to password", secret=True)
        object.__setattr__(self, "logins", dict(self.logins))  # a copy: the caller may change its own
        check_collection("failing_users", self.failing_users, "a collection of user ids")

    @property
    def guarded(self) -> bool:
        """Whether requests need a bearer token."""
        return self.api_key is not None or bool(self.logins)
