"""Figures of whole videos, on documents made by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extras import need
from fimq.errors import DocumentsInvalid, DocumentsMixed, LabelsUnfit
from fimq_training.evaluation import served
from fimq_training.evaluation.labels import Label
from fimq_training.evaluation.served import Served
from fimq_training.evaluation.video_findings import Figure, VideoMeasures
from fimq_training.evaluation.video_measures import measure

MODEL = {
    "name": "tiny",
    "version": "1",
    "sha256": "a" * 64,
    "experimental": False,
    "thresholds": {"high_precision": 0.9, "high_recall": 0.3},
}
OUTCOMES = ("manipulated", "uncertain", "no_manipulation_found")


def document(name: str = "a.mp4", **changes: Any) -> dict[str, Any]:
    made = {
        "job_id": name,
        "name": name,
        "external_id": None,
        "sha256": name,
        "created_at": "2026-11-20T10:00:00.000+00:00",
        "state": "done",
        "error": None,
        "outcome": "uncertain",
        "reason": "between_thresholds",
        "score": 0.5,
        "coverage": 1.0,
        "sampling": "every:25",
        "model": MODEL,
        "policy": {"name": "standard", "version": 1},
    }
    return made | changes


def scored(score: float) -> dict[str, Any]:
    outcome = OUTCOMES[0 if score >= 0.9 else 2 if score < 0.3 else 1]
    return {"score": score, "outcome": outcome}


NO_FACE = {"outcome": "not_applicable", "reason": "no_face", "score": None}
FAILED = {
    "state": "failed",
    "error": {"code": "truncated", "message": "", "hint": None},
    **dict.fromkeys(("outcome", "reason", "score", "coverage", "model", "policy")),
}


def video(number: int, *, fake: bool, said: dict[str, Any], **facts: Any) -> Served:
    label = Label(f"{number}.mp4", fake, **facts)
    return Served.of(label, document(label.file, **said))


def value(figure: Figure) -> float | None:
    return figure.value


@pytest.fixture
def cast() -> list[Served]:
    """Ten real, ten forged ones; of each two without a face and one that failed."""
    reals = [scored(score) for score in (0.05, 0.1, 0.2, 0.4, 0.6, 0.7, 0.95)]
    fakes = [scored(score) for score in (0.2, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)]
    rest = [NO_FACE, NO_FACE, FAILED]
    return [
        video(
            number,
            fake=fake,
            said=said,
            identities=(f"p{number % 8}",),
            method="Tint" if fake else None,
            source=None if fake else "studio",
        )
        for number, (fake, said) in enumerate(
            [(False, said) for said in reals + rest] + [(True, said) for said in fakes + rest]
        )
    ]


def test_videos_without_a_score_count_both_ways(cast):
    measures = measure(cast, None, draws=50)
    at, at_all, outcome = measures.served
    assert (at.way, at_all.way, outcome.way) == ("scored", "all", "all")
    assert value(at.found) == pytest.approx(4 / 7)
    assert value(at.accused) == pytest.approx(1 / 7)
    assert value(at_all.found) == value(outcome.found) == pytest.approx(4 / 10)
    assert value(at_all.accused) == pytest.approx(1 / 10)
    assert value(measures.real_scored) == value(measures.manipulated_scored) == 0.7
    assert at_all.precision[1].prevalence == 0.01
    assert at_all.precision[1].value == pytest.approx(0.004 / (0.004 + 0.099))
    assert at_all.precision[1].least < at_all.precision[1].value
    assert (measures.units, measures.unknown) == (8, 0)


def test_ranking_is_of_the_scored_and_equals_scikit_learn(cast):
    from sklearn import metrics as sk

    measures = measure(cast, None, draws=50)
    kept = [one for one in cast if one.score is not None]
    labels, scores = [one.label.manipulated for one in kept], [one.score for one in kept]
    ranking = measures.ranking
    assert value(ranking.auc) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-9)
    expected = sk.average_precision_score(labels, scores)
    assert value(ranking.average_precision) == pytest.approx(expected, abs=1e-9)
    assert ranking.auc.low <= ranking.auc.value <= ranking.auc.high


def test_outcomes_are_counted_by_label_reason_and_code(cast):
    said = {(one.label, one.said): one for one in measure(cast, None, draws=20).outcomes}
    assert said["real", "failed: truncated"].videos == 1
    assert said["manipulated", "not_applicable: no_face"].videos == 2
    assert said["real", "manipulated"].videos == 1
    assert said["Tint", "manipulated"].share.value == 0.4
    for label in ("real", "manipulated", "Tint"):
        assert sum(one.videos for (name, _), one in said.items() if name == label) == 10


def test_thresholds_come_from_validation_alone(cast):
    others = [video(100 + n, fake=False, said=scored(n / 100)) for n in range(100)]
    blind = [video(300, fake=False, said=NO_FACE), video(301, fake=True, said=scored(1.0))]
    measures = measure(cast, [*others, *blind], draws=20)
    assert (measures.validation, measures.no_points) == (100, None)
    points = {(one.wanted, one.way): one for one in measures.points}
    assert points[0.01, "scored"].threshold == pytest.approx(0.98)
    assert points[0.05, "all"].threshold == pytest.approx(0.94)
    assert value(points[0.05, "scored"].found) == pytest.approx(3 / 7)
    assert value(points[0.05, "all"].found) == pytest.approx(3 / 10)
    assert value(points[0.05, "all"].accused) == pytest.approx(1 / 10)


@pytest.mark.parametrize("validation", [None, [video(0, fake=False, said=NO_FACE)]])
def test_without_validation_there_are_no_points_and_a_reason(cast, validation):
    measures = measure(cast, validation, draws=20)
    assert measures.points == ()
    assert measures.no_points


@pytest.mark.parametrize(
    "videos",
    [
        [video(0, fake=True, said=FAILED)],
        [video(0, fake=False, said=NO_FACE), video(1, fake=True, said=NO_FACE)],
        [video(0, fake=False, said=scored(0.1))],
        [video(n, fake=True, said=scored(0.9), compression="c23") for n in range(3)],
    ],
)
def test_what_cannot_be_measured_is_null(videos):
    measures = measure(videos, None, draws=20)
    assert value(measures.ranking.auc) is None
    json.dumps(asdict(measures), allow_nan=False)


def test_the_same_in_every_draw_is_not_certain():
    videos = [video(n, fake=True, said=scored(1.0), identities=("ann",)) for n in range(50)]
    found = measure(videos, None, draws=20).served[0].found
    assert found.value == 1.0
    assert found.low < 0.3  # fifty videos, and one person


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_reports_of_any_videos_can_be_written(data):
    need("matplotlib", extra="training")
    from fimq_training.evaluation.video_findings import LeftOut, VideoReport
    from fimq_training.evaluation.video_report import as_json, markdown, table

    said = st.one_of(st.floats(0, 1).map(scored), st.just(NO_FACE), st.just(FAILED))
    spoken = data.draw(st.lists(st.tuples(st.booleans(), said), min_size=1, max_size=8))
    videos = [video(n, fake=fake, said=one) for n, (fake, one) in enumerate(spoken)]
    measures = measure(videos, data.draw(st.sampled_from([None, videos])), draws=5)
    _rates_are_bounded(measures)
    report = VideoReport("videos", "0" * 64, "share", LeftOut(1, 2), measures, ("roc.png",))
    json.loads(as_json(report))
    assert "nan" not in table(report)
    assert "nan" not in markdown(report)


def _rates_are_bounded(measures: VideoMeasures) -> None:
    for one in (*measures.served, *measures.points):
        for figure in (one.found, one.accused):
            ends = [v for v in (figure.low, figure.value, figure.high) if v is not None]
            assert ends == sorted(ends)
            assert all(0 <= end <= 1 for end in ends)


def test_pictures_are_drawn_of_what_there_is(cast, tmp_path):
    need("matplotlib", extra="training")
    from fimq_training.evaluation.video_report import draw

    def names(videos: list[Served]) -> set[str]:
        return set(draw(videos, measure(videos, None, draws=5), tmp_path))

    everything = {"roc.png", "outcomes.png", "histograms.png", "reliability.png"}
    assert names(cast) == everything
    assert names([one for one in cast if one.label.manipulated]) == everything - {"roc.png"}
    assert names([one for one in cast if one.score is None]) == {"outcomes.png"}


class TestDocuments:
    """How strictly they are read."""

    @pytest.mark.parametrize(
        "changes",
        [
            NO_FACE | {"score": 0.1},
            FAILED | {"score": 0.0},
            {"score": float("nan")},
            {"score": 1.5},
            {"score": True},
            {"score": None, "outcome": "manipulated"},
            {"state": "running"},
            {"outcome": "real"},
            {"model": None},
        ],
    )
    def test_one_that_contradicts_itself_is_refused(self, changes):
        with pytest.raises(DocumentsInvalid, match=r"a\.mp4"):
            Served.of(Label("a.mp4", False), document(**changes))

    def test_two_models_are_no_evaluation(self):
        other = {"model": MODEL | {"version": "2"}}
        videos = [video(0, fake=False, said={}), video(1, fake=False, said=other)]
        with pytest.raises(DocumentsMixed, match=r"tiny@1.*tiny@2"):
            measure(videos, None)
        with pytest.raises(DocumentsMixed):
            measure(videos[:1], videos[1:])

    def test_a_file_has_its_newest_document_by_name_or_external_id(self):
        old = document("a.mp4", created_at="2026-11-01T00:00:00.000+00:00", score=0.1)
        new, other = document("a.mp4", score=0.9), document("x", external_id="b/c.mp4")
        found = served.matched([Label("d/a.mp4", False), Label("b/c.mp4", True)], [new, old, other])
        assert found == {"d/a.mp4": new, "b/c.mp4": other}

    def test_names_that_cannot_be_told_apart_are_refused(self):
        with pytest.raises(LabelsUnfit, match=r"a/x\.mp4 and b/x\.mp4"):
            served.matched([Label("a/x.mp4", False), Label("b/x.mp4", True)], [document("x.mp4")])
        twice = [document("x.mp4"), document("x.mp4", sha256="other")]
        with pytest.raises(LabelsUnfit, match="Two contents"):
            served.matched([Label("x.mp4", False)], twice)

    @pytest.mark.parametrize("line", ['{"name": ', "[]", '{"name": "a.mp4"}', "\xff"])
    def test_a_damaged_file_is_named_with_its_line(self, tmp_path, line):
        path = tmp_path / "documents.jsonl"
        path.write_bytes(f"{json.dumps(document())}\n{line}\n".encode("latin-1"))
        with pytest.raises(DocumentsInvalid, match=r"documents\.jsonl"):
            served.read(path)
