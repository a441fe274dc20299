"""The whole way: from a data folder to a model package, in stages that can be taken up again.

    samples -> start weights -> painters -> pairs -> fit -> branches -> average -> report -> package

A run from a package begins its fit at that package's weights; all else is as from nothing.
A stage whose files are there is not run again, so an interrupted run goes on where it was;
delete a stage's files to repeat it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fimq.errors import PairsTell, RecipeInvalid, RunDiffers
from fimq_training.arrays import read_arrays
from fimq_training.begun import begin
from fimq_training.datasets.catalogue import Catalogue
from fimq_training.evaluation.report import HeldOut, measure
from fimq_training.export.onnx import Network
from fimq_training.export.package import Release, write_package
from fimq_training.export.painter_file import write_painter
from fimq_training.fitting.painter_fit import PainterFit
from fimq_training.fitting.pair_fit import PairFit
from fimq_training.fitting.pair_task import averaged, between
from fimq_training.fitting.side_by_side import Fitting, side_by_side
from fimq_training.manipulations.clips import Clip, ClipMaker, load_clips, real_clips, save_clips
from fimq_training.manipulations.filling import Filling
from fimq_training.manipulations.landmarks import MeshReader
from fimq_training.manipulations.pairs import Drawing, PairMaker
from fimq_training.manipulations.probe import tells
from fimq_training.manipulations.samples import SampleReader, SampleSet
from fimq_training.networks import packaged, startweights
from fimq_training.networks.folded_model import Weights, parameters
from fimq_training.recipes.recipe import PairsPart, PoolPart, Recipe
from fimq_worker.vision.crops import CropRule
from fimq_worker.vision.faces.full_range import FullRangeFinder

PORTRAITS, CLIPS = "portraits", "clips"
FRAMES_FIT, FRAMES_HELD_OUT = 10, 16  #: samples of a clip
PROBED = 8  #: files that the probe looks at
TELLS = 0.6  #: AUC of the probe from which on pairs are not fitted on
CLIP_DRAWS = 4  #: degradations and forgeries of each held-out clip
TRUNK_SEED, CLIP_SEED, PORTRAIT_SEED = 1, 3, 4
_SAID = ("title", "source", "command", "time", "expect")  #: of a recipe: decides nothing


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model is made from."""

    data: Path  #: folder with manifest.csv
    models: Path  #: folder of the MediaPipe face models
    carrier: Path  #: npm tarball of the start weights
    package: Path | None = None  #: folder of a model package whose weights the fit goes on from
    remade: bool = False  #: whether that was made on the way, as the recipe says


@dataclass(frozen=True, slots=True)
class Stage:
    """A line of progress: which stage, and what it says."""

    name: str
    text: str


