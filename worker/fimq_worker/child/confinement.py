"""Confinement: what a decode child takes from itself before it meets a video."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from fimq_worker.child.landlock import close_everything
from fimq_worker.child.seccomp import refuse_calls

_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES, _SET_DUMPABLE = 1, 38, 4
_OPEN_FILES = 64

#: What a child can be confined by; those that are active depend on the kernel.
LAYERS = ("parent-death-signal", "no-new-privileges", "resource-limits", "landlock", "seccomp")


def bind_to_parent(parent: int) -> list[str]:
    """Die with the parent, and gain no rights from any program. Returns the active layers.

    Exits at once if the parent is already gone: then the signal would never come.
    """
    layers = []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) == 0:
        layers.append("parent-death-signal")
    if os.getppid() != parent:
        raise SystemExit(0)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        layers.append("no-new-privileges")
    # No core file holds a face, and no process of this user may look into this one.
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    return layers


def limit_resources(memory: int) -> list[str]:
    """Cap address space, files, written bytes and core files; CPU time comes with requests."""
    caps = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, cap in caps.items():
        _, hard = resource.getrlimit(kind)
        allowed = cap if hard == resource.RLIM_INFINITY else min(cap, hard)
        resource.setrlimit(kind, (allowed, allowed))
    return ["resource-limits"]


def allow_cpu(seconds: float) -> None:
    """Let this process use so much more CPU time; above it the kernel ends it with SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(used + seconds) + 1
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


def close_the_door() -> list[str]:
    """Refuse files, network and other processes from here on. Returns the active layers.

    Seccomp binds all threads, Landlock this one, which is the one that decodes.
    """
    layers = []
    if close_everything():
        layers.append("landlock")
    if refuse_calls():
        layers.append("seccomp")
    return layers
