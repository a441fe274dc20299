"""The child's side: set up, shut the door, then answer requests until the parent is gone."""

from __future__ import annotations

import argparse
import codecs
import importlib
import os
import pkgutil
import socket
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from fimq.errors import DecoderMemory, FimqError, FinderMissing
from fimq_worker.child import messages
from fimq_worker.child.confinement import (
    allow_cpu,
    bind_to_parent,
    close_the_door,
    limit_resources,
)
from fimq_worker.child.messages import Closed, Message
from fimq_worker.child.protocol import (
    AnalyseRequest,
    PlanRequest,
    Setup,
    end_to_wire,
    failure_to_wire,
    plan_to_wire,
    ready_to_wire,
    request_from_wire,
    sample_to_wire,
)
from fimq_worker.vision.analysis import AnalysisOptions, analyse_span
from fimq_worker.vision.box import Box
from fimq_worker.vision.container import Limits, open_video
from fimq_worker.vision.crops import CropRule, crop_face
from fimq_worker.vision.faces.base import FaceFinder, FoundFace, keypoints_of
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.picture import Picture
from fimq_worker.vision.quality import face_quality
from fimq_worker.vision.sampler.base import Sampling
from fimq_worker.vision.sampler.spans import plan_film
from fimq_worker.vision.sampler.sparse import Sparse
from fimq_worker.vision.shots import colours, is_cut


def main() -> None:
    """Run the child on the channel that the parent has given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    layers = bind_to_parent(arguments.parent)
    with socket.socket(fileno=arguments.channel) as channel:
        try:
            Server(channel, layers).serve()
        except Closed:
            return


class Server:
    """One child: its channel, its face finder and its limits."""

    def __init__(self, channel: socket.socket, layers: list[str]) -> None:
        """Wait for the set-up, load what needs files, then shut the door."""
        self._channel = channel
        setup, _ = request_from_wire(self._receive()[0])
        if not isinstance(setup, Setup):
            raise TypeError(setup)
        self._setup = setup
        layers += limit_resources(setup.memory)
        try:
            self._finder = _finder(setup)
        except FimqError as error:
            self._send(failure_to_wire(error))
            raise Closed from error
        _rehearse(self._finder)
        layers += close_the_door()
        self._send(ready_to_wire(layers))

    def serve(self) -> None:
        """Answer requests, one after the other.

        Raises:
            Closed: the parent is gone.
        """
        while True:
            message, fd = self._receive()
            request, cpu_s = request_from_wire(message)
            allow_cpu(cpu_s)
            try:
                _be_chaotic(self._setup.chaos)
                if fd is None:
                    raise TypeError("no video came with the request")
                for reply in self._answer(request, fd):
                    self._send(reply)
            except FimqError as error:
                self._send(failure_to_wire(error))
            except MemoryError:
                self._send(failure_to_wire(DecoderMemory()))
            finally:
                if fd is not None:
                    os.close(fd)

    def _answer(self, request: object, fd: int) -> Iterator[Message]:
        limits = Limits(self._setup.max_pixels, self._setup.max_duration_s)
        with open_video(fd, limits) as container:
            match request:
                case PlanRequest():
                    plan = plan_film(
                        container,
                        Sampling.parse(request.sampling),
                        segment_s=request.segment_s,
                        min_samples=request.min_samples,
                    )
                    yield plan_to_wire(container.probe, plan)
                case AnalyseRequest():
                    sampler = Sparse()
                    options = AnalysisOptions(
                        Sampling.parse(request.sampling),
                        CropRule(request.crop_scale, request.crop_size),
                        self._setup.max_faces,
                        self._setup.min_face,
                    )
                    samples = analyse_span(container, request.span, self._finder, options, sampler)
                    for sample in samples:
                        yield sample_to_wire(sample)
                    yield end_to_wire(sampler.counters)
                case _:
                    raise TypeError(request)

    def _receive(self) -> tuple[Message, int | None]:
        return messages.receive(self._channel, limit=messages.MAX_REQUEST)

    def _send(self, message: Message) -> None:
        messages.send(self._channel, message, limit=messages.MAX_REPLY)


def _finder(setup: Setup) -> FaceFinder:
    if setup.finder == "mediapipe":
        from fimq_worker.vision.faces.mediapipe import MediaPipeFinder  # noqa: PLC0415 - an extra

        return MediaPipeFinder(Path(setup.face_model), setup.min_face)
    return FullRangeFinder(Path(setup.face_model), setup.min_face)


def _rehearse(finder: FaceFinder) -> None:
    """Have everything loaded that is loaded when first used: later no file can be opened.

    av imports its own parts late (subtitles, when a file has some); a refused import would
    look like a damaged video.
    """
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in {"av.__main__", "av.datasets"}:
            importlib.import_module(module.name)
    for encoding in ("ascii", "latin_1", "utf_8", "utf_16", "unicode_escape", "idna"):
        codecs.lookup(encoding)
    random = np.random.default_rng(0)
    picture = Picture.from_rgb(random.integers(0, 256, (96, 128, 3), np.uint8))
    mix = colours(picture)
    is_cut(mix, mix)
    box = Box(20, 10, 60, 60)
    crop = crop_face(picture, box, CropRule())
    points = keypoints_of([(40, 30), (60, 30), (50, 45), (50, 55), (30, 35), (70, 35)])
    face_quality(FoundFace(box, 1.0, points), crop, picture.width, picture.height)
    finder.find(picture)
    finder.find(picture, [box])
    traceback.format_exception(ValueError())


def _be_chaotic(chaos: str) -> None:
    """What tests ask for, to see that the parent survives it."""
    match chaos:
        case "crash":
            os.abort()
        case "hang":
            time.sleep(3600)
        case "spin":
            while True:
                pass
        case "lie":
            raise FinderMissing
        case "allocate":
            bytearray(1 << 40)
        case "open":
            Path("/etc/hostname").read_bytes()
        case "connect":
            socket.socket().connect(("127.0.0.1", 9))
        case "fork":
            os.fork()
        case "shout":
            os.write(2, b"the same line again and again\n" * 10_000)