class Workshop:
    """The folder that a model is made in."""

    def __init__(self, out: Path, inputs: Inputs, recipe: Recipe) -> None:
        """Read the catalogue, and the package to go on from.

        Raises:
            RecipeInvalid: the recipe is not fitted on pairs.
            DatasetMissing: the data folder has no manifest.csv.
            PackageUnfit: what to go on from is no package, or of another network.
            ModelInvalid: it is damaged.
        """
        if not isinstance(recipe.data, PairsPart):
            raise RecipeInvalid(f"{recipe.name} is not fitted on pairs: fimq train fit")
        self.out, self._inputs, self._recipe, self._data = out, inputs, recipe, recipe.data
        self._crop = CropRule(scale=self._data.context, size=recipe.network.size)
        self._catalogue = Catalogue.read(inputs.data)
        self._ancestor = packaged.opened(inputs.package) if inputs.package else None
        if self._ancestor:
            packaged.weights_of(self._ancestor)

    @property
    def package(self) -> Path:
        """Where the finished package lies."""
        return self.out / "package"

    def run(self, created: datetime, outside: Mapping[str, Any]) -> Iterator[Stage]:
        """Run every stage that has not been run.

        Raises:
            RecipeInvalid: it keeps a share of a package that is not there.
            RunDiffers: the folder holds stages of another recipe or other data.
            PairsTell: codec and sharpness tell the label.
            PackageUnfit: the package to go on from scores otherwise than its golden crops say.
        """
        if self._data.kept and not self._ancestor:
            raise RecipeInvalid(f"{self._recipe.name} keeps weights of a package: --from")
        self.agree()
        yield from self.read_samples()
        yield from self.convert_start()
        yield from self.fit_painters()
        yield from self.make_pairs()
        yield from self.check_pairs()
        yield from self.fit()
        yield from self.make_held_out()
        yield from self.write_package(created, outside)

    def agree(self) -> None:
        """Be the first in this folder, or be as the first was.

        Raises:
            RunDiffers: it holds stages of another recipe or other data.
            DiskFull: there was no room.
        """
        facts = {"manifest": self._listed(), **self._recipe.model_dump(mode="json")}
        for name in _SAID:
            del facts[name]
        if self._ancestor:
            # Made again it has another date, and so another hash of the whole.
            facts["from"] = self._ancestor.manifest.sha256
        if other := begin(self.out / "recipe.json", facts):
            raise RunDiffers(f"{self.out} was begun with another {other.name}")

    def read_samples(self) -> Iterator[Stage]:
        """Find the faces of every portrait and clip, with their landmarks."""
        finder = FullRangeFinder(self._inputs.models / "face_detection_full_range_sparse.tflite")
        meshes = MeshReader(self._inputs.models / "face_landmark.tflite")
        reader = SampleReader(finder, meshes, self._crop)
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
        """Convert the start weights, proved on held-out portraits; read those of the package."""
        path = self.out / "start.npz"
        if not path.exists():
            samples = SampleSet.load(self._samples(PORTRAITS, held_out=True))
            proof = np.stack([sample.served for sample in samples.samples[:16]])
            difference = startweights.convert(self._inputs.carrier, path, proof)
            yield Stage("start", f"features equal the carrier's within {difference:.1e}")
        if self._ancestor and not self._first_weights().exists():
            difference = packaged.convert(self._ancestor, self._first_weights())
            text = f"scores equal those of {self._ancestor.manifest.label} within {difference:.1e}"
            yield Stage("start", text)

    def fit_painters(self) -> Iterator[Stage]:
        """Fit the painters, on portraits; the last one is for held-out people alone."""
        if self._data.painters is None:
            return
        fits = {
            f"painter_{number}": PainterFit(
                folder=self._folder(f"painter_{number}"),
                start=self.out / "start.npz",
                samples=self._samples(PORTRAITS, held_out=False),
                number=number,
                epochs=self._data.painters.epochs,
                seed=self._data.painters.seed + number,
            )
            for number in range(self._data.painters.count + 1)
        }
        yield from self._fits(fits)
        for (name, fit), path in zip(fits.items(), self._painters(), strict=True):
            if not path.exists():
                write_painter(read_arrays(self._folder(name) / "weights.npz"), fit.upsampling, path)
                yield Stage("painters", f"{path.name} written")

    def make_pairs(self) -> Iterator[Stage]:
        """Make the pairs of both pools, in as many processes as there are cores."""
        for kind, pool in self._pools().items():
            filling = Filling(
                samples=self._samples(kind, held_out=False),
                folder=self._pairs(kind),
                pairs=pool.pairs,
                seed=pool.seed,
                drawing=self._drawing(self._painters()[:-1]),
            )
            for made, missing in filling.run():
                if made % 16 == 0 or made == missing:
                    yield Stage("pairs", f"{kind}: {made} of {missing} shards")

    def check_pairs(self) -> Iterator[Stage]:
        """Ask whether codec and sharpness alone tell the label of the first portraits' pairs.

        Raises:
            PairsTell: they do; a fit would learn nothing else.
        """
        if (self._folder("trunk") / "weights.npz").exists():
            return
        shards = sorted(self._pairs(PORTRAITS).glob("*.npz"))[:PROBED]
        parts: list[dict[str, Any]] = [read_arrays(shard) for shard in shards]
        real, fake, people = (
            np.concatenate([p[k] for p in parts]) for k in ("real", "fake", "person")
        )
        labels = np.repeat([False, True], len(real))
        auc = tells(np.concatenate([real, fake]), labels, np.concatenate([people, people]))
        if auc > TELLS:
            raise PairsTell(f"Codec and sharpness alone tell the label: AUC {auc:.3f}")
        yield Stage("pairs", f"codec and sharpness alone reach AUC {auc:.3f} of the label")

    def fit(self) -> Iterator[Stage]:
        """Fit, then branch, then average."""
        yield from self._fits({"trunk": self._pair_fit("trunk")})
        yield from self._fits(
            {f"branch_{n}": self._pair_fit(f"branch_{n}", n) for n in range(self._branches())}
        )

    def weights(self) -> Weights:
        """The weights to export: the mean of the branches, or the trunk without any.

        Of those that the fit went on from, as large a share as the recipe keeps.
        """
        names = [f"branch_{number}" for number in range(self._branches())] or ["trunk"]
        several = [read_arrays(self._folder(name) / "weights.npz") for name in names]
        fitted = averaged([parameters(arrays) for arrays in several])
        if not self._data.kept:
            return fitted
        return between(parameters(read_arrays(self._first_weights())), fitted, self._data.kept)

    def make_held_out(self) -> Iterator[Stage]:
        """Make the clips and portraits of held-out people that the report is measured on."""
        if not self._held_out("fake").exists():
            samples = SampleSet.load(self._samples(CLIPS, held_out=True))
            maker = ClipMaker(samples, CLIP_SEED, self._crop, self._painters()[-1:])
            pairs = list(maker.pairs(CLIP_DRAWS))
            save_clips(real_clips(samples), self._held_out("real"))
            save_clips([pair.real for pair in pairs], self._held_out("degraded"))
            save_clips([pair.fake for pair in pairs], self._held_out("fake"))
            yield Stage("held out", f"{len(pairs)} pairs of clips")
        if not self._held_out("portraits_fake").exists():
            drawer = PairMaker(
                SampleSet.load(self._samples(PORTRAITS, held_out=True)),
                PORTRAIT_SEED,
                self._drawing(self._painters()[-1:]),
            )
            stills = [drawer.pair() for _ in range(1000)]
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
        network = Network(weights, self._crop.size)
        report = measure(held_out, lambda crops: network.score(crops)[:, 1])
        yield Stage("report", f"video AUC {report.video_auc}, order {report.video_order}")
        branches = self._data.branches
        epochs = self._recipe.fit.epochs + (branches.count * branches.epochs if branches else 0)
        steps = epochs * self._data.steps
        trained_on = {
            entry.folder
            for kind in (self._catalogue.portraits, self._catalogue.clips)
            for entry in kind(held_out=False)
        }
        release = Release(
            created=created,
            steps=steps,
            pairs=self._recipe.fit.batch // 2,
            recipe=self._recipe.name,
            name=self._data.model,
            version=self._data.version,
            crop=self._crop,
            ancestor=self._ancestor.manifest if self._ancestor else None,
            remade=self._inputs.remade,
            after=self._data.after,
            data=self._listed(),
            rendered=self._data.painters is not None,
            kept=self._data.kept,
        )
        passed = write_package(
            self.package, weights, report, release=release, folders=trained_on, outside=outside
        )
        differences = ", ".join(f"{name} {d:.1e}" for name, d in passed.differences.items())
        yield Stage("package", f"written; differs from the network by {differences}")

    def _drawing(self, painters: Sequence[Path]) -> Drawing:
        share = self._data.painters.share if self._data.painters else 0.0
        return Drawing(crop=self._crop, painters=tuple(painters), rendered=share)

    def _fits(self, fits: Mapping[str, Fitting]) -> Iterator[Stage]:
        """Run those that have not ended."""
        names = [n for n in fits if not (self._folder(n) / "weights.npz").exists()]
        for number, progress in side_by_side([fits[name] for name in names], among=len(fits)):
            if progress.finished is not None:
                text = (
                    f"epoch {progress.epoch} of {progress.epochs}, loss {progress.loss:.3f}, "
                    f"accuracy {progress.accuracy:.3f}, {progress.images_per_s:.0f} images/s"
                )
                yield Stage(names[number], text)

    def _pair_fit(self, name: str, number: int | None = None) -> PairFit:
        """The trunk, or a branch by its number."""
        plan, start, seed = self._recipe.fit, self._first_weights(), TRUNK_SEED
        branches = self._data.branches
        if number is not None and branches is not None:
            said = branches.model_dump(include={"epochs", "ema", "schedule"})
            plan = plan.model_copy(update=said)
            start, seed = self._folder("trunk") / "weights.npz", branches.seed + number
        return PairFit(
            folder=self._folder(name),
            start=start,
            pools=tuple((self._pairs(kind), pool.share) for kind, pool in self._pools().items()),
            plan=plan,
            seed=seed,
            steps=self._data.steps,
            size=self._crop.size,
        )

    def _listed(self) -> str:
        """Which files and people there are, as a hash."""
        return hashlib.sha256((self._inputs.data / "manifest.csv").read_bytes()).hexdigest()

    def _first_weights(self) -> Path:
        return self.out / ("ancestor.npz" if self._ancestor else "start.npz")

    def _branches(self) -> int:
        return self._data.branches.count if self._data.branches else 0

    def _pools(self) -> dict[str, PoolPart]:
        return {PORTRAITS: self._data.portraits, CLIPS: self._data.clips}

    def _painters(self) -> list[Path]:
        """The files of the painters, the last one that of held-out people; none without them."""
        count = self._data.painters.count + 1 if self._data.painters else 0
        return [self.out / "painters" / f"{number}.onnx" for number in range(count)]

    def _samples(self, kind: str, *, held_out: bool) -> Path:
        return self.out / "samples" / f"{kind}_{'held_out' if held_out else 'fit'}.npz"

    def _pairs(self, kind: str) -> Path:
        return self.out / "pairs" / kind

    def _folder(self, name: str) -> Path:
        return self.out / "fits" / name

    def _held_out(self, name: str) -> Path:
        return self.out / "held_out" / f"{name}.npz"


def read_outside(path: Path | None) -> dict[str, Any]:
    """Figures measured elsewhere, from a JSON file; none without one."""
    return {} if path is None else dict(json.loads(path.read_text(encoding="utf-8")))
