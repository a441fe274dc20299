"""Local: files are cut on this machine, by several children of the worker's kind at once."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from fimq.errors import AnalysisError, InputError
from fimq.settings import Settings
from fimq_training.crops.extraction import Extraction
from fimq_training.crops.journal import Record
from fimq_training.datasets.base import Item
from fimq_worker.child.client import Cancelled, ChildPool, DecodeChild, setup_of
from fimq_worker.cutting import cut_faces, planned


class LocalCutters:
    """Children of this process; see `making.Cutters`."""

    def __init__(self, extraction: Extraction, settings: Settings, *, jobs: int) -> None:
        """Start nothing yet.

        Args:
            extraction: what becomes of a file.
            settings: of the children.
            jobs: children at once.
        """
        self.extraction, self.settings, self.jobs = extraction, settings, jobs

    def check(self) -> None:
        """Look for what a child needs.

        Raises:
            FaceModelsMissing, FaceModelsInvalid: no child can be set up.
        """
        setup_of(self.settings)

    def records(self, items: Sequence[Item]) -> Generator[Record, None, None]:
        """Records as they come, from as many children as there are jobs.

        Raises:
            DiskFull: there was no room for a crop.
        """
        waiting = iter(items)
        children = _Children(self.settings)
        pending: set[Future[Record]] = set()
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="prepare") as threads:
            try:
                while True:
                    # Twice as many as can be worked on: a list of all files may be long.
                    for item in waiting:
                        pending.add(threads.submit(self._record, item, children))
                        if len(pending) >= 2 * self.jobs:
                            break
                    if not pending:
                        return
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                # However this ends: nobody waits for a child that is in the middle of a film.
                for future in pending:
                    future.cancel()
                children.close()

    def _record(self, item: Item, children: _Children) -> Record:
        with children.borrow() as child:
            for tries_left in reversed(range(self.settings.max_executions)):
                try:
                    return self._cut(item, child)
                except (InputError, AnalysisError) as error:
                    if error.final or not tries_left:
                        return self.extraction.bad(item, error)
        raise AssertionError(self.settings.max_executions)

    def _cut(self, item: Item, child: DecodeChild) -> Record:
        with self.extraction.opened(item) as fd:
            plan = planned(child, fd, segment_s=self.settings.segment_seconds)
            cuts = cut_faces(child, fd, plan, self.extraction.cut_of(item))
            return self.extraction.kept(item, cuts)


class _Children:
    """A pool whose lent children can all be stopped at once."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ChildPool(settings)
        self._lent: set[DecodeChild] = set()
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[DecodeChild]:
        with self._pool.borrow() as child:
            with self._lock:
                if self._closed:
                    raise Cancelled
                self._lent.add(child)
            try:
                yield child
            finally:
                with self._lock:
                    self._lent.discard(child)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for child in self._lent:
                child.cancel()
        self._pool.close()
