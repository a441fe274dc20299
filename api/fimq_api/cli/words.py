"""Words: verdicts, times and sizes as a person reads them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
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
}
_BLOCKS = "▁▂▃▄▅▆▇█"


def outcome(document: dict[str, Any]) -> str:
    """The outcome, or the state of a job without one, in words."""
    if document["state"] != "done":
        return str(document["state"])
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
    """The suspect seconds in words: `face 2, 1:10-1:26`; of the most suspect face, if any."""
    parts: Sequence[dict[str, Any]] = document["segments"]
    own = [part for part in parts if part["track"] == document["track"]]
    if not own:
        # The highest score had no run of faces: what is left are runs of other faces.
        strongest = sorted(parts, key=lambda part: -part["score"])
        own = [part for part in parts if strongest and part["track"] == strongest[0]["track"]]
    text = ", ".join(span(part) for part in own[:limit])
    if len(own) > limit:
        text += f" and {len(own) - limit} more"
    return f"face {own[0]['track'] + 1}, {text}" if own else ""
