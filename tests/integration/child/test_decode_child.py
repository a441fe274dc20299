"""What a decode child does for its parent, and what it cannot do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from clips import Clip
from fimq.errors import (
    DecoderCrash,
    DecoderMemory,
    DecoderTimeout,
    FinderMissing,
    NotAVideo,
    TooManyPixels,
)
from fimq.settings import Settings
from fimq_worker.child.client import Cancelled, ChildPool, DecodeChild
from fimq_worker.child.process import ChildProcess, Patience
from fimq_worker.child.protocol import AnalyseRequest, PlanRequest, Setup, request_to_wire
from fimq_worker.vision.analysis import AnalysisOptions, analyse_span
from fimq_worker.vision.container import open_video
from fimq_worker.vision.faces.base import FaceFinder
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.faces.mediapipe import MediaPipeFinder
from fimq_worker.vision.sampler.base import Sampling
from fimq_worker.vision.sampler.sparse import Sparse

MakeChild = Callable[..., DecodeChild]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def finder_of(kind: str, model: Path) -> FaceFinder:
    """A finder in this process; the test is skipped where its package is not installed."""
    if kind == "full-range":
        return FullRangeFinder(model)
    try:
        return MediaPipeFinder(model)
    except FinderMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)


class TestWork:
    def test_a_film_is_planned(self, make_child: MakeChild, video: int) -> None:
        plan = make_child().plan(video, PlanRequest(min_samples=16, segment_s=0.8))
        assert (plan.probe["codec"], plan.probe["width"], plan.frames) == ("h264", 64, 50)
        assert (plan.sampling, plan.samples) == ("every:3", 17)
        assert len(plan.spans) > 1

    def test_spans_give_what_one_pass_gives(self, make_child: MakeChild, video: int) -> None:
        child = make_child()
        plan = child.plan(video, PlanRequest(segment_s=0.8))
        parts = [
            (sample.frame_index, sample.pts, sample.colours)
            for span in plan.spans
            for sample in child.analyse(video, AnalyseRequest(span, plan.sampling))
        ]
        whole = child.analyse(video, AnalyseRequest(None, plan.sampling))
        assert parts == [(s.frame_index, s.pts, s.colours) for s in whole]
        assert whole.end.planned == len(parts) == plan.samples
        assert whole.end.fallback_reason is None

    @pytest.mark.parametrize("kind", ["full-range", "mediapipe"])
    def test_faces_are_those_found_without_a_child(
        self, make_child: MakeChild, setup: Setup, tmp_path: Path, kind: str
    ) -> None:
        finder = finder_of(kind, Path(setup.face_model))
        portrait = pytest.importorskip("skimage.data").astronaut()
        path = tmp_path / "portrait.mkv"
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
            stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
            for shift in range(4):
                frame = av.VideoFrame.from_ndarray(np.roll(portrait, 4 * shift, 1), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with path.open("rb") as video:
            samples = list(
                make_child(finder=kind).analyse(video.fileno(), AnalyseRequest(sampling="every:2"))
            )
        with open_video(path) as container:
            options = AnalysisOptions(Sampling("every", 2))
            expected = list(analyse_span(container, None, finder, options, Sparse()))
        assert [len(sample.faces) for sample in samples] == [1, 1]
        for sample, direct in zip(samples, expected, strict=True):
            face, same = sample.faces[0], direct.faces[0]
            assert face.crop is not None
            assert same.crop is not None
            assert np.array_equal(face.crop, same.crop)
            assert face.box == (same.box.x, same.box.y, same.box.width, same.box.height)
            assert face.quality == same.quality > 0

    def test_what_is_wrong_with_a_video_has_a_name(
        self, make_child: MakeChild, video: int, tmp_path: Path
    ) -> None:
        child = make_child(max_pixels=64 * 48 - 1)
        with pytest.raises(TooManyPixels) as caught:
            child.plan(video)
        assert caught.value.facts["width"] == 64
        pid = child.pid
        (tmp_path / "text.mp4").write_text("#EXTM3U\nclip.ts\n")
        with (tmp_path / "text.mp4").open("rb") as text, pytest.raises(NotAVideo):
            child.plan(text.fileno())
        assert child.pid == pid

    def test_a_file_with_sound_and_subtitles_needs_no_other_file(
        self, make_child: MakeChild, tmp_path: Path
    ) -> None:
        path = Clip(frames=10, sound=True).write(tmp_path / "clip.mp4")
        with path.open("rb") as video:
            assert make_child().plan(video.fileno()).frames == 10


class TestAccidents:
    def test_a_finder_that_cannot_be_used_is_said_by_its_name(
        self, make_child: MakeChild, video: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = tmp_path / "mediapipe-1.2.2.dist-info"
        other.mkdir()
        (other / "METADATA").write_text("Metadata-Version: 2.1\nName: mediapipe\nVersion: 1.2.2\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(FinderMissing) as caught:
            make_child(finder="mediapipe").plan(video)
        assert "fimq[mediapipe]" in caught.value.hint

    @pytest.mark.parametrize(
        ("chaos", "error"), [("crash", DecoderCrash), ("allocate", DecoderMemory)]
    )
    def test_a_dying_child_is_an_error_with_a_name(
        self, make_child: MakeChild, video: int, chaos: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            make_child(chaos=chaos).plan(video)

    def test_a_child_that_has_met_a_video_cannot_end_its_worker_by_a_word(
        self, make_child: MakeChild, video: int
    ) -> None:
        """That it has no finder it may say while it is set up, and no later."""
        child = make_child(chaos="lie")
        child.layers()
        with pytest.raises(DecoderCrash):
            child.plan(video)

    def test_a_hanging_child_is_killed(self, make_child: MakeChild, video: int) -> None:
        child = make_child(chaos="hang", floor_s=0.5)
        child.layers()
        pid = child.pid
        started = time.monotonic()
        with pytest.raises(DecoderTimeout):
            child.plan(video)
        assert time.monotonic() - started < 5
        child.close()
        assert pid is not None
        assert not is_running(pid)

    def test_cpu_time_is_limited_by_the_kernel(self, setup: Setup, video: int) -> None:
        spinning = ChildProcess(Setup(setup.face_model, chaos="spin"))
        spinning.receive(Patience(60))
        spinning.send(request_to_wire(PlanRequest(), cpu_s=0), video)
        with pytest.raises(DecoderTimeout) as caught:
            spinning.receive(Patience(30))
        assert caught.value.facts["status"] == -signal.SIGXCPU
        spinning.close()

    def test_killed_by_the_kernel_means_memory(self, setup: Setup, video: int) -> None:
        process = ChildProcess(Setup(setup.face_model, chaos="hang"))
        process.receive(Patience(60))
        process.send(request_to_wire(PlanRequest(), cpu_s=60), video)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(DecoderMemory):
            process.receive(Patience(30))
        process.close()

    def test_the_next_request_gets_another_child(self, make_child: MakeChild, video: int) -> None:
        child = make_child()
        child.plan(video)
        first = child._process
        assert first is not None
        os.kill(first.pid, signal.SIGSEGV)
        first._process.wait(10)
        assert child.plan(video).frames == 50
        assert child.pid != first.pid

    def test_a_request_is_cancelled_from_another_thread(
        self, make_child: MakeChild, video: int
    ) -> None:
        child = make_child(chaos="hang")
        child.layers()
        threading.Timer(0.3, child.cancel).start()
        with pytest.raises(Cancelled):
            child.plan(video)
        with pytest.raises(Cancelled):
            child.plan(video)

    def test_samples_that_nobody_takes_do_not_reach_the_next_request(
        self, make_child: MakeChild, video: int
    ) -> None:
        child = make_child()
        for _ in child.analyse(video, AnalyseRequest(sampling="every:1")):
            break
        assert child.plan(video).frames == 50

    def test_what_a_child_shouts_is_cut_short(self, make_child: MakeChild, video: int) -> None:
        child = make_child(chaos="shout")
        assert child.plan(video).frames == 50
        assert child._process is not None
        assert len(child._process.stderr.splitlines()) <= 40


class TestConfinement:
    @pytest.mark.parametrize("deed", ["open", "connect", "fork"])
    def test_what_a_decoder_never_does_is_refused(
        self, make_child: MakeChild, video: int, deed: str
    ) -> None:
        child = make_child(chaos=deed)
        if not child.layers()["seccomp"]:
            pytest.skip("this kernel has no seccomp")
        with pytest.raises(DecoderCrash) as caught:
            child.plan(video)
        assert "PermissionError" in str(caught.value.facts["stderr"])

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a child")
    def test_nothing_of_the_parent_reaches_the_child(
        self, make_child: MakeChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FIMQ_LEDGER_URL", "postgresql://user:secret@host/fimq")
        secret = tmp_path / "secret"
        secret.write_text("x")
        with secret.open("rb") as opened:
            os.set_inheritable(opened.fileno(), True)
            child = make_child()
            child.layers()
            environment = Path(f"/proc/{child.pid}/environ").read_bytes()
            open_files = [str(fd.readlink()) for fd in Path(f"/proc/{child.pid}/fd").iterdir()]
        names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
        assert not any(name.startswith(b"FIMQ") or name == b"HOME" for name in names), names
        assert b"secret" not in environment
        assert str(secret) not in open_files
        assert sum(name.startswith("socket:") for name in open_files) == 1

    def test_limits_are_set(self, make_child: MakeChild) -> None:
        child = make_child(memory=2**31)
        child.layers()
        limits = Path(f"/proc/{child.pid}/limits").read_text()
        rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()[1:]}
        assert rows["Max address space"] == [str(2**31)] * 2
        assert rows["Max core file size"] == ["0", "0"]
        assert rows["Max file size"] == ["0", "0"]
        assert rows["Max open files"] == ["64", "64"]

    def test_a_child_dies_with_its_parent(self, setup: Setup) -> None:
        program = f"""
            import sys, time
            from fimq_worker.child.client import DecodeChild
            from fimq_worker.child.protocol import Setup
            child = DecodeChild(Setup({setup.face_model!r}))
            child.layers()
            print(child.pid, flush=True)
            time.sleep(60)
        """
        parent = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
        )
        with parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert is_running(pid)
            parent.kill()
        deadline = time.monotonic() + 5
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_running(pid)


class TestPool:
    def test_a_warm_child_serves_again_until_it_is_spent(
        self, settings: Settings, video: int
    ) -> None:
        pool = ChildPool(settings.model_copy(update={"child_requests": 2}))
        pids = []
        for _ in range(3):
            with pool.borrow() as child:
                child.plan(video)
                assert child.layers()["resource-limits"]
                pids.append(child.pid)
        pool.close()
        assert pids[0] == pids[1] != pids[2]
        assert not any(is_running(pid) for pid in pids if pid is not None)

    def test_a_late_cancel_does_not_reach_who_borrows_next(
        self, settings: Settings, video: int
    ) -> None:
        pool = ChildPool(settings)
        with pool.borrow() as first:
            first.plan(video)
        with pool.borrow() as second:
            first.cancel()
            assert second.plan(video).frames == 50
        pool.close()

    def test_an_unfinished_child_is_not_lent_again(self, settings: Settings, video: int) -> None:
        pool = ChildPool(settings)
        with pool.borrow() as child:
            next(iter(child.analyse(video, AnalyseRequest(sampling="every:1"))))
            first = child.pid
        with pool.borrow() as child:
            assert child.plan(video).frames == 50
            assert child.pid != first
        pool.close()
