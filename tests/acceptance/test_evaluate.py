"""`fimq evaluate`: labelled videos through the whole pipeline, to a table and a report."""

from __future__ import annotations

import csv
import fcntl
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import portraits
from awkward import FILM
from extras import need
from fimq.document import schema
from fimq.ledger.tables import Job
from installation import Installation, installed, until
from portraits import blue, portrait
from tinymodel import SEES_BLUE, write_package

need("tensorflow", extra="training")

COLUMNS = ("file", "label", "method", "source", "identity", "compression")


@dataclass
class Site:
    """An installation whose model sees blue, a folder of videos and their labels."""

    installation: Installation
    rows: list[tuple[str, ...]]

    @property
    def out(self) -> Path:
        return self.installation.folder / "evaluation"

    def label(self, rows: list[tuple[str, ...]], name: str = "labels.csv") -> None:
        with (self.installation.folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])

    def evaluate(self, *options: str) -> Any:
        return self.installation.run("evaluate", "videos", "--labels", "labels.csv", *options)

    def report(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return loaded

    def documents(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in (self.out / "documents.jsonl").read_text().splitlines()
        ]

    def jobs(self) -> list[Job]:
        return self.installation.rows(Job)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, face_models: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("evaluate")
    write_package(folder / "models" / "default", matrix=SEES_BLUE)
    videos = folder / "videos"
    rows = []
    for name, content, label in (
        ("real", portraits.speaker, ("real", "", "studio")),
        ("forged", portraits.of(blue(portrait())), ("manipulated", "Tint", "")),
    ):
        (videos / name).mkdir(parents=True)
        for number in range(4):
            file = f"{name}/{number}.mp4"
            replace(FILM, frames=40 + number, content=content).write(videos / file)
            rows.append((file, *label, f"person{number}", "c23"))
    replace(FILM, content=portraits.one_colour).write(videos / "real" / "empty.mp4")
    rows.append(("real/empty.mp4", "real", "", "street", "person8", "c40"))
    replace(FILM, content=portraits.black).write(videos / "forged" / "dark.mp4")
    rows.append(("forged/dark.mp4", "Deepfakes", "", "", "person9", "c40"))
    (videos / "forged" / "damaged.mp4").write_bytes(b"no video at all " * 100)
    rows.append(("forged/damaged.mp4", "Deepfakes", "", "", "person10", "c40"))
    whole = FILM.write(folder / "whole.mp4").read_bytes()
    (videos / "real" / "cut.mp4").write_bytes(whole[: len(whole) // 4])
    rows.append(("real/cut.mp4", "real", "", "street", "person11", "c40"))
    with installed(folder, face_models) as made:
        yield Site(made, rows)


def test_what_does_not_fit_is_named_by_line_before_anything_is_judged(site: Site) -> None:
    first = site.rows[0]
    site.label([first, ("real/9.mp4", "real"), ("real/1.mp4", "reel"), ("", "real"), first])
    ran = site.evaluate()
    assert ran.returncode == 2
    assert "labels.csv, line 3: real/9.mp4: no such video" in ran.stderr
    assert "labels.csv, line 4: real/1.mp4: 'reel' is neither real" in ran.stderr
    assert "labels.csv, line 5: a label, real without a file" in ran.stderr
    assert "labels.csv, line 6: real/0.mp4 a second time, after line 2" in ran.stderr
    assert "[labels_unfit]" in ran.stderr
    site.label(site.rows[1:])
    ran = site.evaluate()
    assert ran.returncode == 2
    assert "has no line for real/0.mp4  [labels_unfit]" in ran.stderr
    assert not site.out.exists()


def test_without_its_service_it_ends_in_that_error_and_goes_on_later(site: Site) -> None:
    site.label(site.rows)
    site.installation.environment["FIMQ_BROKER_URL"] = "redis://127.0.0.1:1/0"
    ran = site.evaluate("--out", "later")
    assert ran.returncode == 5
    assert "[broker_unreachable]" in ran.stderr
    assert 0 < len(site.jobs()) < 11
    del site.installation.environment["FIMQ_BROKER_URL"]
    ran = site.evaluate("--out", "later")
    assert ran.returncode == 0, ran.stderr + site.installation.log()
    assert len(site.jobs()) == 11


def test_two_do_not_write_into_one_folder(site: Site) -> None:
    (site.installation.folder / "held").mkdir()
    with (site.installation.folder / "held" / "jobs.jsonl").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ran = site.evaluate("--out", "held")
    assert ran.returncode == 2
    assert "[evaluation_running]" in ran.stderr


def test_killed_it_goes_on_where_it_was(site: Site) -> None:
    site.label(site.rows)
    before = len(site.jobs())
    command = ("evaluate", "videos", "--labels", "labels.csv", "--rescan")
    running = site.installation.start(*command)
    jobs = site.out / "jobs.jsonl"

    def submitted() -> bool:
        return jobs.exists() and jobs.read_bytes().count(b"\n") == 13

    until(lambda: submitted() or running.poll() is not None, "every submit")
    running.send_signal(signal.SIGKILL)
    running.communicate()
    made = len(site.jobs())
    assert made == before + 11
    with jobs.open("ab") as file:
        file.write(b'{"file": "real/0.mp4", "by')  # as a full disk or a kill cuts a line
    ran = site.evaluate("--validation", "0.2")
    assert ran.returncode == 0, ran.stderr + site.installation.log()
    assert "12 of 12 videos judged" in ran.stderr
    assert len(site.jobs()) == made
    documents = site.documents()
    assert len(documents) == 12
    for document in documents:
        kind = "refusal" if document["state"] == "refused" else "job"
        jsonschema.validate(document, schema(kind))


def test_the_report_says_what_was_served_and_how_the_unscored_count(site: Site) -> None:
    site.label(site.rows)
    ran = site.evaluate()
    assert ran.returncode == 0, ran.stderr
    for name in ("report.md", "roc.png", "outcomes.png", "histograms.png", "reliability.png"):
        assert (site.out / name).stat().st_size > 0
        assert name in ran.stdout
    report = site.report()
    measures = report["measures"]
    assert (measures["real"], measures["manipulated"], measures["unknown"]) == (6, 6, 0)
    assert measures["service"]["model"] == "tiny-binary"
    assert measures["ranking"]["auc"]["value"] == 1.0
    assert measures["manipulated_scored"]["value"] == pytest.approx(4 / 6)
    said = {(one["label"], one["said"]): one["videos"] for one in measures["outcomes"]}
    assert said["manipulated", "manipulated"] == 4
    assert said["real", "no_manipulation_found"] == 4
    assert said["real", "not_applicable: no_face"] == 1
    assert said["manipulated", "not_applicable: no_face"] == 1
    assert sum(n for (label, what), n in said.items() if "failed" in what and label == "real") == 1
    assert said["Deepfakes", "failed: not_a_video"] == 1
    ways = {(one["way"], one["threshold"]): one["found"]["value"] for one in measures["served"]}
    assert ways["scored", 0.9] == 1.0
    assert ways["all", 0.9] == pytest.approx(4 / 6)
    assert measures["points"] == []
    assert "flatters" in measures["no_points"]
    parts = {(one["by"], one["name"]): one for one in measures["parts"]}
    assert parts["method", "Tint"]["auc"]["value"] == 1.0
    assert parts["method", "Deepfakes"]["auc"]["value"] is None
    assert parts["real source", "street"]["scored"]["value"] == 0
    assert "ROC-AUC                     1.000" in ran.stdout
    text = (site.out / "report.md").read_text()
    assert "Thresholds for chosen rates are left out" in text


def test_documents_that_exist_are_measured_without_judging(site: Site) -> None:
    # Documents know no folders: one side has the names that it needs to itself.
    rows = [row for row in site.rows if row[0].startswith("real/")]
    kept = site.documents()
    names = {Path(row[0]).name for row in rows}
    reals = [one for one in kept if one["name"] in names and one["outcome"] != "manipulated"]
    path = site.installation.folder / "known.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in reals))
    site.label(rows, "reals.csv")
    before = len(site.jobs())
    options = ("--labels", "reals.csv", "--documents", "known.jsonl", "--out", "known")
    ran = site.installation.run("evaluate", *options, "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    jsonschema.validate(report, schema("evaluation"))
    assert report["measures"]["ranking"]["auc"]["value"] is None
    assert report["measures"]["real"] == 6
    assert "roc.png" not in report["pictures"]
    assert len(site.jobs()) == before


def test_thresholds_come_from_validation_and_rescan_judges_again(site: Site) -> None:
    site.label([row for row in site.rows if row[4] != "person3"])
    site.label([row for row in site.rows if row[4] == "person3"], "validation.csv")
    before = len(site.jobs())
    ran = site.evaluate("--validation", "validation.csv", "--rescan", "--lane", "standard")
    assert ran.returncode == 0, ran.stderr
    assert len(site.jobs()) == before + 11
    measures = site.report()["measures"]
    assert (measures["real"], measures["manipulated"], measures["validation"]) == (5, 5, 1)
    assert [one["wanted"] for one in measures["points"]] == [0.001, 0.001, 0.01, 0.01, 0.05, 0.05]
    assert measures["no_points"] is None
    assert "its threshold is above all of them" in (site.out / "report.md").read_text()


def test_another_model_goes_into_another_folder(site: Site) -> None:
    site.label(site.rows)
    ran = site.evaluate("--model", "other")
    assert ran.returncode == 2
    assert "[evaluation_differs]" in ran.stderr
    ran = site.evaluate("--model", "other", "--out", "other")
    assert ran.returncode == 3
    assert "[model_missing]" in ran.stderr
