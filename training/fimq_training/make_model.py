"""The whole way: from a data folder to a model package, in stages that can be taken up again.

    start weights -> samples -> pairs -> fit -> branches -> average -> report -> package

A stage whose files are there is not run again, so an interrupted run goes on where it was;
delete a stage's files to repeat it. Pairs are made by processes of their own while the fit
already reads them.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fimq_training.datasets.catalogue import Catalogue
from fimq_training.evaluation.report import HeldOut, measure
from fimq_training.export.onnx import Network
from fimq_training.export.package import Release, write_package
from fimq_training.fitting import pair_fit as fit
from fimq_training.fitting.pair_fit import Fit, Progress, Schedule, Weights
from fimq_training.fitting.pools import Mixture
from fimq_training.manipulations.clips import Clip, ClipMaker, load_clips, real_clips, save_clips
from fimq_training.manipulations.landmarks import MeshReader
from fimq_training.manipulations.pairs import PairMaker, write_shards
from fimq_training.manipulations.samples import SampleReader, SampleSet
from fimq_training.networks import startweights
from fimq_worker.vision.faces.full_range import FullRangeFinder

PORTRAITS, CLIPS = "portraits", "clips"
FRAMES_FIT, FRAMES_HELD_OUT = 10, 16  #: samples of a clip
SHARES = {PORTRAITS: 0.85, CLIPS: 0.15}  #: more video of few people costs more than it gives
SEEDS = {PORTRAITS: 1, CLIPS: 2}
FIRST_PAIRS = 512  #: of each pool, before the fit starts
CLIP_DRAWS = 4  #: degradations and forgeries of each held-out clip
CLIP_SEED, PORTRAIT_SEED = 3, 4


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model is made from."""

    data: Path  #: folder with manifest.csv
    models: Path  #: folder of the MediaPipe face models
    carrier: Path  #: npm tarball of the start weights


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    steps: int = 1000  #: of the fit
    branch_steps: int = 450  #: of each branch
    branches: int = 2  #: fits that start from the first one and are averaged; 0 for none
    portrait_pairs: int = 40_000
    clip_pairs: int = 8_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A line of progress: which stage, and what it says."""

    name: str
    text: str


class Workshop:
    """The folder that a model is made in."""

    def __init__(self, out: Path, inputs: Inputs, plan: Plan) -> None:
        self.out, self._inputs, self._plan = out, inputs, plan
        self._catalogue = Catalogue.read(inputs.data)

    @property
    def package(self) -> Path:
        """Where the finished package lies."""
        return self.out / "package"

    def run(self, created: datetime, outside: Mapping[str, Any]) -> Iterator[Stage]:
        """Run every stage that has not been run."""
        yield from self.read_samples()
        yield from self.convert_start()
        with self._pair_makers():
            yield from self.fit()
        yield from self.make_held_out()
        yield from self.write_package(created, outside)

    def read_samples(self) -> Iterator[Stage]:
        """Find the faces of every portrait and clip, with their landmarks."""
        finder = FullRangeFinder(self._inputs.models / "face_detection_full_range_sparse.tflite")
        reader = SampleReader(finder, MeshReader(self._inputs.models / "face_landmark.tflite"))
        for held_out in (True, False):
            for kind in (PORTRAITS, CLIPS):
                path = self._samples(kind, held_out=held_out)
                if path.exists():
                    continue
                if kind == PORTRAITS:
                    found = reader.portraits(self._catalogue.portraits(held_out=held_out))
                else:
                    frames = FRAMES_HELD_OUT if held_out else FRAMES_FIT
                    found = reader.clips(self._catalogue.clips(held_out=held_out), frames)
                samples = SampleSet(found)
                samples.save(path)
                text = f"{path.stem}: {len(samples)} faces of {len(samples.people)} people"
                yield Stage("samples", text)

    def convert_start(self) -> Iterator[Stage]:
        """Convert the start weights, proved on held-out portraits."""
        path = self.out / "start.npz"
        if not path.exists():
            samples = SampleSet.load(self._samples(PORTRAITS, held_out=True))
            proof = np.stack([sample.served for sample in samples.samples[:16]])
            difference = startweights.convert(self._inputs.carrier, path, proof)
            yield Stage("start", f"features equal the carrier's within {difference:.1e}")

    def fit(self) -> Iterator[Stage]:
        """Fit, then branch, then average."""
        trunk = self.out / "fits" / "trunk"
        start = fit.load_weights(self.out / "start.npz")
        yield from self._fit(trunk, start, Schedule(steps=self._plan.steps, ema=0.995))
        ancestor = fit.load_weights(trunk / "weights.npz")
        for number in range(self._plan.branches):
            schedule = Schedule(steps=self._plan.branch_steps, ema=0.99, seed=11 + number)
            yield from self._fit(self._branch(number), ancestor, schedule)

    def weights(self) -> Weights:
        """The weights to export: the mean of the branches, or the trunk without any."""
        folders = [self._branch(number) for number in range(self._plan.branches)]
        return fit.averaged(
            [
                fit.load_weights(folder / "weights.npz")
                for folder in folders or [self.out / "fits" / "trunk"]
            ]
        )

    def make_held_out(self) -> Iterator[Stage]:
        """Make the clips and portraits of held-out people that the report is measured on."""
        if not self._held_out("fake").exists():
            samples = SampleSet.load(self._samples(CLIPS, held_out=True))
            pairs = list(ClipMaker(samples, CLIP_SEED).pairs(CLIP_DRAWS))
            save_clips(real_clips(samples), self._held_out("real"))
            save_clips([pair.real for pair in pairs], self._held_out("degraded"))
            save_clips([pair.fake for pair in pairs], self._held_out("fake"))
            yield Stage("held out", f"{len(pairs)} pairs of clips")
        if not self._held_out("portraits_fake").exists():
            maker = PairMaker(
                SampleSet.load(self._samples(PORTRAITS, held_out=True)), PORTRAIT_SEED
            )
            stills = [maker.pair() for _ in range(1000)]
            for side in ("real", "fake"):
                save_clips(
                    [Clip(getattr(p, side)[None], p.person, p.person, p.name) for p in stills],
                    self._held_out(f"portraits_{side}"),
                )
            yield Stage("held out", f"{len(stills)} pairs of portraits")

    def write_package(self, created: datetime, outside: Mapping[str, Any]) -> Iterator[Stage]:
        """Measure the model and write its package."""
        weights = self.weights()
        held_out = HeldOut(
            *(
                load_clips(self._held_out(name))
                for name in ("real", "degraded", "fake", "portraits_real", "portraits_fake")
            )
        )
        report = measure(held_out, Network(weights).score)
        yield Stage("report", f"video AUC {report.video_auc}, order {report.video_order}")
        steps = self._plan.steps + self._plan.branches * self._plan.branch_steps
        trained_on = {
            entry.folder
            for kind in (self._catalogue.portraits, self._catalogue.clips)
            for entry in kind(held_out=False)
        }
        release = Release(created=created, steps=steps)
        write_package(
            self.package, weights, report, release=release, folders=trained_on, outside=outside
        )
        yield Stage("package", "written")

    def _fit(self, folder: Path, start: Weights, schedule: Schedule) -> Iterator[Stage]:
        path = folder / "weights.npz"
        if path.exists():
            return
        shares = [(self._pairs(kind), share) for kind, share in SHARES.items()]
        mixture = Mixture(shares, schedule.seed)
        while mixture.smallest < FIRST_PAIRS:
            time.sleep(1)
        running = Fit(folder, start, mixture, schedule)
        for progress in running.run():
            yield Stage(folder.name, _line(progress))
        fit.save_weights(running.weights(), path)

    @contextmanager
    def _pair_makers(self) -> Iterator[None]:
        """Processes that fill the pools, until the fit needs no more."""
        context = multiprocessing.get_context("spawn")  # a fork would copy TensorFlow's threads
        counts = {PORTRAITS: self._plan.portrait_pairs, CLIPS: self._plan.clip_pairs}
        makers = [
            context.Process(
                target=_fill,
                args=(self._samples(kind, held_out=False), self._pairs(kind), SEEDS[kind], count),
                daemon=True,
            )
            for kind, count in counts.items()
            if not any(self._pairs(kind).glob("*.npz"))
        ]
        for maker in makers:
            maker.start()
        try:
            yield
        finally:
            for maker in makers:
                maker.terminate()
                maker.join()

    def _samples(self, kind: str, *, held_out: bool) -> Path:
        return self.out / "samples" / f"{kind}_{'held_out' if held_out else 'fit'}.npz"

    def _pairs(self, kind: str) -> Path:
        return self.out / "pairs" / kind

    def _branch(self, number: int) -> Path:
        return self.out / "fits" / f"branch_{number}"

    def _held_out(self, name: str) -> Path:
        return self.out / "held_out" / f"{name}.npz"


def read_outside(path: Path | None) -> dict[str, Any]:
    """Figures measured elsewhere, from a JSON file; none without one."""
    return {} if path is None else dict(json.loads(path.read_text(encoding="utf-8")))


def _fill(samples: Path, folder: Path, seed: int, count: int) -> None:
    os.nice(5)  # the fit goes first
    for _ in write_shards(PairMaker(SampleSet.load(samples), seed), folder, count):
        pass


def _line(progress: Progress) -> str:
    return (
        f"step {progress.step}, loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}, "
        f"pools drawn {progress.rounds} times"
    )
