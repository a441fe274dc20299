"""A fit of a painter as one thing that can be sent to another process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fimq_training.arrays import read_arrays
from fimq_training.fitting.fit import Fit, Progress
from fimq_training.fitting.painter_task import PainterTask
from fimq_training.fitting.plan import Plan
from fimq_training.manipulations.samples import SampleSet
from fimq_training.networks.folded_model import parameters
from fimq_training.networks.painter import UPSAMPLINGS, Upsampling

STEPS = 200  #: that make an epoch


def plan(epochs: int) -> Plan:
    """How every painter is fitted."""
    return Plan(
        epochs=epochs,
        batch=16,
        optimizer="adamw",
        rate=1e-3,
        schedule="cosine",
        warm_up=0.02,
        last=0.02,
        clip=1.0,
        ema=0.995,
    )


@dataclass(frozen=True, slots=True)
class PainterFit:
    """All that decides a painter."""

    folder: Path  #: where it works, as `Fit` has it
    start: Path  #: start weights, by whose maps it is judged
    samples: Path  #: of the faces that it paints
    number: int  #: decides how it goes from coarse to fine
    epochs: int
    seed: int

    @property
    def upsampling(self) -> Upsampling:
        """How it goes from coarse to fine."""
        return UPSAMPLINGS[self.number % len(UPSAMPLINGS)]

    def run(self) -> Iterator[Progress]:
        """Fit, or go on at the last checkpoint.

        Raises:
            ArraysDamaged: the samples or the start weights are not whole.
            LossNotFinite, CheckpointDamaged, DiskFull: as `Fit` has them.
        """
        settled = plan(self.epochs)
        task = PainterTask(
            SampleSet.load(self.samples),
            parameters(read_arrays(self.start)),
            self.upsampling,
            steps=STEPS,
            batch=settled.batch,
            seed=self.seed,
        )
        yield from Fit(self.folder, task, settled, self.seed).run()
