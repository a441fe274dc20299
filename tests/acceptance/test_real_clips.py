"""Real free clips, through the real command. They lie in FIMQ_TEST_DATA; skipped without."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from installation import installed
from tinymodel import write_package

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("FIMQ_TEST_DATA" not in os.environ, reason="FIMQ_TEST_DATA is not set"),
    pytest.mark.timeout(1800),
]

FACES_IN = 0.95


@dataclass(frozen=True)
class Clip:
    """A clip as the manifest tells it."""

    path: Path
    kind: str
    one_clear_face: bool  #: one person, seen in each picture that was looked at by hand


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    data = Path(os.environ["FIMQ_TEST_DATA"])
    with (data / "manifest.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["folder"].startswith("videos/")]
    return [
        Clip(
            data / row["folder"] / row["file"],
            row["folder"].removeprefix("videos/"),
            ";" not in row["identity_id"] and set(row["faces_seen"].split("/")) == {"1"},
        )
        for row in rows
    ]


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory, face_models: Path, clips: list[Clip]
) -> Iterator[dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("real")
    write_package(folder / "models" / "default")
    with installed(folder, face_models, FIMQ_LEASE_SECONDS="20") as installation:
        process = installation.start("submit", *(clip.path for clip in clips), "--wait", "--json")
        out, err = process.communicate(timeout=1700)
        assert process.returncode == 0, err
        documents = [json_of(line) for line in out.splitlines()]
        yield {document["name"]: document for document in documents}


def json_of(line: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line)
    return document


def test_every_clip_ends_with_an_outcome(clips, judged) -> None:
    assert len(judged) == len(clips)
    for clip in clips:
        document = judged[clip.path.name]
        assert document["state"] == "done", document
        assert document["outcome"] is not None
        if document["coverage"] < 0.95:
            print("damaged:", clip.path.name, document["coverage"], document["outcome"])
            assert document["outcome"] in {"uncertain", "manipulated"}
        assert (document["score"] is None) == (document["counts"]["faces_scored"] == 0)


def test_clips_without_faces_have_no_score(clips, judged) -> None:
    ends = {
        clip.path.name: (judged[clip.path.name]["outcome"], judged[clip.path.name]["reason"])
        for clip in clips
        if clip.kind == "faceless"
    }
    nothing = ("not_applicable", "no_face")
    print(f"{sum(end == nothing for end in ends.values())} of {len(ends)} end no_face")
    assert ends == dict.fromkeys(ends, nothing)
    assert [judged[name]["score"] for name in ends] == [None] * len(ends)


def test_one_clear_face_is_found_in_nearly_every_sample(clips, judged) -> None:
    short = {}
    all_samples = all_found = 0
    clear = [clip for clip in clips if clip.one_clear_face]
    for clip in clear:
        counts = judged[clip.path.name]["counts"]
        found, samples = counts["samples_with_faces"], counts["samples_decoded"]
        all_samples, all_found = all_samples + samples, all_found + found
        if found < FACES_IN * samples:
            short[clip.path.name] = f"{found} of {samples}"
    print(f"{len(clear)} clips: faces in {all_found} of {all_samples} samples")
    print("fall short:", short or "none")
    assert all_found >= FACES_IN * all_samples
    assert not short
