"""Logs: one line an event, as text for people or JSON for machines, on stderr.

Every line carries the job, step and worker it belongs to, through structlog's context
variables (`structlog.contextvars.bound_contextvars`). Standard-library logging, which
Celery and SQLAlchemy use, goes through the same renderer.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

#: Libraries whose `info` says nothing that our own lines do not.
_CHATTY = ("celery", "kombu", "alembic", "amqp")
#: User and password before the last @ of a URL with a host: written badly, one can hold
#: anything but a blank. A file's path begins with a slash, and may hold an @ of its own.
_USER_IN_URL = re.compile(r"(\w+://)(?!/)\S*@")
#: A secret that is given as a parameter, and what comes after: it may be a part of it.
_SECRET_PARAMETER = re.compile(r"(?i)([?&][a-z_]*(?:password|secret|token|key)=)\S+")


def redact(text: str) -> str:
    """Replace user, password and secret parameters of every URL in `text`."""
    return _SECRET_PARAMETER.sub(r"\1***", _USER_IN_URL.sub(r"\1***@", text))


def _redact_event(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and "://" in value:
            event[key] = redact(value)
    return event


def configure(level: str = "info", style: str = "text") -> None:
    """Send structlog and standard logging to stderr in one form. May be called again."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact_event,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            sort_keys=False,
            # The other formatters print local variables, and with them what is secret.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.format_exc_info if style == "json" else _unchanged,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _unchanged(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return event
