"""The classifier: a model, the runtime that passed its parity gate, and a micro-batcher.

One of each model a worker, shared by all its slots; loaded when first needed, and loaded
again when another build of it was installed, so that a promotion needs no restart.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ModelMissing
from fimq.models import registry
from fimq.models.manifest import Manifest
from fimq.settings import Settings
from fimq_worker.batcher import Batcher
from fimq_worker.measures import Measures
from fimq_worker.runtimes.choose import Choice, choose


@dataclass(frozen=True, slots=True)
class Classifier:
    """Scores face crops by one model."""

    manifest: Manifest
    choice: Choice
    batcher: Batcher

    def score(self, crops: NDArray[np.uint8]) -> list[tuple[float, list[float]]]:
        """For each crop (N, size, size, 3): its manipulated score, and its class scores."""
        return [
            (self.manifest.manipulated_score(row), [float(value) for value in row])
            for row in self.batcher.score(crops).astype(float).tolist()
        ]

    def facts(self) -> dict[str, Any]:
        """What a verdict says of its runtime, and of installed ones that were refused."""
        return {
            **self.choice.runtime_facts(),
            "refused": [
                {"name": refusal.name, "reason": refusal.reason} for refusal in self.choice.refusals
            ],
        }


class Classifiers:
    """The classifiers of a worker, by model name."""

    def __init__(self, settings: Settings, measures: Measures) -> None:
        """Load nothing yet."""
        self.settings = settings
        self.measures = measures
        self._loaded: dict[str, Classifier] = {}
        self._lock = threading.Lock()
        self._retired: list[Classifier] = []

    def get(self, name: str) -> Classifier:
        """The classifier of a model, loaded if need be.

        Raises:
            ModelMissing, ModelInvalid, RuntimeMissing: nothing is scored by another model.
        """
        with self._lock:
            manifest = registry.find_manifest(name, self.settings.installed_models)
            if manifest is None:
                raise ModelMissing(f"there is no model {name!r} here")
            known = self._loaded.get(name)
            if known is not None and known.manifest.sha256 == manifest.sha256:
                return known
            package = registry.find(name, self.settings.installed_models)
            if package is None:
                raise ModelMissing(f"there is no model {name!r} here")
            chosen = choose(package, self.settings.engines, self.settings.runtime)
            if known is not None:
                # Steps in work still use it; it ends with the worker.
                self._retired.append(known)
            batcher = Batcher(chosen.runtime, on_batch=self.measures.batch)
            loaded = Classifier(package.manifest, chosen, batcher)
            self._loaded[name] = loaded
            return loaded

    def facts(self) -> dict[str, dict[str, Any]]:
        """What judges with each model that is loaded, for heartbeat and metrics."""
        # Not under the lock: loading a model may hold it for minutes.
        return {
            name: {"model": classifier.manifest.label, **classifier.facts()}
            for name, classifier in dict(self._loaded).items()
        }

    def close(self) -> None:
        """Stop every batcher."""
        with self._lock:
            for classifier in (*self._loaded.values(), *self._retired):
                classifier.batcher.close()
