"""The wire between parent and child: what is sent comes back, and nonsense is refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgpack
import numpy as np
import pytest

from fimq.errors import FimqError, TooManyPixels
from fimq_worker.child import messages
from fimq_worker.child.messages import BadMessage, Closed
from fimq_worker.child.protocol import (
    AnalyseRequest,
    EndReply,
    Failure,
    PlanReply,
    PlanRequest,
    Ready,
    Request,
    SampleReply,
    Setup,
    end_to_wire,
    failure_to_wire,
    plan_to_wire,
    ready_to_wire,
    request_from_wire,
    request_to_wire,
    sample_to_wire,
)
from fimq_worker.child.replies import reply_from_wire
from fimq_worker.vision.analysis import AnalysedFace, AnalysedSample
from fimq_worker.vision.box import Box
from fimq_worker.vision.container import Probe
from fimq_worker.vision.faces.base import keypoints_of
from fimq_worker.vision.sampler.base import Counters, Sampling, Span
from fimq_worker.vision.sampler.spans import FilmPlan

#: What an honest child may meet.
ABOUT_THE_VIDEO = {
    *("not_a_video", "no_video_stream", "truncated", "unsupported_codec", "encrypted"),
    *("too_many_pixels", "too_long", "decode_failed", "decoder_memory"),
    *("finder_missing", "sampling_invalid"),
}
SPAN = Span(25, 50, 2.0, 24, 60, 900, 1234, -3, 870)
KEYPOINTS = keypoints_of([(1.0, 2.0)] * 6)


def over_the_wire(message: dict[str, Any]) -> dict[str, Any]:
    unpacked = msgpack.unpackb(msgpack.packb(message))
    assert isinstance(unpacked, dict)
    return unpacked


def sample(**changes: Any) -> dict[str, Any]:
    crop = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    faces = [
        AnalysedFace(Box(1.5, 2, 90, 90), 0.9, KEYPOINTS, 0.7, crop, None),
        AnalysedFace(Box(5, 6, 20, 20), 0.6, KEYPOINTS, 0.0, None, "too_small"),
    ]
    made = AnalysedSample(
        25, -40, 1.0, False, False, 640, 360, np.full(64, 1 / 64, np.float32), faces, 3
    )
    return over_the_wire({**sample_to_wire(made), **changes})


def read(message: dict[str, Any]) -> Any:
    return reply_from_wire(message, crop_size=8, max_faces=20)


class TestRoundTrips:
    @pytest.mark.parametrize(
        "request_",
        [
            Setup("model.tflite", memory=2**30, chaos="hang"),
            PlanRequest("fps:2", 8, 15),
            AnalyseRequest(SPAN, "every:12", 1.5, 64),
            AnalyseRequest(),
        ],
    )
    def test_requests(self, request_: Request) -> None:
        wired = over_the_wire(request_to_wire(request_, cpu_s=7))
        assert request_from_wire(wired) == (request_, 7)

    def test_a_sample_with_its_crop(self) -> None:
        reply = read(sample())
        assert isinstance(reply, SampleReply)
        assert (reply.frame_index, reply.pts, reply.width, reply.faces_found) == (25, -40, 640, 5)
        first, second = reply.faces
        assert first.box == (1.5, 2, 90, 90)
        assert first.crop is not None
        assert first.crop.shape == (8, 8, 3)
        assert first.crop[7, 7, 2] == 191
        assert (second.crop, second.skipped) == (None, "too_small")

    def test_a_plan(self) -> None:
        probe = Probe(
            "mov", "h264", 4, 3, 90, Fraction(4, 3), 25.0, 1.0, 25, "yuv420p", ("1: x",), False
        )
        plan = FilmPlan(25, 26, 1.0, Sampling("every", 1), 26, (SPAN,), None)
        reply = read(over_the_wire(plan_to_wire(probe, plan)))
        assert isinstance(reply, PlanReply)
        assert reply.spans == (SPAN,)
        assert reply.probe["sample_aspect"] == "4/3"
        assert (reply.sampling, reply.samples) == ("every:1", 26)

    def test_an_end_and_the_first_word(self) -> None:
        end = read(over_the_wire(end_to_wire(Counters(3, 60, 1, 58, "because"))))
        assert end == EndReply(3, 60, 1, 58, "because")
        assert read(over_the_wire(ready_to_wire(["seccomp"]))) == Ready(("seccomp",))

    def test_a_failure_becomes_its_error(self) -> None:
        error = TooManyPixels(width=9000, height=8000, limit=100)
        reply = read(over_the_wire(failure_to_wire(error)))
        assert isinstance(reply, Failure)
        again = reply.error()
        assert isinstance(again, TooManyPixels)
        assert again.facts == error.facts
        assert str(again) == str(error)


class TestNonsense:
    @pytest.mark.parametrize(
        "changes",
        [
            {"kind": "Surprise"},
            {"kind": ["SampleReply"]},
            {"time_s": float("nan")},
            {"time_s": float("inf")},
            {"time_s": "1"},
            {"frame_index": -1},
            {"frame_index": 2**64 - 1},
            {"width": 1.5},
            {"pts": "x"},
            {"faces": "many"},
            {"faces": [{}]},
            {"faces": [None]},
            {"faces": [{}] * 21},
            {"colours": [0.1] * 65},
            {"colours": [float("nan")]},
            {"faces_left_out": None},
        ],
    )
    def test_a_sample_out_of_range_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(BadMessage):
            read(sample(**changes))

    @pytest.mark.parametrize(
        "changes",
        [
            {"crop": b"\0" * 191},
            {"crop": b"\0" * 193},
            {"crop": "text"},
            {"box": [1, 2, 3]},
            {"box": [1, 2, float("nan"), 3]},
            {"quality": None},
            {"keypoints": [[1, 2]] * 7},
            {"skipped": "x" * 5000},
            {"skipped": "a label of its own"},
            {"skipped": ["too_small"]},
        ],
    )
    def test_a_face_out_of_range_is_refused(self, changes: dict[str, Any]) -> None:
        message = sample()
        message["faces"][0].update(changes)
        with pytest.raises(BadMessage):
            read(message)

    def test_an_error_that_nobody_knows_is_refused(self) -> None:
        with pytest.raises(BadMessage):
            read({"kind": "Failure", "code": "rm", "message": "", "facts": {}})

    @pytest.mark.parametrize("code", sorted(FimqError.registry))
    def test_a_child_has_no_say_in_what_is_not_about_its_video(self, code: str) -> None:
        """It may not end its worker, blame a service, or say that the store lost a video."""
        message = {"kind": "Failure", "code": code, "message": "", "facts": {}}
        if code in ABOUT_THE_VIDEO:
            assert read(message).code == code
        else:
            with pytest.raises(BadMessage):
                read(message)

    def test_texts_are_cleaned_of_what_no_database_takes(self) -> None:
        counters = Counters(3, 60, 1, 58, "a\0b\ud800c")
        end = read(end_to_wire(counters))
        assert isinstance(end, EndReply)
        assert end.fallback_reason == "a\ufffdb?c"


class TestMessages:
    @pytest.fixture
    def ends(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        one, other = socket.socketpair()
        with one, other:
            yield one, other

    def test_a_message_and_a_descriptor_arrive(
        self, ends: tuple[socket.socket, socket.socket]
    ) -> None:
        reading, writing = os.pipe()
        messages.send(ends[0], {"a": 1}, limit=100, fd=reading)
        os.close(reading)
        message, fd = messages.receive(ends[1], limit=100)
        assert message == {"a": 1}
        assert fd is not None
        os.write(writing, b"x")
        assert os.read(fd, 1) == b"x"
        os.close(fd)
        os.close(writing)

    def test_what_is_too_large_is_neither_sent_nor_read(
        self, ends: tuple[socket.socket, socket.socket]
    ) -> None:
        with pytest.raises(BadMessage):
            messages.send(ends[0], {"a": "x" * 100}, limit=50)
        messages.send(ends[0], {"a": "x" * 100}, limit=500)
        with pytest.raises(BadMessage):
            messages.receive(ends[1], limit=50)

    @pytest.mark.parametrize("body", [b"\xc1", b"\x01", b"\x81", b"\xdd\xff\xff\xff\xff"])
    def test_what_is_no_map_is_refused(
        self, ends: tuple[socket.socket, socket.socket], body: bytes
    ) -> None:
        ends[0].sendall(len(body).to_bytes(4, "big") + body)
        with pytest.raises(BadMessage):
            messages.receive(ends[1], limit=100)

    def test_a_cut_message_is_the_end(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ends[0].sendall(b"\0\0\0\x09abc")
        ends[0].shutdown(socket.SHUT_WR)
        with pytest.raises(Closed):
            messages.receive(ends[1], limit=100)
