"""The parent's side: plan and analyse videos in a child that may die of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from fimq.errors import AnalysisError, DecoderCrash, FimqError, MachineUnfit
from fimq.models import face_models
from fimq.settings import Settings
from fimq_worker.child.confinement import LAYERS
from fimq_worker.child.messages import BadMessage
from fimq_worker.child.process import ChildProcess, Patience
from fimq_worker.child.protocol import (
    AnalyseRequest,
    EndReply,
    Failure,
    PlanReply,
    PlanRequest,
    Ready,
    Reply,
    SampleReply,
    Setup,
    request_to_wire,
)
from fimq_worker.child.replies import reply_from_wire
from fimq_worker.holding import Stopped

#: The wall clock of a request is never shorter than this: opening and indexing a large
#: file takes time that does not depend on how long it runs.
FLOOR_S = 60.0
_START_S = 60.0
#: Indexing costs time a packet, and the smallest packets have some twenty bytes.
_PLAN_S_A_BYTE = 0.5e-6
#: A child that holds this part of its memory between requests is renewed.
_GROWN = 0.5


class Cancelled(Stopped):
    """The request was cancelled by `DecodeChild.cancel`."""


class DecodeChild:
    """Plans and analyses videos in a child process, started when it is first needed.

    For one thread; only `cancel` may be called from another. After an error the child is
    gone and the next request starts another one.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        seconds_a_minute: float = 120,
        floor_s: float = FLOOR_S,
        process: ChildProcess | None = None,
    ) -> None:
        """Start nothing yet, or go on with a child that runs.

        Args:
            setup: what a new child is given.
            seconds_a_minute: wall clock for a minute of video.
            floor_s: wall clock for any request.
            process: a child that waits for requests.
        """
        self._setup = setup
        self._seconds_a_minute = seconds_a_minute
        self._floor_s = floor_s
        self._process = process
        self._busy = False
        self._cancelled = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def plan(self, fd: int, request: PlanRequest | None = None) -> PlanReply:
        """Probe a video, fit the sampling to its length, and cut it into spans.

        Raises:
            FimqError: what is wrong with the video, or how the child ended.
            Cancelled: another thread wanted so.
        """
        wall_s = self._floor_s + os.fstat(fd).st_size * _PLAN_S_A_BYTE
        patience = self._request(fd, request or PlanRequest(), wall_s)
        reply = self._receive(patience, crop_size=0)
        if not isinstance(reply, PlanReply):
            raise self._nonsense(reply)
        self._busy = False
        return reply

    def analyse(self, fd: int, request: AnalyseRequest | None = None) -> Analysis:
        """Sample a span; the samples come as they are made.

        Raises:
            FimqError, Cancelled: while iterating, as with `plan`.
        """
        request = request or AnalyseRequest()
        running_s = request.span.running_s if request.span is not None else self._longest_s
        wall_s = max(self._floor_s, running_s / 60 * self._seconds_a_minute)
        return Analysis(self._samples(fd, request, wall_s))

    def layers(self) -> dict[str, bool]:
        """For each layer of the sandbox, whether it is active in the child."""
        active = self._ready().layers
        return {layer: layer in active for layer in LAYERS}

    def cancel(self) -> None:
        """Stop the request in work, from any thread; later ones end at once, too."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()

    def detach(self) -> ChildProcess | None:
        """Give the child away if it can serve others; `cancel` does not reach it any more."""
        with self._lock:
            process, self._process = self._process, None
        if process is None or (process.is_alive and not self._busy):
            return process
        process.close()
        return None

    def close(self) -> None:
        """End the child."""
        process = self.detach()
        if process is not None:
            process.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def _longest_s(self) -> float:
        return self._setup.max_duration_s

    def _samples(
        self, fd: int, request: AnalyseRequest, wall_s: float
    ) -> Iterator[SampleReply | EndReply]:
        patience = self._request(fd, request, wall_s)
        while True:
            reply = self._receive(patience, crop_size=request.crop_size)
            if isinstance(reply, EndReply):
                self._busy = False
                yield reply
                return
            if not isinstance(reply, SampleReply):
                raise self._nonsense(reply)
            yield reply

    def _request(self, fd: int, request: PlanRequest | AnalyseRequest, wall_s: float) -> Patience:
        process = self._ready()
        self._busy = True
        try:
            process.send(request_to_wire(request, cpu_s=wall_s), fd)
        except AnalysisError as error:
            raise self._ended(error) from error
        return Patience(wall_s)

    def _ready(self) -> ChildProcess:
        """The child, started if there is none, and set up."""
        with self._lock:
            if self._cancelled:
                raise Cancelled
            if self._process is not None and self._process.is_alive and not self._busy:
                return self._process
            if self._process is not None:
                self._process.close()
            self._process = process = ChildProcess(self._setup)
            self._busy = True
        reply = self._receive(Patience(_START_S), crop_size=0, has_met_bytes=False)
        if not isinstance(reply, Ready):
            raise self._nonsense(reply)
        process.layers = reply.layers
        self._busy = False
        return process

    def _receive(self, patience: Patience, *, crop_size: int, has_met_bytes: bool = True) -> Reply:
        process = self._process
        if process is None:
            raise Cancelled
        try:
            message = process.receive(patience)
            reply = reply_from_wire(message, crop_size=crop_size, max_faces=self._setup.max_faces)
        except BadMessage as error:
            process.kill()
            raise self._ended(DecoderCrash(f"the decoder answered nonsense: {error}")) from error
        except AnalysisError as error:
            raise self._ended(error) from error
        if isinstance(reply, Failure):
            failure = reply.error()
            if has_met_bytes and isinstance(failure, MachineUnfit):
                # It ends this worker: nothing that a video may have a child say.
                raise self._nonsense(reply)
            self._busy = False
            raise failure
        return reply

    def _ended(self, error: FimqError) -> Exception:
        return Cancelled() if self._cancelled else error

    def _nonsense(self, reply: Reply) -> Exception:
        if self._process is not None:
            self._process.kill()
        return self._ended(DecoderCrash(f"the decoder answered {type(reply).__name__}"))


class Analysis:
    """The samples of a span, and `end` when they are through."""

    def __init__(self, replies: Iterator[SampleReply | EndReply]) -> None:
        self._replies = replies
        self._end: EndReply | None = None

    def __iter__(self) -> Iterator[SampleReply]:
        for reply in self._replies:
            if isinstance(reply, EndReply):
                self._end = reply
                return
            yield reply

    @property
    def end(self) -> EndReply:
        """What the sampler met; there once all samples have been taken."""
        if self._end is None:
            raise RuntimeError("the samples are not through")
        return self._end


class ChildPool:
    """Warm children of one worker, lent to one request after the other."""

    def __init__(self, settings: Settings) -> None:
        """Start nothing yet."""
        self._settings = settings
        self._idle: list[ChildProcess] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[DecodeChild]:
        """Lend a child, a warm one if there is one.

        Raises:
            FaceModelsMissing, FaceModelsInvalid: a child cannot be set up.
        """
        setup = setup_of(self._settings)
        with self._lock:
            process = self._idle.pop() if self._idle else None
        child = DecodeChild(
            setup, seconds_a_minute=self._settings.child_seconds_a_minute, process=process
        )
        try:
            yield child
        finally:
            self._take_back(child.detach())

    def close(self) -> None:
        """End all children that wait; those that are lent end when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def _take_back(self, process: ChildProcess | None) -> None:
        if process is None:
            return
        settings = self._settings
        spent = process.requests >= settings.child_requests
        grown = process.resident_bytes() > _GROWN * settings.child_memory
        with self._lock:
            kept = not (self._closed or spent or grown)
            if kept:
                self._idle.append(process)
        if not kept:
            process.close()


def setup_of(settings: Settings) -> Setup:
    """What a child is given in this installation.

    Raises:
        FaceModelsMissing, FaceModelsInvalid: the face model is not there or not the right one.
    """
    return Setup(
        face_model=str(face_models.path(settings.face_models, "full_range_sparse")),
        memory=settings.child_memory,
        max_pixels=settings.max_pixels,
        max_duration_s=settings.max_duration,
        max_faces=settings.max_faces,
        min_face=settings.min_face,
        finder=settings.face_finder,
    )
