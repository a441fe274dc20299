"""What a model costs beside another: crops a second, and milliseconds a video.

    taskset -c 0 python benchmarks/bench_models.py OLD NEW --video video.mp4

OLD and NEW are folders of model packages. They take turns in one process, in OpenVINO; the best of
some rounds is taken. Pinned to one core by `taskset`, the figures are those of one core. Of a
video this is sampling, finding faces, cutting and scoring; not the policy, the ledger or the child.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fimq.models.face_models import path as face_model
from fimq.models.package import ModelPackage
from fimq.settings import load_settings
from fimq_worker.runtimes.openvino import OpenVinoRuntime
from fimq_worker.vision.analysis import AnalysisOptions, analyse_span
from fimq_worker.vision.container import open_video
from fimq_worker.vision.crops import CropRule
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.sampler.base import Sampling
from fimq_worker.vision.sampler.sparse import Sparse

BATCH = 16
SAMPLING = Sampling("every", 25)


class Model:
    """A package, loaded, with the best times so far."""

    def __init__(self, folder: Path) -> None:
        self.package = ModelPackage.open(folder)
        self.runtime = OpenVinoRuntime(self.package)
        crop = self.package.manifest.crop
        self.options = AnalysisOptions(SAMPLING, CropRule(crop.scale, crop.size))
        golden = self.package.golden.crops
        self.crops = np.tile(golden, (-(-BATCH // len(golden)), 1, 1, 1))[:BATCH]
        self.batch_s = self.video_s = self.network_s = float("inf")
        self.faces = 0

    def score_batch(self) -> None:
        """Score some crops; keep the time if it is the best so far."""
        self.batch_s = min(self.batch_s, _taken(lambda: self.runtime.score(self.crops)))

    def judge(self, video: Path, finder: FullRangeFinder) -> None:
        """Look for faces and score them; keep the times if they are the best so far."""
        start = time.perf_counter()
        with open_video(video) as container:
            samples = analyse_span(container, None, finder, self.options, Sparse())
            faces = [face.crop for s in samples for face in s.faces if face.crop is not None]
        seen = time.perf_counter()
        for first in range(0, len(faces), BATCH):
            self.runtime.score(np.stack(faces[first : first + BATCH]))
        ended = time.perf_counter()
        if ended - start < self.video_s:
            self.video_s, self.network_s = ended - start, ended - seen
        self.faces = len(faces)


def _taken(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    models = [Model(folder) for folder in given.packages]
    finder = FullRangeFinder(face_model(load_settings().face_models, "full_range_sparse"))
    for _ in range(given.rounds):
        for model in models:
            model.score_batch()
            if given.video:
                model.judge(given.video, finder)
    base = models[0]
    print(f"{len(os.sched_getaffinity(0))} cores\n")
    print("| model | crop | crops/s | ms a video | of these the network |")
    print("| --- | --- | --- | --- | --- |")
    for model in models:
        speed = f"{BATCH / model.batch_s:,.0f} ({base.batch_s / model.batch_s:.2f})"
        video, network = "-", "-"
        if given.video:
            video = f"{1000 * model.video_s:,.0f} ({model.video_s / base.video_s:.2f})"
            network = f"{1000 * model.network_s:,.0f}, {model.faces} faces"
        manifest = model.package.manifest
        print(f"| {manifest.label} | {manifest.crop.size} | {speed} | {video} | {network} |")


if __name__ == "__main__":
    main()
