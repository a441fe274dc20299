"""A worker whose decode child misbehaves on videos that are named for it: `crash.mp4`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from fimq_worker.child.client import ChildPool, DecodeChild, setup_of
from fimq_worker.command import worker
from fimq_worker.steps.footage import Footage

_CHAOS: ContextVar[str] = ContextVar("chaos", default="")
#: A hanging child is not waited for as long as a real one.
_FLOOR_S = 1.5


def main() -> None:
    borrow, video = ChildPool.borrow, Footage.opened

    @contextmanager
    def borrow_chaos(pool: ChildPool) -> Iterator[DecodeChild]:
        if not (chaos := _CHAOS.get()):
            with borrow(pool) as child:
                yield child
            return
        setup = replace(setup_of(pool._settings), chaos=chaos)
        with DecodeChild(setup, floor_s=_FLOOR_S) as child:
            yield child

    @contextmanager
    def video_with_chaos(footage: Footage, held: Any) -> Iterator[Any]:
        name = held.claim.name.partition(".")[0]
        token = _CHAOS.set(name if name in {"crash", "hang", "spin", "allocate"} else "")
        try:
            with video(footage, held) as opened:
                yield opened
        finally:
            _CHAOS.reset(token)

    ChildPool.borrow = borrow_chaos  # type: ignore[method-assign] # likewise
    Footage.opened = video_with_chaos  # type: ignore[method-assign] # that is the chaos
    worker.main(prog_name="fimq worker", standalone_mode=False)


if __name__ == "__main__":
    main()
