"""A fit on pairs as one thing that can be sent to another process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fimq_training.arrays import read_arrays
from fimq_training.fitting.fit import Fit, Progress
from fimq_training.fitting.pair_inputs import Mixture, Pool
from fimq_training.fitting.pair_task import PairTask
from fimq_training.fitting.plan import Plan
from fimq_training.networks.folded_model import FoldedB0, parameters


@dataclass(frozen=True, slots=True)
class PairFit:
    """All that decides a fit on pairs."""

    folder: Path  #: where it works, as `Fit` has it
    start: Path  #: start weights
    pools: tuple[tuple[Path, float], ...]  #: folders of pairs, and the share of each in a batch
    plan: Plan
    seed: int
    steps: int  #: that make an epoch
    size: int  #: of a crop, in pixels

    def run(self) -> Iterator[Progress]:
        """Fit, or go on at the last checkpoint.

        Raises:
            PairsMissing: a pool is empty.
            ArraysDamaged: a pool or the start weights are not whole.
            LossNotFinite, CheckpointDamaged, DiskFull: as `Fit` has them.
        """
        pools = [(Pool(folder), share) for folder, share in self.pools]
        weights = parameters(read_arrays(self.start))
        task = PairTask(
            lambda: FoldedB0(weights, self.seed),
            Mixture(pools, pairs=self.plan.batch // 2, seed=self.seed),
            steps=self.steps,
            smoothing=self.plan.smoothing,
            size=self.size,
        )
        yield from Fit(self.folder, task, self.plan, self.seed).run()
