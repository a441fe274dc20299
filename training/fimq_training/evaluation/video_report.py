"""The report of `fimq evaluate`: JSON for programs, Markdown and a table for people, pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np

from fimq.intake import shown
from fimq_training.disk import room_for
from fimq_training.evaluation import pictures, served
from fimq_training.evaluation.judged import Judged
from fimq_training.evaluation.served import Served
from fimq_training.evaluation.video_findings import (
    Figure,
    LeftOut,
    Operating,
    Part,
    Said,
    VideoMeasures,
    VideoReport,
)
from fimq_training.evaluation.video_measures import FALSE_POSITIVES, Rows

MARKDOWN, JSON = "report.md", "report.json"
_WAYS = {"scored": "those with a score", "all": "all; no score, not called"}


def draw(test: Sequence[Served], measures: VideoMeasures, folder: Path) -> tuple[str, ...]:
    """Write the pictures; returns their file names."""
    rows = Rows.of(test)
    kept = rows.where(rows.scored)
    judged = Judged(
        labels=kept.labels,
        scores=kept.scores,
        units=kept.units,
        collections=("",) * len(kept),
        compressions=("",) * len(kept),
        sizes=np.full(len(kept), np.nan),
    )
    return tuple(pictures.draw_videos(folder, judged, _said(measures.outcomes)))


def write(report: VideoReport, folder: Path) -> None:
    """Write report.md, then report.json, whose presence says that the evaluation is done.

    Raises:
        DiskFull: there was no room.
    """
    _write(folder / MARKDOWN, markdown(report))
    _write(folder / JSON, as_json(report, indent=2) + "\n")


def as_json(report: VideoReport, indent: int | None = None) -> str:
    """The report as a document; what could not be measured is null."""
    return json.dumps(asdict(report), indent=indent, allow_nan=False)


def table(report: VideoReport) -> str:
    """The report for a terminal of 80 columns."""
    m = report.measures
    lines = [f"{name:<28}{text}" for name, text in (*_facts(m), *_ranking(m))]
    lines += ["", f"{'outcome':<34}{'real':>15}{'manipulated':>15}"]
    said = _said(m.outcomes)
    for words in _words(m.outcomes):
        cells = [_count(said.get(label, {}), words) for label in ("real", "manipulated")]
        lines.append(f"{_plain(words):<34}" + "".join(f"{cell:>15}" for cell in cells))
    lines += ["", f"{'called':<36}{'found':>20}  {'accused':>20}"]
    for one in (*m.served, *m.points):
        lines.append(f"{_short(one):<36}{one.found!s:>20}  {one.accused!s:>20}")
    methods = [part for part in m.parts if part.by == "method"]
    if methods:
        head = f"{'videos':>10}  {'AUC, of scored':>20}  {'found, of all':>20}"
        lines += ["", f"{'method':<24}{head}"]
    for part in methods:
        row = f"{part.manipulated:>10}  {part.auc!s:>20}  {part.found_of_all!s:>20}"
        lines.append(f"{shown(part.name):<24}{row}")
    if m.no_points:
        lines += ["", f"No thresholds: {m.no_points}"]
    return "\n".join(lines)


def markdown(report: VideoReport) -> str:
    """The report in words and tables."""
    m = report.measures
    judged_by = m.service.name if m.service else "nobody: no video was judged"
    lines = [
        f"# Whole videos: {report.videos}",
        "",
        f"Judged by {judged_by}. {_units(m)}",
        "",
        *_left_out_lines(report.left_out),
        *_grid(("", ""), [*_facts(m), *_ranking(m)]),
        "",
        "Area, precision, error rates and calibration are of the videos that have a score. An",
        "interval without width says that no draw differed, which few people often do.",
        "",
        "## What was said",
        "",
        "Intervals are Wilson's, 95 %: they take each video for an observation of its own.",
        "",
        *_grid(
            ("label", "said", "videos", "share"),
            [(one.label, _plain(one.said), one.videos, one.share) for one in m.outcomes],
        ),
        "",
        "## What is called manipulated",
        "",
        "`found` is the share of manipulated videos, `accused` that of real ones. Videos without a",
        "score count both ways, and each row says which. Precision is what to expect where that",
        "share of videos is manipulated; in brackets with the worst end of both intervals.",
        "",
        *_operating_grid(m.served),
        "",
        *_points_lines(report),
    ]
    for by in dict.fromkeys(part.by for part in m.parts):
        lines += ["", f"## By {by}", "", *_part_lines(by, m.parts)]
    lines += ["", "## Coverage", "", _coverage(m)]
    lines += ["", "## Pictures", "", *(f"![{Path(n).stem}]({n})" for n in report.pictures)]
    return "\n".join(lines) + "\n"


def _facts(m: VideoMeasures) -> list[tuple[str, str]]:
    people = m.units - m.unknown
    known = f"{people} people" if people else ""
    unknown = f"{m.unknown} videos of nobody known" if m.unknown else ""
    return [
        ("videos", f"{m.real} real, {m.manipulated} manipulated"),
        ("of", " and ".join(filter(None, (known, unknown)))),
        ("real ones with a score", str(m.real_scored)),
        ("manipulated with a score", str(m.manipulated_scored)),
    ]


def _ranking(m: VideoMeasures) -> list[tuple[str, str]]:
    ranking = m.ranking
    return [
        ("ROC-AUC", str(ranking.auc)),
        ("average precision", str(ranking.average_precision)),
        ("equal error rate", str(ranking.equal_error)),
        ("log loss, nats", str(ranking.log_loss)),
        ("Brier score", str(ranking.brier)),
        ("expected calibration error", str(ranking.calibration_error)),
    ]


def _left_out_lines(left: LeftOut) -> list[str]:
    if left == LeftOut(0, 0):
        return []
    labels, videos = left.labels_without_video, left.videos_without_label
    return [f"**Left out**: {labels} labels without a video, {videos} videos without a label.", ""]


def _units(m: VideoMeasures) -> str:
    if m.unknown == 0:
        return "Intervals are 95 %, over people."
    if m.unknown == m.real + m.manipulated:
        return (
            "Intervals are 95 %, over videos: the labels name no identities. Where people are in "
            "several videos, the intervals are too narrow."
        )
    return (
        f"Intervals are 95 %, over people; {m.unknown} videos of nobody known stand for one each."
    )


def _operating_grid(rows: Sequence[Operating]) -> list[str]:
    head = ("rule", "videos", "threshold", "found", "accused")
    shares = [f"precision at {p.prevalence:.1%}" for p in rows[0].precision] if rows else []
    return _grid(
        (*head, *shares),
        [
            (
                one.rule,
                _WAYS[one.way],
                "-" if one.threshold is None else f"{one.threshold:.4f}",
                one.found,
                one.accused,
                *(f"{_two(p.value)} [{_two(p.least)}]" for p in one.precision),
            )
            for one in rows
        ],
    )


def _points_lines(report: VideoReport) -> list[str]:
    m = report.measures
    if m.no_points:
        return [f"Thresholds for chosen rates are left out: {m.no_points}."]
    lines = [
        f"Thresholds for chosen rates come from {m.validation} real videos with a score, none of",
        f"which is measured here ({report.chosen_on}).",
    ]
    fine = [f"{rate:.1%}" for rate in FALSE_POSITIVES if rate * m.validation < 1]
    if fine:
        rates = " or ".join(fine)
        lines += [f"So few cannot tell a rate of {rates}: its threshold is above all of them."]
    return [*lines, "", *_operating_grid(m.points)]


def _part_lines(by: str, parts: Sequence[Part]) -> list[str]:
    head = [by, "real", "manipulated", "with a score"]
    ranked, found, accused = by != "real source", by != "real source", by != "method"
    if ranked:
        head.append("AUC against all real" if by == "method" else "AUC within it")
    head += ["found, of those with a score", "found, of all"] if found else []
    head += ["accused, of those with a score", "accused, of all"] if accused else []
    return [
        "At the served high-precision threshold.",
        "",
        *_grid(
            head,
            [
                (
                    *(p.name, p.real, p.manipulated, p.scored),
                    *((p.auc,) if ranked else ()),
                    *((p.found, p.found_of_all) if found else ()),
                    *((p.accused, p.accused_of_all) if accused else ()),
                )
                for p in parts
                if p.by == by
            ],
        ),
    ]


def _coverage(m: VideoMeasures) -> str:
    found = m.coverage
    if found.mean is None or found.lowest is None:
        return "No video was judged."
    samplings = ", ".join(f"{name} ({count})" for name, count in sorted(m.samplings.items()))
    return (
        f"Of the {found.videos} videos that were judged, {found.mean:.1%} of the planned samples "
        f"were decoded undamaged on average, {found.lowest:.1%} in the worst; {found.low} are "
        f"under 95 %, and so are never cleared. Sampling: {samplings}."
    )


def _said(outcomes: Sequence[Said]) -> dict[str, dict[str, int]]:
    said: dict[str, dict[str, int]] = {}
    for one in outcomes:
        said.setdefault(one.label, {})[one.said] = one.videos
    return said


def _words(outcomes: Sequence[Said]) -> list[str]:
    """What was said, accusations first and failures last."""
    order = get_args(served.Said)
    return sorted({one.said for one in outcomes}, key=lambda w: (order.index(w.split(":")[0]), w))


def _count(said: dict[str, int], words: str) -> str:
    videos, total = said.get(words, 0), sum(said.values())
    return f"{videos} ({videos / total:.0%})" if total else "-"


def _short(one: Operating) -> str:
    rule = "outcome manipulated"
    if one.wanted is not None:
        rule = f"FPR {one.wanted:.1%}, {one.threshold:.3f}"
    elif one.threshold is not None:
        rule = f"served threshold {one.threshold:.3f}"
    return f"{rule}, of {one.way}"


def _plain(words: str) -> str:
    return words.replace("_", " ")


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str | int | Figure]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def _cell(value: str | int | Figure) -> str:
    """Words of the labels end no table."""
    return shown(str(value)).replace("|", "\\|")


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    with room_for(path):
        part.write_text(text, encoding="utf-8")
        part.replace(path)
