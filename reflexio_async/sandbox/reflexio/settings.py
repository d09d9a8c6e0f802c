"""How the sandbox's Reflexio service behaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Dialect = Literal["correlated", "uncorrelated", "synchronous"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``Sandbox`` was given, and documents.

    Raises ValueError, or TypeError for a wrong type, naming the option.
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
            expected(name, getattr(self, name), bool, "True or False")
        for name in ("learning_seconds", "aggregation_seconds", "evaluation_seconds"):
            seconds(name, getattr(self, name))
        if self.token_lifetime is not None:
            seconds("token_lifetime", self.token_lifetime)
        if not callable(self.rerun_seconds):
            seconds("rerun_seconds", self.rerun_seconds)
        if self.api_key is not None:
            # Even of a wrong type it may be a secret.
            expected("api_key", self.api_key, str, "a text", shown=False)
        expected("logins", self.logins, Mapping, "a mapping from email to password", shown=False)
        object.__setattr__(self, "logins", dict(self.logins))  # the caller's own may change
        several("failing_users", self.failing_users, "a collection of user ids")

    @property
    def guarded(self) -> bool:
        """Whether callers must show a bearer token."""
        return self.api_key is not None or bool(self.logins)


def expected(name: str, given: Any, kind: type[Any], wanted: str, *, shown: bool = True) -> None:
    """Raise TypeError unless ``given`` is of this kind."""
    if not isinstance(given, kind):
        message = f"{name} must be {wanted}, not {repr(given) if shown else type(given).__name__}"
        raise TypeError(message)


def several(name: str, given: Any, wanted: str) -> None:
    """Raise TypeError unless ``given`` is a collection; a single text is none."""
    if isinstance(given, str):
        message = f"{name} must be a collection; did you mean [{given!r}]?"
        raise TypeError(message)
    expected(name, given, Collection, wanted)


def seconds(name: str, given: Any) -> None:
    """Raise ValueError (TypeError for what is no number) unless these are seconds that can pass."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        message = f"{name} must be a number of seconds, not {given!r}"
        raise TypeError(message)
    if not 0 <= given < math.inf:
        message = f"{name} must be a finite number of seconds, 0 or more, not {given!r}"
        raise ValueError(message)


def whole(name: str, given: Any, *, least: int = 0) -> None:
    """Raise ValueError (TypeError for what is no whole number) unless it is ``least`` or more."""
    if isinstance(given, bool) or not isinstance(given, int):
        message = f"{name} must be a whole number, not {given!r}"
        raise TypeError(message)
    if given < least:
        message = f"{name} must be {least} or more, not {given!r}"
        raise ValueError(message)
