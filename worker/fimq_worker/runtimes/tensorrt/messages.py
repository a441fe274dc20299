"""What TensorRT says, into our log.

It answers None or False where something failed, and says why only to its logger. So its
errors are kept for the exception that is raised for that answer, which is the one line that
an operator reads; at `debug` the log has every word.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

_ERRORS: Final = {"INTERNAL_ERROR", "ERROR"}
_LONGEST: Final = 300

_log = structlog.get_logger(__name__)


class Messages:
    """The messages of one runtime."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._errors: list[str] = []

    def logger(self, trt: Any) -> Any:
        """A logger as TensorRT takes it; it must outlive what it was given to."""
        take = self.take

        class Logger(trt.ILogger):  # type: ignore[misc]  # of a module without types
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                take(severity.name, msg)

        return Logger()

    def take(self, severity: str, text: str) -> None:
        """Keep an error; log it and what else may help to find a fault."""
        if severity in _ERRORS:
            self._errors.append(text)
        if severity != "VERBOSE":
            _log.debug("tensorrt", severity=severity.lower(), says=text)

    def why(self) -> str:
        """The first error since this was asked last, in one line: later ones follow from it."""
        first = self._errors[0] if self._errors else "it does not say why"
        self._errors.clear()
        return " ".join(first.split())[:_LONGEST]
