"""The child as a process: started clean, listened to with patience, killed as a group."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fimq.errors import AnalysisError, DecoderCrash, DecoderMemory, DecoderTimeout
from fimq_worker.child import messages
from fimq_worker.child.messages import BadMessage, Closed, Message
from fimq_worker.child.protocol import Setup, request_to_wire

#: Numeric libraries start a thread a core each otherwise; a child is one core's work.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}
#: Each arena of the allocator takes 64 MiB of the address space that is capped.
_ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}
#: What is kept of the child's stderr, and how much is read of it in a second.
_STDERR_LINES = 40
_STDERR_RATE = 256 * 2**10


@dataclass(slots=True)
class Patience:
    """Seconds of waiting that are left. Time in which nobody waits is not counted."""

    left_s: float


class ChildProcess:
    """One running child. Belongs to one thread at a time; `kill` may come from any."""

    def __init__(self, setup: Setup) -> None:
        """Start a child and hand it its set-up; it is not awaited here."""
        ours, theirs = socket.socketpair()
        try:
            # A parent's death is that of the thread which started the child.
            self._process = _starter().submit(_start, theirs.fileno()).result()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = ours
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._listener = threading.Thread(target=self._listen, name="child-stderr", daemon=True)
        self._listener.start()
        self.layers: tuple[str, ...] = ()  #: of the sandbox, as the child said
        self.requests = 0
        self.killed = False
        with contextlib.suppress(Closed):
            messages.send(ours, request_to_wire(setup), limit=messages.MAX_REQUEST)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs and nobody has killed it."""
        return not self.killed and self._process.poll() is None

    def send(self, message: Message, fd: int | None = None) -> None:
        """Send a request, with a descriptor.

        Raises:
            AnalysisError: the child has ended; the error says how.
        """
        self.requests += 1
        try:
            messages.send(self._channel, message, limit=messages.MAX_REQUEST, fd=fd)
        except Closed as error:
            raise self.end_error() from error

    def receive(self, patience: Patience) -> Message:
        """Wait for the next reply.

        Raises:
            AnalysisError: patience ran out, the child has ended, or it sent nonsense. It
                is dead then, and the error says how.
        """

        def wait() -> None:
            started = time.monotonic()
            ready, _, _ = select.select([self._channel], [], [], max(0.0, patience.left_s))
            patience.left_s -= time.monotonic() - started
            if not ready:
                raise TimeoutError

        try:
            message, fd = messages.receive(self._channel, limit=messages.MAX_REPLY, wait=wait)
        except TimeoutError as error:
            self.kill()
            raise DecoderTimeout(stderr=self.stderr) from error
        except Closed as error:
            raise self.end_error() from error
        except (BadMessage, OSError, ValueError) as error:
            self.kill()
            raise DecoderCrash(f"the decoder answered nonsense: {error}") from error
        if fd is not None:
            os.close(fd)
        return message

    def end_error(self) -> AnalysisError:
        """Which error the child's end was."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._process.wait()
        self._listener.join(timeout=1)
        facts: dict[str, Any] = {"status": status, "stderr": self.stderr}
        if status == -signal.SIGXCPU:
            return DecoderTimeout(**facts)
        # We did not send it: the kernel was out of memory.
        if status == -signal.SIGKILL and not self.killed:
            return DecoderMemory(**facts)
        if "MemoryError" in self.stderr or "bad_alloc" in self.stderr:
            return DecoderMemory(**facts)
        return DecoderCrash(**facts)

    @property
    def stderr(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self._stderr)

    def resident_bytes(self) -> int:
        """Memory that it holds now, 0 if it is gone."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it and all it started, at once. Harmless twice, and from any thread."""
        self.killed = True
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill it and wait until it is gone."""
        self.kill()
        self._process.wait()
        self._listener.join(timeout=5)
        self._channel.close()

    def _listen(self) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        rest = b""
        with stream:
            while chunk := os.read(stream.fileno(), 64 * 2**10):
                lines = (rest + chunk).splitlines(keepends=True)
                rest = b"" if lines[-1].endswith(b"\n") else lines.pop()[-1000:]
                for line in lines:
                    text = line[:1000].decode("utf-8", "replace").rstrip()
                    self._stderr.append("".join(c if c.isprintable() else "?" for c in text))
                # Who shouts is slowed down, and in the end waits for us.
                time.sleep(len(chunk) / _STDERR_RATE)


@cache
def _starter() -> ThreadPoolExecutor:
    """A thread that lives as long as this process: children die with the one they know."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-starter")


def _start(channel: int) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), **_ONE_THREAD, **_ALLOCATOR}
    if paths := os.environ.get("PYTHONPATH"):
        whole = [str(Path(path).absolute()) for path in paths.split(os.pathsep) if path]
        environment["PYTHONPATH"] = os.pathsep.join(whole)
    command = [sys.executable, "-P", "-B", "-m", "fimq_worker.child"]
    return subprocess.Popen(  # noqa: S603 - every argument is ours
        [*command, "--channel", str(channel), "--parent", str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        close_fds=True,
        pass_fds=(channel,),
        start_new_session=True,
        env=environment,
        cwd="/",
    )
