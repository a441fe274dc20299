"""Children for tests, and videos for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from clips import Clip
from fimq.models.face_models import path
from fimq_worker.child.client import DecodeChild
from fimq_worker.child.protocol import Setup

MakeChild = Callable[..., DecodeChild]


@pytest.fixture
def setup(face_models: Path) -> Setup:
    return Setup(str(path(face_models, "full_range_sparse")))


@pytest.fixture
def make_child(face_models: Path) -> Iterator[MakeChild]:
    """Makes children from a set-up's fields; they end with the test."""
    model = str(path(face_models, "full_range_sparse"))
    with ExitStack() as stack:

        def make(*, floor_s: float = 60, **fields: Any) -> DecodeChild:
            return stack.enter_context(DecodeChild(Setup(model, **fields), floor_s=floor_s))

        yield make


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of film."""
    made = Clip(frames=50, options={"preset": "veryfast"}, gop=10)
    return made.write(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture
def video(clip: Path) -> Iterator[int]:
    """The film, open."""
    with clip.open("rb") as opened:
        yield opened.fileno()
