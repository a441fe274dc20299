"""`fimq submit` and its kin, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from sqlalchemy import select

from clips import Clip
from fimq.document import schema
from fimq.ledger.tables import Face
from fimq.policy.pooling import Evidence, PoolingRule, pool
from tinymodel import CLASSES, write_package

# Read without importing scikit-image, as the demo does.
PORTRAIT = "portrait.mp4"


@pytest.fixture(scope="session")
def demo_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fimq_api.demo.clips import make_clips

    folder = tmp_path_factory.mktemp("clips")
    make_clips(folder)
    return folder


def test_one_video_from_nothing_to_a_verdict(installation, demo_clips) -> None:
    ran = installation.run("submit", demo_clips / PORTRAIT, "--wait")
    assert ran.returncode == 0, ran.stderr + installation.log()
    first = ran.stdout.splitlines()[0]
    assert any(word in first for word in ("manipulat", "uncertain")), ran.stdout
    assert "experimental" in ran.stdout
    assert "authentic" not in ran.stdout.lower()

    shown = installation.run("show", "portrait")
    assert "face 1" in shown.stdout
    assert "made by    tiny-binary 1" in shown.stdout
    assert "limits" in shown.stdout

    again = installation.run("submit", demo_clips / PORTRAIT, "--wait")
    assert "known since" in again.stdout
    assert "--rescan" in again.stdout
    assert "portrait.mp4" in installation.run("list").stdout


def test_several_videos_make_a_table_and_documents_of_the_schema(installation, demo_clips) -> None:
    files = sorted(demo_clips.glob("*.mp4"))
    documents = installation.judge(*files)
    assert [document["name"] for document in documents] == [path.name for path in files]
    for document in documents:
        jsonschema.validate(document, schema("job"))
        assert document["state"] == "done"
        assert document["coverage"] == 1.0
        assert document["model"]["experimental"] is True
    rocket = next(document for document in documents if document["name"] == "rocket.mp4")
    assert (rocket["outcome"], rocket["reason"]) == ("not_applicable", "no_face")
    assert rocket["score"] is None
    table = installation.run("submit", *files, "--wait")
    assert "outcome" in table.stdout
    assert "not applicable" in table.stdout


def test_without_waiting_there_is_an_id_to_follow(installation, demo_clips) -> None:
    ran = installation.run("submit", demo_clips / PORTRAIT)
    tag = ran.stdout.split()[0]
    assert f"fimq watch {tag}" in ran.stderr
    watched = installation.run("watch", tag)
    assert watched.returncode == 0
    assert tag in watched.stdout


def test_a_bad_file_does_not_stop_the_good_one(installation, demo_clips, tmp_path) -> None:
    paper = tmp_path / "paper.mp4"
    paper.write_bytes(b"%PDF-1.7 ...")
    documents = installation.judge(paper, demo_clips / PORTRAIT, tmp_path / "nowhere.mp4")
    by_name = {document["name"]: document for document in documents}
    assert by_name["portrait.mp4"]["state"] == "done"
    for name, code in (("paper.mp4", "not_a_video"), ("nowhere.mp4", "not_found")):
        jsonschema.validate(by_name[name], schema("refusal"))
        assert by_name[name]["error"]["code"] == code
    ran = installation.run("submit", paper)
    assert ran.returncode == 2
    assert "starts like a PDF" in ran.stderr
    assert "[not_a_video]" in ran.stderr


def test_a_key_gives_the_same_job_and_another_body_a_conflict(
    installation, demo_clips, tmp_path
) -> None:
    key = ("--idempotency-key", "one")
    first, again = (
        installation.judge(demo_clips / PORTRAIT, options=key)[0]["job_id"] for _ in range(2)
    )
    assert first == again
    other = installation.run("submit", demo_clips / "rocket.mp4", *key)
    assert other.returncode == 2
    assert "[idempotency_conflict]" in other.stderr


def test_what_a_caller_says_comes_back(installation, demo_clips) -> None:
    options = (
        "--external-id",
        "case-7",
        "--tag",
        "desk=night",
        "--every",
        "50",
        "--lane",
        "urgent",
    )
    (document,) = installation.judge(demo_clips / "rocket.mp4", options=options)
    assert document["external_id"] == "case-7"
    assert document["tags"] == {"desk": "night"}
    assert document["lane"] == "urgent"


def test_a_file_in_place_is_not_copied(installation, demo_clips, tmp_path) -> None:
    own = tmp_path / "own.mp4"
    shutil.copy(demo_clips / "rocket.mp4", own)
    (document,) = installation.judge(own, options=("--in-place",))
    assert document["state"] == "done"
    assert not list((installation.data_dir / "store").rglob(document["sha256"]))


def test_a_failed_job_says_what_to_do_and_can_be_tried_again(installation, tmp_path) -> None:
    whole = Clip(frames=50).write(tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:500])
    ran = installation.run("submit", cut, "--wait")
    assert ran.returncode == 3
    assert "[truncated]" in ran.stdout
    assert "fimq retry" in ran.stdout
    assert "1  truncated" in installation.run("list", "--failed").stdout
    retried = installation.run("retry", "--failed", "--code", "truncated", "--yes")
    assert retried.returncode == 0
    assert "cut.mp4" in retried.stdout


def test_a_worker_of_another_ledger_is_not_waited_for(installation, demo_clips, tmp_path) -> None:
    assert installation.run("up").returncode == 0
    installation.environment["FIMQ_DATA_DIR"] = str(tmp_path / "other")
    ran = installation.run("submit", demo_clips / PORTRAIT, "--wait")
    assert ran.returncode == 5
    assert "[worker_of_another]" in ran.stderr
    assert "FIMQ_STATE_DIR" in ran.stderr


def test_a_deleted_job_is_gone_with_its_video(installation, demo_clips) -> None:
    (document,) = installation.judge(demo_clips / "rocket.mp4")
    store = installation.data_dir / "store"
    assert list(store.rglob(document["sha256"]))
    assert installation.run("delete", document["job_id"], "--yes").returncode == 0
    assert not list(store.rglob(document["sha256"]))
    assert "[job_not_found]" in installation.run("show", document["job_id"]).stderr


def test_what_programs_read_is_of_its_schema(installation, demo_clips) -> None:
    installation.judge(demo_clips / "rocket.mp4")
    for arguments, name in (
        (("list",), "listed"),
        (("policies", "list"), "policy"),
        (("models", "show"), "manifest"),
        (("show", "rocket"), "job"),
    ):
        lines = installation.documents(*arguments)
        assert lines
        for line in lines:
            jsonschema.validate(line, schema(name))
    (findings,) = installation.documents("doctor")
    for finding in findings:
        jsonschema.validate(finding, schema("finding"))
    assert {finding["state"] for finding in findings} <= {"ok", "note"}
    (settings,) = installation.documents("config")
    assert settings["data_dir"] == {"value": str(installation.data_dir), "origin": "FIMQ_DATA_DIR"}


def test_a_model_that_is_not_here_is_refused(installation, demo_clips) -> None:
    ran = installation.run("submit", demo_clips / PORTRAIT, "--model", "other")
    assert ran.returncode == 3
    assert "[model_missing]" in ran.stderr
    assert installation.documents("list") == []


def test_a_verdict_for_the_exit_status_must_be_waited_for(installation, demo_clips) -> None:
    ran = installation.run("submit", demo_clips / PORTRAIT, "--exit-verdict")
    assert ran.returncode == 2
    assert "--wait" in ran.stderr


def test_without_its_model_a_job_fails_and_nothing_else_scores(installation, demo_clips) -> None:
    other = write_package(installation.folder / "models" / "other")
    installation.environment["FIMQ_BROKER_URL"] = "redis://127.0.0.1:1/0"
    installation.run("submit", demo_clips / PORTRAIT, "--model", "other")
    del installation.environment["FIMQ_BROKER_URL"]
    shutil.rmtree(other)
    (document,) = installation.documents("watch")
    assert document["state"] == "failed"
    assert document["error"]["code"] == "model_missing"
    assert document["score"] is None


@pytest.mark.parametrize("damage", ["bytes", "hash", "golden"])
def test_a_damaged_model_scores_nothing(installation, demo_clips, damage) -> None:
    folder = installation.folder / "models" / "default"
    if damage == "bytes":
        network = folder / "model.onnx"
        network.write_bytes(network.read_bytes()[:-10])
    elif damage == "hash":
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"sha256": "0" * 64}))
    else:
        (folder / "golden.npz").write_bytes(b"PK\x03\x04 no archive")
    # The private worker refuses to start, and says why; the job waits for a sound model.
    ran = installation.run("submit", demo_clips / PORTRAIT, "--wait")
    assert ran.returncode not in {0, 3}
    assert "model_invalid" in ran.stderr
    (document,) = installation.documents("list")
    assert document["state"] == "queued"
    write_package(folder)
    installation.run("up")
    (document,) = installation.documents("watch", document["job_id"])
    assert document["state"] == "done"


def test_a_model_of_seven_classes_keeps_them_all_and_names_the_likeliest(
    installation, demo_clips
) -> None:
    sees_fs = np.zeros((3, 7), np.float32)
    sees_fs[:, [0, 3, 5]] = [1, 3, 2]
    write_package(installation.folder / "models" / "seven", "seven", matrix=sees_fs)
    (document,) = installation.judge(demo_clips / PORTRAIT, options=("--model", "seven"))
    ledger = installation.ledger()
    with ledger.read() as session:
        faces = session.scalars(select(Face).where(Face.job_id == document["job_id"])).all()
        for face in faces:
            assert face.score == pytest.approx(sum(face.class_scores[1:]), abs=1e-6)
    ledger.close()
    assert document["score"] > document["model"]["thresholds"]["high_recall"]
    assert document["method"] == CLASSES["seven"][3]


@pytest.mark.parametrize("penalty", [None, 0.0])
def test_a_track_is_pooled_as_the_model_was_calibrated_to_be(
    installation, demo_clips, penalty
) -> None:
    folder = installation.folder / "models" / "default"
    if penalty is not None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["pooling"] = {"window_penalty": penalty}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    (document,) = installation.judge(demo_clips / PORTRAIT, options=("--every", "3"))
    rule = PoolingRule() if penalty is None else PoolingRule(window_penalty=penalty)
    faces = [
        Evidence(face.frame_index, face.frame_index / 25, face.score, face.quality)
        for face in installation.rows(Face, job_id=document["job_id"])
    ]
    assert len(faces) > rule.window
    assert document["score"] == pytest.approx(pool(faces, rule), abs=1e-6)
    assert document["model"]["window_penalty"] == rule.window_penalty
    if penalty is not None:  # otherwise this test could not fail
        assert abs(pool(faces, rule) - pool(faces, PoolingRule())) > 1e-5
