"""Seccomp: system calls that a decoder never needs are refused, on every thread.

A list of what is refused, not of what is allowed: Python, OpenVINO and the allocator use
calls that change with their versions, and a refused call is an error, not the end. Opening
files, sockets and programs, and touching other processes, is what an intruder needs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  #: offsets in struct seccomp_data
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000

#: By machine: the audit architecture, `seccomp`, `clone`, and the numbers that are refused.
#: The comments name them in the order of their purpose.
_COMMON = (437, 424, 425, 428, 429, 430, 431, 432, 442)  # openat2, pidfd, io_uring, mounts
_MACHINES: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        317,
        56,
        (
            *(2, 257, 85),  # open, openat, creat
            *(41, 42, 43, 49, 50, 288),  # socket, connect, accept, bind, listen, accept4
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(62, 101, 310, 311, 312),  # kill, ptrace, process_vm_readv, _writev, kcmp
            *(76, 82, 83, 84, 86, 87, 88, 90, 92, 94),  # files by their paths
            *(133, 258, 259, 260, 263, 264, 265, 266, 268, 316),  # the same, relative
            *(155, 161, 165, 166, 272, 308),  # pivot_root, chroot, mount, umount2, namespaces
            *(246, 248, 249, 250, 298, 320, 321, 323),  # kexec, keys, perf, bpf, userfaultfd
        ),
    ),
    "aarch64": (
        0xC00000B7,
        277,
        220,
        (
            *(56,),  # openat
            *(198, 200, 201, 202, 203, 242),  # socket, bind, listen, accept, connect, accept4
            *(221, 281),  # execve, execveat
            *(117, 129, 270, 271, 272),  # ptrace, kill, process_vm_readv, _writev, kcmp
            *(33, 34, 35, 36, 37, 38, 45, 53, 54, 276),  # files by their paths
            *(39, 40, 41, 51, 97, 268),  # umount2, mount, pivot_root, chroot, namespaces
            *(104, 217, 218, 219, 241, 280, 282, 294),  # kexec, keys, perf, bpf, userfaultfd
        ),
    ),
}
_CLONE3 = 435


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse_calls() -> bool:
    """Set the filter on all threads of this process. False where the system has none."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or struct.calcsize("P") != 8:
        return False
    architecture, seccomp, clone, refused = machine
    code = ctypes.create_string_buffer(_program(architecture, clone, (*refused, *_COMMON)))
    program = _Program(len(code.raw) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(
        ctypes.c_long(seccomp),
        ctypes.c_ulong(_SET_MODE_FILTER),
        ctypes.c_ulong(_ALL_THREADS),
        ctypes.byref(program),
    )
    return bool(result == 0)


def _program(architecture: int, clone: int, refused: tuple[int, ...]) -> bytes:
    """The filter as classic BPF: a test and, where it holds, the answer behind it."""
    refusal = _REFUSE | errno.EPERM
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUALS, architecture, holds=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, fails=1),
        _step(_RETURN, refusal),
        # glibc falls back to clone, whose flags can be read.
        _step(_EQUALS, _CLONE3, fails=1),
        _step(_RETURN, _REFUSE | errno.ENOSYS),
    ]
    for number in refused:
        steps += [_step(_EQUALS, number, fails=1), _step(_RETURN, refusal)]
    steps += [
        _step(_EQUALS, clone, fails=3),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _CLONE_THREAD, holds=1),
        _step(_RETURN, refusal),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _step(code: int, value: int, *, holds: int = 0, fails: int = 0) -> bytes:
    return struct.pack("=HBBI", code, holds, fails, value)


def is_active(pid: int) -> bool:
    """Whether a process runs under a filter, as the kernel says."""
    try:
        status = os.open(f"/proc/{pid}/status", os.O_RDONLY)
    except OSError:
        return False
    with os.fdopen(status) as lines:
        return any(line.split() == ["Seccomp:", "2"] for line in lines)
