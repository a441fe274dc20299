"""The analyst: turns a claim into rows. probe -> plan -> decode, find, crop -> score.

The decode child meets the bytes; what comes back are numbers and crops. A video of one
span is planned, analysed and judged in one claim; a longer one becomes segment steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

import fimq
from fimq.errors import ModelChanged
from fimq.ledger import claims, completion
from fimq.ledger.completion import SegmentRows
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Job, Step
from fimq.models.package import ModelPackage
from fimq.models.registry import Registry
from fimq.policy.rules import find_policy
from fimq.settings import Settings
from fimq.store.base import Store
from fimq_worker.child.client import ChildPool, DecodeChild
from fimq_worker.child.protocol import AnalyseRequest, EndReply, PlanRequest, SampleReply
from fimq_worker.classifier import Classifier, Classifiers
from fimq_worker.holding import Held, Stopped
from fimq_worker.measures import Measures
from fimq_worker.steps.cutter import Cutter
from fimq_worker.steps.footage import Footage
from fimq_worker.steps.headway import Headway
from fimq_worker.steps.judgement import Judgement
from fimq_worker.steps.persistence import Persistence
from fimq_worker.vision.sampler.base import Span

#: Crops are handed to the classifier in chunks of about so many.
_CHUNK = 32


class Analyst:
    """Does the work of steps. One instance serves every slot of a worker."""

    def __init__(
        self, settings: Settings, ledger: Ledger, store: Store, measures: Measures
    ) -> None:
        """Start nothing yet; children start when first needed."""
        self.settings = settings
        self.ledger = ledger
        self.store = store
        self.measures = measures
        self.registry = Registry(ledger, store, settings.installed_models)
        self.classifiers = Classifiers(settings, measures)
        self.children = ChildPool(settings)
        self.footage = Footage(store, self.children)
        self.cutter = Cutter(settings, ledger, store, self.footage)
        self.persistence = Persistence(settings.lease_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.children.close()
        self.classifiers.close()

    def prepare(self) -> None:
        """Load what every step takes: the model, its runtime, a child with its face finder.

        Raises:
            ModelMissing, ModelInvalid: the model cannot be used.
            MachineUnfit: this machine has no runtime for it, or no face finder.
            ServiceError: who knows the model is away.
            AnalysisError: the decode child cannot be started.
        """
        found = self.registry.find(self.settings.tenant, self.settings.model)
        with (
            self.classifiers.use(found.package_sha256, lambda: self.registry.open(found)),
            self.children.borrow() as child,
        ):
            child.layers()

    def plan(self, held: Held) -> list[str]:
        """Probe and plan a video; judge it at once if it is short. Returns steps to ring for."""
        # Before any decoding: without its model nothing of the job can be scored.
        with self._promoted(held) as classifier:
            return self._plan(held, classifier)

    def _plan(self, held: Held, classifier: Classifier) -> list[str]:
        claim = held.claim
        with self.footage.opened(held) as (video, child):
            plan = child.plan(
                video.fileno(),
                PlanRequest(
                    sampling=claim.options["sampling"],
                    min_samples=claim.options["min_samples"],
                    segment_s=self.settings.segment_length(claim.lane),
                ),
            )
            held.check()
            recorded = self.persistence.ask(
                held,
                lambda: claims.record_plan(
                    self.ledger,
                    claim,
                    plan.probe,
                    plan.samples,
                    package_sha256=classifier.package_sha256,
                ),
            )
            if not recorded:
                raise Stopped
            if len(plan.spans) > 1:
                spans = [{"span": span.to_dict(), "sampling": plan.sampling} for span in plan.spans]
                steps = self.persistence.ask(
                    held,
                    lambda: completion.complete_plan(
                        self.ledger, claim, spans=spans, samples=plan.samples
                    ),
                )
                if steps is None:
                    raise Stopped
                return steps
            rows = self._analyse(held, (video, child), classifier, plan.spans[0], plan.sampling)
        self._end(held, classifier, plan.samples, rows=rows)
        return []

    def segment(self, held: Held) -> list[str]:
        """Analyse one span. Returns the finish step if this was the last span."""
        claim = held.claim
        span = Span.from_dict(claim.payload["span"])
        with self._pinned(held) as classifier, self.footage.opened(held) as (video, child):
            rows = self._analyse(
                held,
                (video, child),
                classifier,
                span,
                claim.payload["sampling"],
            )
        written, finish = self.persistence.ask(
            held, lambda: completion.complete_segment(self.ledger, claim, rows)
        )
        if not written:
            raise Stopped
        self._measure(rows)
        return [finish] if finish else []

    def finish(self, held: Held) -> list[str]:
        """Judge a video whose segments are all there."""
        with self._pinned(held) as classifier:
            planned, scored_by = self.persistence.ask(held, lambda: self._scored(held.claim.job_id))
            ours = classifier.manifest.sha256, classifier.package_sha256
            # A worker of an earlier release does not know what a job is bound to.
            if not scored_by <= {ours, (ours[0], None)}:
                raise ModelChanged
            self._end(held, classifier, planned, rows=None)
        return []

    def _scored(self, job_id: str) -> tuple[int, set[tuple[str, str | None]]]:
        """How many samples a job has, and the networks and packages that scored them."""
        with self.ledger.read() as session:
            planned = session.get_one(Job, job_id).samples_planned
            reports = session.scalars(
                select(Step.report).where(Step.job_id == job_id, Step.report.is_not(None))
            )
            return planned, {
                (report["model_sha256"], report.get("package_sha256"))
                for report in reports
                if report
            }

    @contextmanager
    def _promoted(self, held: Held) -> Iterator[Classifier]:
        """The model that the job's name for it means now."""
        claim = held.claim
        found = self.persistence.ask(held, lambda: self.registry.find(claim.tenant, claim.model))
        with self.classifiers.use(
            found.package_sha256, lambda: self.registry.open(found)
        ) as classifier:
            yield classifier

    @contextmanager
    def _pinned(self, held: Held) -> Iterator[Classifier]:
        """The model that the job was planned with, whatever is promoted by now."""
        tenant, package_sha256 = held.claim.tenant, held.claim.package_sha256
        if package_sha256 is None:
            # Planned by a worker of an earlier release.
            with self._promoted(held) as classifier:
                yield classifier
            return

        def find() -> ModelPackage:
            found = self.persistence.ask(held, lambda: self.registry.pinned(tenant, package_sha256))
            return self.registry.open(found)

        with self.classifiers.use(package_sha256, find) as classifier:
            yield classifier

    def _end(
        self, held: Held, classifier: Classifier, planned: int, *, rows: SegmentRows | None
    ) -> None:
        judgement = Judgement(
            claim=held.claim,
            manifest=classifier.manifest,
            package_sha256=classifier.package_sha256,
            policy=find_policy(held.claim.policy),
            runtime=classifier.facts(),
            planned=planned,
        )
        judged: dict[str, Any] = {}

        def judge(session: Session, job_id: str) -> Any:
            answer = judgement(session, job_id)
            judged.update(answer[0])
            return answer

        done = self.persistence.ask(
            held,
            lambda: completion.complete_job(
                self.ledger, held.claim, judge, rows=rows, samples=planned
            ),
        )
        if not done:
            raise Stopped
        self.measures.judged(judged["outcome"], judged["reason"])
        if rows is not None:
            self._measure(rows)

    def _measure(self, rows: SegmentRows) -> None:
        self.measures.analysed(
            (row["state"] for row in rows.samples),
            (row["skipped"] or "scored" for row in rows.faces),
            packet_errors=rows.report["packet_errors"],
            fallback=rows.report["fallback"] is not None,
        )

    def _analyse(
        self,
        held: Held,
        opened: tuple[BinaryIO, DecodeChild],
        classifier: Classifier,
        span: Span,
        sampling: str,
    ) -> SegmentRows:
        video, child = opened
        manifest = classifier.manifest
        rows = _Rows(classifier, self.settings.face_finder)
        request = AnalyseRequest(
            span=span,
            sampling=sampling,
            crop_scale=manifest.crop.scale,
            crop_size=manifest.crop.size,
        )
        headway = Headway(self.ledger, held, lease=self.persistence.lease)
        with classifier.batcher.slot():
            analysis = child.analyse(video.fileno(), request)
            for sample in analysis:
                held.check()
                rows.add(sample)
                headway.made(len(rows.samples))
            rows.score()
        held.check()
        return SegmentRows(rows.samples, rows.faces, rows.report(analysis.end, sampling))


