"""Addresses: which URLs of ledger, queue and store can be meant, before anybody opens one.

A URL that is read otherwise than it was written sends a part of its password on as the name
of a host, and from there into an error of somebody's. So whatever can be read in two ways is
refused here, in words that never repeat any of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

LEDGER_FORMS = "postgresql://user:password@host/database or sqlite:////path/to/file"
QUEUE_FORMS = "redis://:password@host:6379/0, rediss://... or redis+socket:///path/to/socket"
STORE_FORMS = "file:///path/to/folder or s3://bucket/prefix"

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg", "postgres+psycopg")
_REDIS = ("redis", "rediss")
_REDIS_SOCKET = "redis+socket"
_ESCAPED = "in a password write @ as %40, / as %2F, ? as %3F, # as %23, % as %25, a space as %20"


def ledger_url(url: str) -> str:
    """The ledger's URL, with a path of one's own folder made absolute.

    Raises:
        ValueError: it is no such URL; the message says what is one.
    """
    scheme, rest = _split(url, LEDGER_FORMS)
    if scheme in _SQLITE:
        path = rest.removeprefix("/")
        # ":memory:" would end with its process; without a path that is what SQLite takes.
        if path == rest or not path or path.startswith((":", "?")):
            raise ValueError(f"it names no file: {LEDGER_FORMS}")
        return f"{scheme}:///{_absolute(path)}"
    if scheme not in _POSTGRES:
        raise ValueError(f"a ledger's URL is {LEDGER_FORMS}")
    _check_server(url)
    return url


def queue_url(url: str) -> str:
    """The queue's URL.

    Raises:
        ValueError: it is no such URL; the message says what is one.
    """
    scheme, rest = _split(url, QUEUE_FORMS)
    if scheme not in {*_REDIS, _REDIS_SOCKET}:
        raise ValueError(f"a queue's URL is {QUEUE_FORMS}")
    _check_server(url)
    if scheme in _REDIS and not urlsplit(url).hostname:
        raise ValueError(f"it names no host: {QUEUE_FORMS}")
    if scheme in _REDIS and not re.fullmatch(r"/?|/[0-9]{1,4}", urlsplit(url).path):
        raise ValueError(f"its database is no number: {QUEUE_FORMS}")
    if scheme == _REDIS_SOCKET and not rest.partition("?")[0].strip("/"):
        raise ValueError(f"it names no socket: {QUEUE_FORMS}")
    return url


def store_url(url: str) -> str:
    """The store's URL.

    Raises:
        ValueError: it is no such URL; the message says what is one.
    """
    scheme, rest = _split(url, STORE_FORMS)
    if scheme == "file":
        if not rest:
            raise ValueError(f"it names no folder: {STORE_FORMS}")
        if not rest.startswith("/"):
            # Of the current folder it would be another store for each folder that one is in.
            raise ValueError(f"its folder has no / in front: {STORE_FORMS}")
        return url
    if scheme != "s3":
        raise ValueError(f"a store's URL is {STORE_FORMS}")
    if "@" in rest:
        raise ValueError("a store's URL carries no credentials: they are AWS_... variables")
    bucket = rest.partition("/")[0]
    if not bucket or set(rest) & set("?#") or ":" in bucket:
        raise ValueError("an s3:// URL takes a bucket and a prefix only")
    return url


def _split(url: str, forms: str) -> tuple[str, str]:
    scheme, found, rest = url.partition("://")
    if not found:
        raise ValueError(f"it is no URL: {forms}")
    return scheme, rest


def _absolute(path: str) -> str:
    return path if path.startswith("/") else str(Path(path).absolute())


def _check_server(url: str) -> None:
    """Return if a server's URL is read by everybody as its writer meant it.

    Raises:
        ValueError: it is not; what to write instead.
    """
    authority, _, rest = _split(url, "")[1].partition("/")
    if "@" in rest or url.count("@") > 1 or set(authority.rpartition("@")[0]) & set("?#"):
        raise ValueError(f"only one @ is read as the one before the host; {_ESCAPED}")
    # %00 ends a string in libpq; nothing else that is escaped does harm.
    if "%00" in url or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError(f"it has a space or an unprintable character; {_ESCAPED}")
    try:
        # Its port is looked at only when it is asked for.
        _ = urlsplit(url).port
    except ValueError:
        # Without the cause, which quotes the URL.
        raise ValueError(f"its host and port cannot be read; {_ESCAPED}") from None
