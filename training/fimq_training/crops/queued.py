"""Queued: files are cut by all workers of an installation, and their bundles collected here.

    put into the store -> job -> [a worker cuts] -> bundle -> crops and record -> job deleted

Only so many files are on this way at once that workers never wait, and the store never fills.
Whoever is stopped or killed leaves jobs; the same command finds them by their keys, and asks
for nothing twice. A job goes when the record of its file is in the journal, not before.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from fimq.errors import (
    AnalysisError,
    BrokerUnreachable,
    BundleDamaged,
    CutCancelled,
    FimqError,
    InputError,
    NobodyCuts,
    StoreChanged,
    StoreMissing,
    WorkerLost,
)
from fimq.ledger.cutting import CutJob
from fimq.ledger.states import JobState
from fimq.settings import Settings
from fimq_training.crops import journal
from fimq_training.crops.desk import Desk
from fimq_training.crops.extraction import Extraction
from fimq_training.crops.journal import Record
from fimq_training.crops.making import Waiting
from fimq_training.datasets.base import Item
from fimq_worker import bundle

#: Files that are put into the store, or taken out of it, at once.
_HANDS = 4
#: Files on the way, for each slot of a worker, and in all cases.
_FILES_A_SLOT, _FEWEST = 2, 8
#: Seconds between two looks at the jobs, and at the workers.
_POLL_S, _LOOK_S = 0.1, 2.0
#: What the store lost or spoilt is put there again.
_SPOILT = (StoreMissing, StoreChanged, BundleDamaged)


class QueuedCutters:
    """The workers of an installation; see `making.Cutters`."""

    def __init__(
        self, extraction: Extraction, settings: Settings, *, takes: Callable[[str], bool]
    ) -> None:
        """Ask nobody yet.

        Args:
            extraction: what becomes of a file.
            settings: which installation.
            takes: whether a file is of this shard, so that nobody touches another's jobs.
        """
        self.extraction, self.settings, self.takes = extraction, settings, takes

    def check(self) -> None:
        """Look for workers.

        Raises:
            NobodyCuts: there is none.
            WorkersDiffer: one would cut other crops.
            ServiceError: the installation cannot be used.
        """
        with Desk.open(self.settings, run="") as desk:
            if not desk.slots(self.extraction.cut.faces):
                raise NobodyCuts

    def records(self, items: Sequence[Item]) -> Generator[Record | Waiting, None, None]:
        """Records as bundles come.

        Raises:
            DiskFull: there was no room for a crop.
            WorkersDiffer: a worker would cut other crops.
            ServiceError: store or ledger cannot be used. Jobs stay; the same command goes on.
        """
        run = journal.run_of(self.extraction.out)
        with (
            Desk.open(self.settings, run, threads=_HANDS + 1) as desk,
            ThreadPoolExecutor(_HANDS, thread_name_prefix="prepare") as hands,
        ):
            yield from _Round(self, desk, hands, items).records()


@dataclass(frozen=True, slots=True)
class _Done:
    """What hands are through with."""

    item: Item
    job_id: str | None = None  #: its job, to be waited for or, with a record, discarded
    record: Record | None = None
    spoilt: bool = False  #: ask again


class _Round:
    """The way of all files of one call."""

    def __init__(
        self, cutters: QueuedCutters, desk: Desk, hands: ThreadPoolExecutor, items: Sequence[Item]
    ) -> None:
        self.extraction, self.settings = cutters.extraction, cutters.settings
        self.takes, self.desk, self.hands = cutters.takes, desk, hands
        self.left = iter(items)
        self.paths = {item.path for item in items}
        #: Jobs of earlier calls, by the path of their file.
        self.earlier: dict[str, list[str]] = {}
        self.asked: dict[str, Item] = {}
        self.busy: set[Future[_Done | None]] = set()
        self.tries: Counter[str] = Counter()
        self.most = _FEWEST
        self.unheard = False  #: the last job could not be rung for
        self.look_at = 0.0
        self.said: str | None = None

    def records(self) -> Iterator[Record | Waiting]:
        try:
            self._clear()
            while True:
                self._fill()
                if not (self.busy or self.asked):
                    return
                why = self._look()
                if why != self.said:
                    self.said = why
                    yield Waiting(why)
                for done in self._done():
                    if done.record is not None:
                        yield done.record
                    self._follow(done)
                self._collect_ended()
        finally:
            for future in self.busy:
                future.cancel()

    def _clear(self) -> None:
        """Discard what earlier calls left of files that are done, and what says nothing of one."""
        for job in self.desk.known():
            path = job.external_id or ""
            if path in self.paths and not _is_void(job):
                self.earlier.setdefault(path, []).append(job.job_id)
            elif self.takes(path):
                self.desk.discard(job.job_id)

    def _fill(self) -> None:
        while len(self.busy) + len(self.asked) < self.most:
            item = next(self.left, None)
            if item is None:
                return
            self.busy.add(self.hands.submit(self._ask, item))

    def _look(self) -> str | None:
        """Why nothing moves, if it does not."""
        now = time.monotonic()
        if now < self.look_at:
            return self.said
        self.look_at = now + _LOOK_S
        slots = self.desk.slots(self.extraction.cut.faces)
        self.most = max(_FEWEST, _FILES_A_SLOT * slots)
        if not slots:
            return f"waiting: {_lower(NobodyCuts.default_message())} ({NobodyCuts.hint})"
        if self.unheard:
            return (
                f"slow: {_lower(BrokerUnreachable.default_message())}; workers look by themselves"
            )
        return None

    def _done(self) -> Iterator[_Done]:
        if not self.busy:
            time.sleep(_POLL_S)
            return
        done, _ = wait(self.busy, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        self.busy -= done
        for future in done:
            if (result := future.result()) is not None:
                yield result

    def _follow(self, done: _Done) -> None:
        """What comes next on the way of a file."""
        if done.spoilt:
            self.busy.add(self.hands.submit(self._ask_again, done))
        elif done.job_id is not None and done.record is not None:
            self.busy.add(self.hands.submit(self.desk.discard, done.job_id))
        elif done.job_id is not None:
            self.asked[done.job_id] = done.item

    def _collect_ended(self) -> None:
        if not self.asked:
            return
        known = self.desk.jobs(list(self.asked))
        for job_id, item in list(self.asked.items()):
            job = known.get(job_id)
            if job is None or job.ended:
                del self.asked[job_id]
                self.busy.add(self.hands.submit(self._collect, item, job_id, job))

    # --- what hands do

    def _ask(self, item: Item) -> _Done:
        try:
            with self.extraction.opened(item) as fd:
                asked = self.desk.ask(item.path, fd, self.extraction.cut_of(item))
        except InputError as error:
            self._forget(item)
            return _Done(item, record=self.extraction.bad(item, error))
        self._forget(item, but=asked.job_id)
        if asked.step_id is not None:
            try:
                self.desk.ring(asked.step_id)
            except BrokerUnreachable:
                self.unheard = True
            else:
                self.unheard = False
        return _Done(item, asked.job_id)

    def _forget(self, item: Item, *, but: str | None = None) -> None:
        """Discard jobs of earlier calls: their file was another then."""
        for job_id in self.earlier.pop(item.path, []):
            if job_id != but:
                self.desk.discard(job_id)

    def _ask_again(self, done: _Done) -> _Done:
        if done.job_id is not None:
            self.desk.discard(done.job_id)
        return self._ask(done.item)

    def _collect(self, item: Item, job_id: str, job: CutJob | None) -> _Done:
        """Bring in what came of a job.

        Raises:
            DiskFull: there was no room for a crop.
            FimqError: why it failed, if that is no fault of the file.
        """
        if job is None or job.state is JobState.CANCELLED:
            return _Done(item, job_id, self.extraction.bad(item, CutCancelled()))
        try:
            if job.report is None:
                raise _error_of(job)
            with self.desk.store.open(job.report.key, job.report.sha256) as file:
                return _Done(item, job_id, self.extraction.kept(item, bundle.read(file)))
        except _SPOILT as error:
            self.tries[item.path] += 1
            if self.tries[item.path] < self.settings.max_executions:
                return _Done(item, job_id, spoilt=True)
            return _Done(item, job_id, self.extraction.bad(item, error, final=False))
        except (InputError, AnalysisError) as error:
            final = error.final and not isinstance(error, WorkerLost)
            return _Done(item, job_id, self.extraction.bad(item, error, final=final))
        except FimqError:
            # Else the same command would find it again, and nobody would try.
            if job.state is JobState.FAILED:
                self.desk.discard(job_id)
            raise


def _is_void(job: CutJob) -> bool:
    """Whether a job ended without a word on its file."""
    if job.state is JobState.FAILED:
        return not isinstance(_error_of(job), InputError | AnalysisError)
    return job.state is JobState.CANCELLED


def _error_of(job: CutJob) -> FimqError:
    known = FimqError.registry.get(job.error_code or "", FimqError)
    return known(job.error_detail or "")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
