"""Messages: length-framed msgpack on a stream socket, with sizes checked on both sides.

A frame is four bytes of length, big-endian, then a msgpack map. A descriptor may travel
with the four bytes. What comes in is bounded before it is read, and again while unpacked.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgpack

#: A request holds numbers and short texts.
MAX_REQUEST = 64 * 2**10
#: A reply holds at most some dozen crops.
MAX_REPLY = 64 * 2**20

_HEADER = struct.Struct(">I")
Message = dict[str, Any]


class BadMessage(ValueError):
    """The other side sent something that it must not send."""


class Closed(ConnectionError):
    """The other side is gone."""


def send(channel: socket.socket, message: Message, *, limit: int, fd: int | None = None) -> None:
    """Send one message, with a descriptor if there is one.

    Raises:
        BadMessage: it is larger than `limit`.
        Closed: nobody is there to take it.
    """
    body = msgpack.packb(message, use_bin_type=True)
    if len(body) > limit:
        raise BadMessage(f"a message of {len(body)} bytes, {limit} allowed")
    header = _HEADER.pack(len(body))
    try:
        if fd is None:
            channel.sendall(header + body)
            return
        sent = socket.send_fds(channel, [header], [fd])
        channel.sendall(header[sent:] + body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Closed from error


def receive(
    channel: socket.socket, *, limit: int, wait: Callable[[], None] | None = None
) -> tuple[Message, int | None]:
    """Receive one message and its descriptor, which is then the caller's to close.

    Args:
        channel: a stream socket.
        limit: bytes that a message may have.
        wait: called before each read; returns when there is something, or raises.

    Raises:
        BadMessage: it is too large, or no message.
        Closed: the other side is gone.
    """
    fds: list[int] = []
    try:
        message = _unpack(_read_body(channel, limit, wait, fds))
    except BaseException:
        _close(fds)
        raise
    _close(fds[1:])
    return message, fds[0] if fds else None


def _read_body(
    channel: socket.socket, limit: int, wait: Callable[[], None] | None, fds: list[int]
) -> bytes:
    (length,) = _HEADER.unpack(_read(channel, _HEADER.size, wait, fds))
    if length > limit:
        raise BadMessage(f"a message of {length} bytes, {limit} allowed")
    return _read(channel, length, wait, fds)


def _read(
    channel: socket.socket, count: int, wait: Callable[[], None] | None, fds: list[int]
) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        if wait is not None:
            wait()
        try:
            part, found, _, _ = socket.recv_fds(channel, min(count - len(parts), 2**20), 1)
        except ConnectionResetError as error:
            raise Closed from error
        fds.extend(found)
        if not part:
            raise Closed
        parts += part
    return bytes(parts)


def _unpack(body: bytes) -> Message:
    try:
        message = msgpack.unpackb(
            body, raw=False, max_array_len=100_000, max_map_len=64, max_ext_len=0
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BadMessage(str(error)) from error
    if not isinstance(message, dict):
        raise BadMessage("no map")
    return message


def _close(fds: list[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
