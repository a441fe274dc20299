"""The classifier: a model, the runtime that passed its parity gate, and a micro-batcher.

One of each version of a model a worker, shared by all its slots, loaded when first needed.
Several may be loaded at once, so that a promotion needs no restart and no video changes its
model on the way.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from fimq.models.manifest import Manifest
from fimq.models.package import ModelPackage
from fimq.settings import Settings
from fimq_worker.batcher import Batcher
from fimq_worker.measures import Measures
from fimq_worker.runtimes.choose import Choice, choose

#: Models that stay loaded though no step uses them: the promoted one, and the one before it.
_IDLE: Final = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Classifier:
    """Scores face crops by one model."""

    manifest: Manifest
    package_sha256: str
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


@dataclass(slots=True)
class _Entry:
    """A model in this worker: loaded, or being loaded by the first who wants it."""

    users: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)
    classifier: Classifier | None = None


class Classifiers:
    """The classifiers of a worker, by their packages' hashes.

    A job keeps the model that it was planned with, so that two versions are used at once while
    a promotion takes hold. One that nobody uses ends when others were used since.
    """

    def __init__(self, settings: Settings, measures: Measures) -> None:
        """Load nothing yet."""
        self.settings = settings
        self.measures = measures
        #: The one used last comes last.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def use(self, package_sha256: str, find: Callable[[], ModelPackage]) -> Iterator[Classifier]:
        """The classifier of a package, which `find` gives if it is not loaded; it stays till then.

        Raises:
            ModelMissing, ModelInvalid, RuntimeMissing: nothing is scored by another model.
            ServiceError: what `find` raises; the step is run again.
        """
        entry = self._enter(package_sha256)
        try:
            # One loads, which may take minutes; who wants another model does not wait for it.
            with entry.loading:
                classifier = entry.classifier
                if classifier is None:
                    classifier = entry.classifier = self._load(find())
            yield classifier
        finally:
            self._leave(entry)

    def facts(self) -> dict[str, dict[str, Any]]:
        """What judges with each model that is loaded, for heartbeat and metrics."""
        with self._lock:
            entries = list(self._entries.items())
        return {
            package_sha256[:12]: {"model": classifier.manifest.label, **classifier.facts()}
            for package_sha256, entry in entries
            if (classifier := entry.classifier) is not None
        }

    def close(self) -> None:
        """Stop every batcher."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        _end(entries)

    def _load(self, package: ModelPackage) -> Classifier:
        chosen = choose(package, self.settings.engines, self.settings.runtime)
        batcher = Batcher(chosen.runtime, on_batch=self.measures.batch)
        log.info("model loaded", model=package.manifest.label, package=package.sha256[:12])
        return Classifier(package.manifest, package.sha256, chosen, batcher)

    def _enter(self, package_sha256: str) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(package_sha256, _Entry())
            self._entries.move_to_end(package_sha256)
            entry.users += 1
            return entry

    def _leave(self, left: _Entry) -> None:
        with self._lock:
            left.users -= 1
            idle = [key for key, entry in self._entries.items() if not entry.users]
            loaded = [key for key in idle if self._entries[key].classifier is not None]
            ended = {*loaded[:-_IDLE], *(set(idle) - set(loaded))}
            entries = [self._entries.pop(key) for key in ended]
        _end(entries)


def _end(entries: Iterable[_Entry]) -> None:
    for entry in entries:
        if entry.classifier is not None:
            log.info("model ended", model=entry.classifier.manifest.label)
            entry.classifier.batcher.close()