class _Rows:
    """The rows of a span as they come, scored in chunks."""

    def __init__(self, classifier: Classifier, finder: str) -> None:
        self.classifier = classifier
        self.finder = finder
        self.samples: list[dict[str, Any]] = []
        self.faces: list[dict[str, Any]] = []
        self._waiting: list[tuple[dict[str, Any], Any]] = []

    def add(self, sample: SampleReply) -> None:
        """Take a sample; score what waits when it is enough for a batch."""
        self.samples.append(
            {
                "frame_index": sample.frame_index,
                "pts": sample.pts,
                "time_s": sample.time_s,
                "state": "damaged" if sample.damaged else "ok",
                "quality": {
                    "time_estimated": sample.time_estimated,
                    "width": sample.width,
                    "height": sample.height,
                    "colours": sample.colours,
                    "faces_left_out": sample.faces_left_out,
                },
            }
        )
        for ordinal, face in enumerate(sample.faces):
            row = {
                "frame_index": sample.frame_index,
                "ordinal": ordinal,
                "box": list(face.box),
                "detector_score": face.detector_score,
                "quality": face.quality,
                "skipped": face.skipped,
                "track": None,
                "score": None,
                "class_scores": None,
            }
            self.faces.append(row)
            if face.crop is not None:
                self._waiting.append((row, face.crop))
        if len(self._waiting) >= _CHUNK:
            self.score()

    def score(self) -> None:
        """Score the crops that wait."""
        if not self._waiting:
            return
        scores = self.classifier.score(np.stack([crop for _, crop in self._waiting]))
        for (row, _), (score, class_scores) in zip(self._waiting, scores, strict=True):
            row["score"] = score
            row["class_scores"] = class_scores
        self._waiting.clear()

    def report(self, end: EndReply, sampling: str) -> dict[str, Any]:
        """What is kept with the step."""
        return {
            "sampling": sampling,
            "model_sha256": self.classifier.manifest.sha256,
            "package_sha256": self.classifier.package_sha256,
            "fimq": fimq.__version__,
            "finder": self.finder,
            "runtime": self.classifier.choice.runtime_facts(),
            "packets": end.packets,
            "packet_errors": end.packet_errors,
            "decoded": end.decoded,
            "fallback": end.fallback_reason,
        }
