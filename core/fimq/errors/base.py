"""What every error of fimq is, and how a command can be used wrongly."""

from __future__ import annotations

from typing import Any, ClassVar


class FimqError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    #: A second try of the same step would end the same way.
    final: ClassVar[bool] = True
    registry: ClassVar[dict[str, type[FimqError]]] = {}

    def __init__(self, detail: str = "", **facts: Any) -> None:
        """Keep `detail` (a sentence that replaces the default message) and named facts."""
        self.detail = detail
        self.facts = facts
        super().__init__(detail or self.default_message())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        FimqError.registry[cls.code] = cls

    @classmethod
    def default_message(cls) -> str:
        """The first line of the class docstring, without its full stop."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")

    @property
    def message(self) -> str:
        """What went wrong, in one line."""
        return str(self)


class UsageError(FimqError):
    """The command was used in a way that cannot work."""

    code = "usage"
    exit_status = 2
    http_status = 400
