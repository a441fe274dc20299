"""Words: verdicts, times and sizes as a person reads them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fimq.identifiers import short

OUTCOMES = {
    "manipulated": "manipulated",
    "uncertain": "uncertain",
    "no_manipulation_found": "no manipulation found",
    "not_applicable": "not applicable",
}
COLOURS = {
    "manipulated": "bold red",
    "uncertain": "yellow",
    "no_manipulation_found": "green",
    "not_applicable": "cyan",
    "failed": "red",
    "cancelled": "dim",
}
REASONS = {
    "no_face": "no face was found",
    "faces_too_small": "every face is smaller than the size rule asks",
    "faces_unusable": "no face was good enough to score",
    "low_coverage": "too little of the video could be decoded",
    "too_few_faces": "too few faces were scored to say more",
    "too_little_support": "the high scores are too few in a row, or their quality is too low",
    "between_thresholds": "between the model's two thresholds",
}
MEANINGS = {
    "manipulated": "The model saw strong signs of manipulation on one face, in several "
    "pictures in a row. A person should confirm it.",
    "uncertain": "The model saw too much to clear the video and too little to accuse it. "
    "A person should look.",
    "no_manipulation_found": "No face scored above the model's high-recall threshold. That "
    "does not prove that nothing was manipulated.",
    "not_applicable": "There was nothing that the model can judge; the video has no score.",
    "too_few_faces": "Too few faces were seen to say anything. A still picture, or a face in "
    "a few samples only, is never cleared and never accused.",
    "low_coverage": "Too little of the video could be decoded to clear it. What was decoded "
    "does not suffice to accuse it.",
    "too_little_support": "A face scored high, but in too few pictures in a row or in too poor "
    "quality to accuse. A person should look.",
}
_BLOCKS = "▁▂▃▄▅▆▇█"


def outcome(document: dict[str, Any]) -> str:
    """The outcome, or the state of a job without one, in words."""
    if document["state"] != "done":
        return str(document["state"])
    if document["cut"]:
        return "crops cut"
    return OUTCOMES[document["outcome"]]


def colour(document: dict[str, Any]) -> str:
    """The colour of an outcome or state."""
    return COLOURS.get(document["outcome"] or document["state"], "")


def reason(document: dict[str, Any]) -> str:
    """Why, in one clause; empty where the outcome says it all."""
    if document["state"] == "failed":
        return f"{document['error']['message']} [{document['error']['code']}]"
    text = REASONS.get(document["reason"] or "", document["reason"] or "")
    if document["reason"] == "between_thresholds":
        limits = document["model"]["thresholds"]
        text += f" {score(limits['high_recall'])} and {score(limits['high_precision'])}"
    return text


def crops(cut: dict[str, Any]) -> str:
    """What came of a job that cuts crops: `12 faces in 30 samples`."""
    return f"{counted(cut['crops'], 'face')} in {counted(cut['samples'], 'sample')}"


def counted(count: int, noun: str) -> str:
    """`1 face`, `1,200 faces`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def score(value: float | None) -> str:
    """`.64`, or a dash where there is none."""
    if value is None:
        return "-"
    return "1.0" if value > 0.995 else f"{value:.2f}".removeprefix("0")


def clock(seconds: float) -> str:
    """`5:57`, or `1:05:57`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def span(segment: dict[str, Any]) -> str:
    """`1:10-1:26`."""
    return f"{clock(segment['start_s'])}-{clock(segment['end_s'])}"


def home(path: Path) -> str:
    """A path with the user's folder as `~`."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def program() -> str:
    """How this user calls fimq: by name where it is on the path, else by where it lies."""
    called = Path(sys.argv[0]).absolute()
    if shutil.which("fimq") or called.name != "fimq":
        return "fimq"
    here = Path.cwd()
    return str(called.relative_to(here)) if called.is_relative_to(here) else home(called)


def tag(document: dict[str, Any]) -> str:
    """The short id of a document's job."""
    return short(document["job_id"])


def sparkline(points: Iterable[tuple[float, float]], duration: float, width: int) -> str:
    """Scores over time as blocks: each column is the highest score in its share of time."""
    columns: list[float | None] = [None] * width
    for time_s, value in points:
        part = min(time_s, duration) / duration if duration > 0 else 0.0
        column = min(width - 1, int(part * width))
        columns[column] = max(value, columns[column] or 0.0)
    return "".join(" " if value is None else _BLOCKS[min(7, int(value * 8))] for value in columns)


def where(document: dict[str, Any], limit: int = 3) -> str:
    """The most suspect face and its seconds: `face 2, 1:10-1:26`."""
    if document["track"] is None:
        return ""
    face = f"face {document['track'] + 1}"
    own = [part for part in document["segments"] if part["track"] == document["track"]]
    if own:
        more = f" and {len(own) - limit} more" if len(own) > limit else ""
        return f"{face}, {', '.join(span(part) for part in own[:limit])}{more}"
    track = next(
        (track for track in document["tracks"] if track["track"] == document["track"]), None
    )
    if track is None:
        return face
    if track["faces"] == 1:
        return f"{face}, {clock(track['start_s'])}, in one picture only"
    return f"{face}, {span(track)}"


def suspect(document: dict[str, Any]) -> str:
    """`where`, if the score is high enough that a person should know."""
    if document["score"] is None or document["outcome"] == "no_manipulation_found":
        return ""
    above = document["score"] >= document["model"]["thresholds"]["high_recall"]
    return where(document) if above else ""


def meaning(document: dict[str, Any]) -> str:
    """What the outcome means, for this reason."""
    return MEANINGS.get(document["reason"] or "", MEANINGS[document["outcome"]])


def middle(name: str, width: int) -> str:
    """A name cut in its middle: beginnings and endings tell names apart."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"
