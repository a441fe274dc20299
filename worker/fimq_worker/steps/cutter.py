"""The cutter: the step of a job that judges nothing. decode, find, crop -> a bundle in the store.

It needs no model. The bundle is put into the store whole or not at all, and the job is done
in the transaction that names it; a worker that dies before leaves a step to be done again.
"""

from __future__ import annotations

from typing import BinaryIO

import structlog

import fimq
from fimq.cuts import Cut, CutReport
from fimq.errors import WorkersDiffer
from fimq.ledger import claims, cutting
from fimq.ledger.database import Ledger
from fimq.settings import Settings
from fimq.store.base import Store
from fimq_worker import bundle
from fimq_worker.child.protocol import PlanReply
from fimq_worker.cutting import cut_faces, planned
from fimq_worker.holding import Held, Stopped
from fimq_worker.steps import scratch
from fimq_worker.steps.footage import Footage
from fimq_worker.steps.headway import Headway
from fimq_worker.steps.persistence import Persistence

log = structlog.get_logger(__name__)


def faces_of(settings: Settings) -> dict[str, object]:
    """What of a worker's settings decides which faces it cuts; see `Cut.faces`."""
    return {
        "min_face": settings.min_face,
        "max_faces": settings.max_faces,
        "face_finder": settings.face_finder,
    }


class Cutter:
    """Cuts the faces of videos. One instance serves every slot of a worker."""

    def __init__(self, settings: Settings, ledger: Ledger, store: Store, footage: Footage) -> None:
        """Cut nothing yet."""
        self.settings = settings
        self.ledger = ledger
        self.store = store
        self.footage = footage
        self.persistence = Persistence(settings.lease_seconds)

    def cut(self, held: Held) -> list[str]:
        """Cut the faces of a video and end its job. There is never a step to ring for after it.

        Raises:
            WorkersDiffer: this worker would cut others than were asked for.
            ScratchUnusable: there is no room to write the bundle.
            FimqError: what is wrong with the video or the store.
            Stopped: the claim was taken away.
        """
        cut = Cut.from_options(held.claim.options["cut"])
        ours = faces_of(self.settings)
        if differs := [name for name, value in cut.faces.items() if ours[name] != value]:
            name = differs[0]
            raise WorkersDiffer(
                f"{name} is {ours[name]} at this worker, and {cut.faces[name]} was asked for"
            )
        self._end(held, self._made(held, cut))
        return []

    def _made(self, held: Held, cut: Cut) -> CutReport:
        with scratch.opened() as file:
            return self._report(held, cut, file)

    def _end(self, held: Held, report: CutReport) -> None:
        if not self.persistence.ask(
            held, lambda: cutting.complete_cut(self.ledger, held.claim, report)
        ):
            self._drop(held, report.key)
            raise Stopped

    def _report(self, held: Held, cut: Cut, file: BinaryIO) -> CutReport:
        """Write the bundle and put it into the store."""
        headway = Headway(self.ledger, held, lease=self.persistence.lease)
        samples = crops = 0
        with self.footage.opened(held) as (video, child):
            plan = planned(
                child,
                video.fileno(),
                segment_s=self.settings.segment_length(held.claim.lane),
            )
            held.check()
            self._record(held, cut, plan)
            cuts = cut_faces(child, video.fileno(), plan, cut)
            for sample in bundle.write(file, held.claim.job_id, cuts):
                held.check()
                samples += 1
                crops += len(sample.faces)
                headway.made(samples)
        held.check()
        file.seek(0)
        stored = self.store.put(file, limit=self.settings.max_bytes)
        return CutReport(
            key=stored.key,
            sha256=stored.sha256,
            bytes=stored.bytes,
            samples=samples,
            crops=crops,
            codec=cuts.codec,
            still=cuts.still,
            fimq=fimq.__version__,
        )

    def _record(self, held: Held, cut: Cut, plan: PlanReply) -> None:
        samples = -(-plan.frames // cut.stride(plan.frames))
        if not self.persistence.ask(
            held,
            lambda: claims.record_plan(
                self.ledger, held.claim, plan.probe, samples, package_sha256=None
            ),
        ):
            raise Stopped

    def _drop(self, held: Held, key: str) -> None:
        """Remove a bundle that came too late, unless it is also the one that another made."""
        with self.ledger.read() as session:
            wanted = cutting.is_wanted(session, held.claim.job_id, key)
        if not wanted:
            log.info("bundle dropped: nobody waits for it")
            self.store.delete(key)
