"""The runner: what happens to a doorbell. The edge of a step: its errors end here."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import structlog

from fimq.doorbell import Doorbell
from fimq.errors import (
    BrokerUnreachable,
    FimqError,
    GpuLost,
    LedgerUnreachable,
    MachineUnfit,
    RuntimeMissing,
    UnexpectedFailure,
)
from fimq.ledger import claims, completion
from fimq.ledger.claims import Claim
from fimq.ledger.database import Ledger
from fimq.ledger.states import StepKind, StepState
from fimq.settings import Settings
from fimq_worker.holding import Held, Holding, Stopped
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach
from fimq_worker.steps.analysis import Analyst
from fimq_worker.steps.persistence import Persistence

log = structlog.get_logger(__name__)


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class StepRunner:
    """Runs steps; one instance serves every slot of a worker."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        doorbell: Doorbell,
        holding: Holding,
        analyst: Analyst,
        *,
        measures: Measures,
        reach: Reach,
        end_process: Callable[[], None] = _end_process,
    ) -> None:
        """Keep what every step needs. `end_process` is called once this machine cannot judge."""
        self.settings = settings
        self.ledger = ledger
        self.doorbell = doorbell
        self.holding = holding
        self.analyst = analyst
        self.measures = measures
        self.reach = reach
        self.end_process = end_process
        self.persistence = Persistence(settings.lease_seconds)
        self.unfit = False

    def run(self, step_id: str) -> None:
        """Claim a step and run it to its end; return at once when there is nothing to claim."""
        if self.unfit:
            # The sweep rings again, for a worker that can score.
            return
        try:
            held = self.holding.take(step_id)
            if held is not None:
                self._hold(held)
        except LedgerUnreachable as error:
            # Nothing can be written: the lease runs out, or the sweep rings again.
            log.warning("step left", step_id=step_id, code=error.code, error=error.message)

    def _hold(self, held: Held) -> None:
        claim = held.claim
        with structlog.contextvars.bound_contextvars(
            job_id=claim.job_id, step_id=claim.step_id, worker_id=self.holding.worker_id
        ):
            log.info("step claimed", kind=claim.kind, ordinal=claim.ordinal, fence=claim.fence)
            try:
                with self.measures.step(claim.kind):
                    self._run(held)
            except Stopped:
                self._let_go(held)
            except LedgerUnreachable:
                raise
            except (GpuLost, MachineUnfit) as error:
                ends = self._ends(claim, error)
                try:
                    self._fail(held, error, elsewhere=ends or not self.settings.embedded_queue)
                finally:
                    if ends:
                        self._end(error)
            except FimqError as error:
                self._fail(held, error)
            except Exception as error:
                log.exception("step met an unknown error")
                self._fail(held, UnexpectedFailure(f"{type(error).__name__}: {error}"))
            finally:
                self.holding.drop(held)

    def _run(self, held: Held) -> None:
        kind = held.claim.kind
        if kind == StepKind.PLAN:
            rung = self.analyst.plan(held)
        elif kind == StepKind.SEGMENT:
            rung = self.analyst.segment(held)
        elif kind == StepKind.CUT:
            rung = self.analyst.cutter.cut(held)
        else:
            rung = self.analyst.finish(held)
        log.info("step done", kind=kind)
        self.measures.step_ended(kind, "done")
        self._ring(rung, held.claim.lane)

    def _let_go(self, held: Held) -> None:
        # The ledger may know of a loss that no heartbeat has brought yet.
        if not held.lost and self.persistence.ask(
            held, lambda: claims.give_back(self.ledger, held.claim)
        ):
            log.info("step given back")
            self.measures.step_ended(held.claim.kind, "given_back")
            self._ring([held.claim.step_id], held.claim.lane)
            return
        claims.let_go(self.ledger, held.claim)
        log.info("step dropped: it is no longer ours")
        self.measures.step_ended(held.claim.kind, "lost")

    def _ends(self, claim: Claim, error: FimqError) -> bool:
        """Whether this worker can do nothing more, or only nothing by this job's own model."""
        return not isinstance(error, RuntimeMissing) or claim.model == self.settings.model

    def _fail(self, held: Held, error: FimqError, *, elsewhere: bool = True) -> None:
        """Count an error against a step. `elsewhere`: another worker may have more luck."""
        state = self.persistence.ask(
            held,
            lambda: completion.fail_step(
                self.ledger,
                held.claim,
                error,
                final=error.final or not elsewhere,
                executions=self.settings.max_executions,
                wait=self.settings.retry_seconds,
                losses=self.settings.max_losses,
            ),
        )
        ends = {StepState.FAILED: "failed", StepState.READY: "again", None: "lost"}
        self.measures.step_ended(held.claim.kind, ends[state])
        if state is StepState.FAILED:
            self.measures.failed(error.code)
        says = {
            StepState.FAILED: "step failed",
            StepState.READY: "step will be run again",
            None: "step dropped: it is no longer ours",
        }
        log.warning(says[state], code=error.code, error=error.message)

    def _end(self, error: FimqError) -> None:
        """Every step would end here as this one did: a new process may have more luck.

        Where it has not, it refuses to start, and takes no work from those that can do it.
        """
        if not self.unfit:
            self.unfit = True
            lost = isinstance(error, GpuLost)
            log.error(
                "the GPU is lost: this worker ends"
                if lost
                else "this machine cannot judge: this worker ends",
                code=error.code,
                error=error.message,
            )
            self.end_process()

    def _ring(self, step_ids: list[str], lane: str) -> None:
        for step_id in step_ids:
            try:
                self.doorbell.ring(step_id, lane)
            except BrokerUnreachable as error:
                # The sweep rings again; the work that was done is safe in the ledger.
                self.reach.lost(error.message)
                return
