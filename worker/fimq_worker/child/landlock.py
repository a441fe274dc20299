"""Landlock: no file, socket or other process can be reached any more from this thread.

What is already open stays open: the video's descriptor, and the channel to the parent.
"""

from __future__ import annotations

import ctypes

_CREATE, _RESTRICT = 444, 446  # the same on every architecture
_VERSION_FLAG = 1
#: Rights over files that each version of the kernel's interface added.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NETWORK_SINCE, _NETWORK_RIGHTS = 4, 0b11
_SCOPES_SINCE, _SCOPES = 6, 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


def close_everything() -> bool:
    """Restrict this thread and those it will start. False where the kernel has no Landlock."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(
        ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG)
    )
    if version < 1:
        return False
    ruleset = _Ruleset(files=sum(r for since, r in _FILE_RIGHTS.items() if since <= version))
    size = 8
    if version >= _NETWORK_SINCE:
        ruleset.network, size = _NETWORK_RIGHTS, 16
    if version >= _SCOPES_SINCE:
        ruleset.scopes, size = _SCOPES, 24
    fd = libc.syscall(
        ctypes.c_long(_CREATE), ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint(0)
    )
    if fd < 0:
        return False
    restricted = libc.syscall(ctypes.c_long(_RESTRICT), ctypes.c_int(fd), ctypes.c_uint(0))
    libc.close(ctypes.c_int(fd))
    return bool(restricted == 0)
