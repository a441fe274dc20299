"""Crops a second of every runtime that can be used here, by size of a batch.

All runtimes take turns on the same crops in one process; the best of some rounds is taken.
Shown in crops a second, and in proportion to the first runtime on CPUs at the same size:
only the proportions mean something on another machine. On a machine with a GPU its runtimes
join by themselves, in each of their precisions.

    python benchmarks/bench_runtimes.py [--model default] [--seconds 0.5] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fimq import logs
from fimq.errors import FimqError
from fimq.models.package import ModelPackage
from fimq.models.registry import open_registry
from fimq.settings import Settings, load_settings
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.base import Runtime
from fimq_worker.runtimes.choose import RUNTIMES

SIZES = (1, 8, 32, 64)
REFERENCE = "openvino"


@dataclass
class Runner:
    """One runtime in one precision, and its best speed at each size."""

    runtime: Runtime
    loaded_s: float
    parity: parity.Parity
    speed: dict[int, float] = field(default_factory=dict)

    def run(self, crops: NDArray[np.uint8], seconds: float) -> None:
        """Score for some seconds; keep the speed if it is the best so far."""
        count, calls = len(crops), 0
        start = time.perf_counter()
        while (taken := time.perf_counter() - start) < seconds:
            self.runtime.score(crops)
            calls += 1
        self.speed[count] = max(self.speed.get(count, 0), count * calls / taken)


def load_all(settings: Settings, package: ModelPackage) -> Iterator[Runner]:
    for name, ways in RUNTIMES.items():
        for load in ways:
            start = time.perf_counter()
            try:
                runtime = load(package, settings.engines)
                measured = parity.measure(runtime, package)
            except (FimqError, ImportError) as error:
                print(f"{name:<16} not here: {error}")
                break
            yield Runner(runtime, time.perf_counter() - start, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    logs.configure("error")
    settings = load_settings()
    with open_registry(settings) as registry:
        package = registry.open(registry.find(settings.tenant, given.model))
    runners = list(load_all(settings, package))
    golden = package.golden.crops
    crops = np.tile(golden, (-(-max(SIZES) // len(golden)), 1, 1, 1))
    for runner in runners:
        for size in SIZES:
            runner.runtime.score(crops[:size])
    for _ in range(given.rounds):
        for size in SIZES:
            for runner in runners:
                runner.run(crops[:size], given.seconds)

    base = next(runner for runner in runners if runner.runtime.name == REFERENCE)
    print(f"{package.manifest.label}; crops a second (in proportion to {REFERENCE})")
    print(f"{'runtime':<22}{'load':>8} " + "".join(f"{f'batch {size}':>18}" for size in SIZES))
    for runner in runners:
        name = f"{runner.runtime.name} {runner.runtime.precision}"
        cells = [
            f"{runner.speed[size]:,.0f} ({runner.speed[size] / base.speed[size]:.2f})"
            for size in SIZES
        ]
        shown = "".join(f"{cell:>18}" for cell in cells)
        gate = "" if runner.parity.passes else f"  fails the gate: {runner.parity}"
        print(f"{name:<22}{runner.loaded_s:>6.1f} s {shown}{gate}")


if __name__ == "__main__":
    main()
