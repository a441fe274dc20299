"""The second face finder, as an operator switches it on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fimq.errors import FinderMissing
from fimq.models.face_models import path
from fimq_worker.vision.faces.mediapipe import MediaPipeDetector
from installation import Installation


@pytest.fixture
def clip(face_models: Path, tmp_path: Path) -> Path:
    """A clip with a face; the test is skipped where mediapipe cannot be loaded."""
    from fimq_api.demo.clips import make_clips

    try:
        MediaPipeDetector(path(face_models, "full_range_sparse"))
    except FinderMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)
    folder = tmp_path / "clips"
    folder.mkdir()
    make_clips(folder)
    return folder / "portrait.mp4"


def test_the_setting_changes_who_finds_faces_and_the_verdict_says_so(
    installation: Installation, clip: Path
) -> None:
    (first,) = installation.judge(clip)
    installation.run("down")
    installation.environment["FIMQ_FACE_FINDER"] = "mediapipe"
    (second,) = installation.judge(clip, options=("--rescan",))
    finders = [document["versions"]["face_finder"] for document in (first, second)]
    assert finders == ["full-range", "mediapipe"]
    assert second["counts"]["samples_with_faces"] == first["counts"]["samples_with_faces"] > 0
    (findings,) = installation.documents("doctor")
    assert ("face finder", "ok", "mediapipe") in {
        (finding["what"], finding["state"], finding["says"]) for finding in findings
    }
