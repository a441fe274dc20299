"""Measures: what this worker process counted, in the form that Prometheus reads.

Counters begin at 0 with the process. What the ledger knows better (what waits, who is alive)
is not counted here but asked when somebody looks: see `exporter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Seconds; a step of a short clip takes under one, a segment of 4K film a minute.
_STEP_BUCKETS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 48, 64)


class Measures:
    """The counters of one worker process. Every method may be called from any thread."""

    def __init__(self) -> None:
        """Count from 0, in a registry of one's own."""
        self.registry = CollectorRegistry()
        self._steps = self._counter("fimq_steps", "Steps by how they ended here.", "kind", "result")
        self._busy = Gauge(
            "fimq_slots_busy", "Steps in work in this worker.", registry=self.registry
        )
        self._seconds = Histogram(
            "fimq_step_seconds",
            "Time that a step was held, however it ended.",
            ["kind"],
            buckets=_STEP_BUCKETS,
            registry=self.registry,
        )
        self._verdicts = self._counter(
            "fimq_verdicts", "Verdicts that this worker wrote.", "outcome", "reason"
        )
        self._failures = self._counter("fimq_jobs_failed", "Jobs that failed here.", "code")
        self._leases = self._counter("fimq_leases_lost", "Leases that this worker saw run out.")
        self._samples = self._counter("fimq_samples", "Samples analysed.", "state")
        self._faces = self._counter(
            "fimq_faces", "Faces found: scored, or why they were not.", "result"
        )
        self._packets = self._counter("fimq_packet_errors", "Packets that could not be decoded.")
        # Without its reason: that may quote the file, and nobody's file makes a time series.
        self._fallbacks = self._counter(
            "fimq_decode_fallbacks", "Segments of which every frame had to be decoded."
        )
        self._batches = Histogram(
            "fimq_batch_size",
            "Face crops in a batch.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self.registry)

    @contextmanager
    def step(self, kind: str) -> Iterator[None]:
        """A step in work."""
        with self._busy.track_inprogress(), self._seconds.labels(kind).time():
            yield

    def step_ended(self, kind: str, result: str) -> None:
        """A step ended: done, failed, again, given_back or lost."""
        self._steps.labels(kind, result).inc()

    def judged(self, outcome: str, reason: str | None) -> None:
        """A verdict was written."""
        self._verdicts.labels(outcome, reason or "").inc()

    def failed(self, code: str, jobs: int = 1) -> None:
        """Jobs failed."""
        self._failures.labels(code).inc(jobs)

    def leases_lost(self, count: int) -> None:
        """A sweep found leases that had run out."""
        self._leases.inc(count)

    def analysed(
        self, states: Iterable[str], faces: Iterable[str], *, packet_errors: int, fallback: bool
    ) -> None:
        """A span was analysed and written: its samples, its faces, its decoder's troubles."""
        for state in states:
            self._samples.labels(state).inc()
        for face in faces:
            self._faces.labels(face).inc()
        self._packets.inc(packet_errors)
        self._fallbacks.inc(fallback)

    def batch(self, crops: int) -> None:
        """A batch was scored."""
        self._batches.observe(crops)
