"""A film says the same whether it is analysed in one piece or in several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awkward import FILM
from clips import pictures
from fimq.ledger.tables import Face, Sample, Step, Track, VerdictRow
from installation import Installation, installed
from portraits import HEIGHT, WIDTH, Picture, blue, drift, portrait
from tinymodel import SEES_BLUE, write_package

FRAMES = 1000


def scenes(count: int, width: int, height: int) -> Iterator[Picture]:
    """Two persons under a moving camera, one of them forged for a while; once nobody."""
    pair = np.hstack([portrait(), portrait()[:, ::-1]])
    forged = np.hstack([portrait(), blue(portrait()[:, ::-1])])
    empty = islice(pictures(100, width, height), 100)
    for index in range(count):
        if 480 <= index < 580:
            yield next(empty)
        else:
            picture = forged if 300 <= index < 700 else pair
            yield drift(np.roll(picture, index // 25, axis=0), index)


@dataclass
class Rows:
    """What a job wrote."""

    document: dict[str, Any]
    steps: list[Step]
    samples: list[Sample]
    faces: list[Face]
    tracks: list[Track]
    verdict: VerdictRow


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, face_models: Path) -> tuple[Rows, Rows]:
    """The film's rows, judged in one piece and in several."""
    folder = tmp_path_factory.mktemp("segments")
    write_package(folder / "models" / "default", matrix=SEES_BLUE)
    film = replace(
        FILM,
        frames=FRAMES,
        width=2 * WIDTH,
        height=HEIGHT,
        gop=50,
        options={"preset": "veryfast", "crf": "24", "x264-params": "bframes=2:scenecut=0"},
        content=scenes,
    ).write(folder / "film.mp4")
    found = []
    with installed(folder, face_models) as installation:
        for seconds in ("1000", "7"):
            installation.environment["FIMQ_SEGMENT_SECONDS"] = seconds
            (document,) = installation.judge(film, options=("--rescan",))
            assert document["state"] == "done", document
            found.append(read(installation, document))
            installation.run("down")
    return found[0], found[1]


def read(installation: Installation, document: dict[str, Any]) -> Rows:
    def of(table: Any, *order: str) -> list[Any]:
        rows = installation.rows(table, job_id=document["job_id"])
        return sorted(rows, key=lambda row: tuple(getattr(row, name) for name in order))

    return Rows(
        document,
        of(Step, "kind", "ordinal"),
        of(Sample, "frame_index"),
        of(Face, "frame_index", "ordinal"),
        of(Track, "ordinal"),
        of(VerdictRow)[0],
    )


def test_one_was_cut_and_the_other_was_not(both) -> None:
    whole, parts = both
    assert [step.kind for step in whole.steps] == ["plan"]
    assert [step.kind for step in parts.steps].count("segment") > 3
    assert {step.state for step in (*whole.steps, *parts.steps)} == {"done"}
    for rows in both:
        assert [sample.frame_index for sample in rows.samples] == list(range(0, FRAMES, 25))


def test_samples_are_the_same(both) -> None:
    whole, parts = (
        [(s.frame_index, s.pts, s.time_s, s.state, s.quality) for s in rows.samples]
        for rows in both
    )
    assert whole == parts


def test_faces_and_tracks_are_the_same(both) -> None:
    whole, parts = (
        [
            (f.frame_index, f.ordinal, f.box, f.detector_score, f.quality, f.skipped, f.track)
            for f in rows.faces
        ]
        for rows in both
    )
    assert whole == parts
    assert len(whole) > 60
    whole, parts = (
        [(t.ordinal, t.first_frame, t.last_frame, t.start_s, t.end_s, t.faces) for t in rows.tracks]
        for rows in both
    )
    assert whole == parts
    assert len(whole) >= 4


def test_scores_are_the_same_but_for_rounding(both) -> None:
    whole, parts = ([face.score for face in rows.faces] for rows in both)
    assert whole == pytest.approx(parts, abs=1e-4)
    whole, parts = ([track.score for track in rows.tracks] for rows in both)
    assert whole == pytest.approx(parts, abs=1e-4)


def test_verdicts_are_the_same(both) -> None:
    whole, parts = (rows.document for rows in both)
    for name in ("outcome", "reason", "track", "counts", "coverage", "method", "sampling"):
        assert whole[name] == parts[name], name
    assert whole["outcome"] == "manipulated"
    assert whole["score"] == pytest.approx(parts["score"], abs=1e-4)
    assert [(s["start_s"], s["end_s"], s["track"]) for s in whole["segments"]] == [
        (s["start_s"], s["end_s"], s["track"]) for s in parts["segments"]
    ]
