"""`fimq show`."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from fimq.document import LIMITS, job_document
from fimq.ledger import reading
from fimq.ledger.tables import Face, Sample, Track
from fimq_api.cli import words
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command, json_option
from fimq_api.cli.verdicts import print_verdict

_LINE = 44
_INDENT = " " * 11
#: Tracks drawn before the rest is only counted.
_TRACKS = 8


@click.command("show", cls=Command)
@click.argument("job")
@json_option
def show(job: str, *, as_json: bool) -> None:
    """Say why: a job's verdict, faces and seconds.

    JOB is the beginning of an id, or a file name (its newest job).

    Example: fimq show portrait-swapped
    """
    with open_house() as house, house.ledger.read() as session:
        found = reading.find_job(session, job)
        document = job_document(
            reading.record(session, found.id), reading.progress(session, [found.id])[found.id]
        )
        if as_json:
            click.echo(json.dumps(document))
            return
        samples, faces, tracks = reading.evidence_of(session, found.id)
    if document["state"] != "done":
        print_verdict(document)
        return
    if document["cut"]:
        _print_cut(document)
        return
    _print(document, samples, faces, tracks)


def _print(
    document: dict[str, Any], samples: list[Sample], faces: list[Face], tracks: list[Track]
) -> None:
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    head = Text(document["name"].ljust(48))
    head.append(words.outcome(document), style=words.colour(document))
    if document["score"] is not None:
        head.append(f"  {words.score(document['score'])}")
    console.print(head)
    console.print(_facts(document), markup=False)
    if text := words.reason(document):
        console.print(f"why        {text}", markup=False)
    _print_tracks(console, document, samples, faces, tracks)
    for position, part in enumerate(document["segments"]):
        title = "segments" if position == 0 else ""
        console.print(
            f"{title:<11}{words.span(part)}  face {part['track'] + 1}  "
            f"{words.score(part['score'])}",
            markup=False,
        )
    if document["segments"]:
        limit = words.score(document["model"]["thresholds"]["high_recall"])
        text = f"runs of pictures above {limit}, each pooled by itself; a face pools all of its own"
        console.print(_INDENT + text, markup=False)
    if document["method"]:
        console.print(f"{'method':<11}looks like {document['method']}", markup=False)
    _paragraph(console, "means", words.meaning(document))
    counts = document["counts"]
    _paragraph(
        console,
        "looked at",
        f"{counts['samples_decoded']} of {counts['samples_planned']} samples, "
        f"{counts['faces_found']} faces, {counts['faces_scored']} of them scored "
        f"({counts['faces_too_small']} too small, {counts['faces_unusable']} unusable)",
    )
    _paragraph(console, "made by", _made_by(document))
    for note in document["notes"]:
        _paragraph(console, "note", note)
    _paragraph(console, "limits", LIMITS)


def _print_cut(document: dict[str, Any]) -> None:
    """A job that judges nothing."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    cut, bundle = document["cut"], document["cut"]["bundle"]
    console.print(document["name"].ljust(48) + words.outcome(document), markup=False)
    console.print(_facts(document), markup=False)
    _paragraph(console, "cut", words.crops(cut))
    _paragraph(
        console,
        "means",
        "The faces were cut for training. Nothing was judged: there is no verdict and no score.",
    )
    _paragraph(
        console,
        "how",
        f"{cut['size']}x{cut['size']} pixels, {cut['scale']:g} times the face, "
        + ("the largest face of a frame" if cut["largest"] else "every face of a frame"),
    )
    _paragraph(console, "bundle", f"{bundle['bytes']:,} bytes, sha256 {bundle['sha256'][:12]}…")


def _facts(document: dict[str, Any]) -> str:
    video = document["video"] or {}
    sha256 = document["sha256"]
    facts = [f"sha256 {sha256[:4]}…{sha256[-2:]}"]
    if video:
        rate = f", {video['average_fps']:.4g} fps" if video.get("average_fps") else ""
        time = f", {words.clock(video['duration_s'])}" if video.get("duration_s") else ""
        facts.append(f"{video['codec']} {video['width']}x{video['height']}{rate}{time}")
    facts.append(f"sampled {document['sampling']}")
    return "  ·  ".join(facts)


def _print_tracks(
    console: Console,
    document: dict[str, Any],
    samples: list[Sample],
    faces: list[Face],
    tracks: list[Track],
) -> None:
    times = {sample.frame_index: sample.time_s for sample in samples}
    end = max(times.values(), default=0.0)
    suspect = {part["track"] for part in document["segments"]}
    telling = sorted(
        tracks,
        key=lambda track: (
            track.ordinal != document["track"],
            track.ordinal not in suspect,
            -track.scored,
        ),
    )
    drawn = sorted(telling[:_TRACKS], key=lambda track: track.ordinal)
    for track in drawn:
        points = [
            (times[face.frame_index], face.score)
            for face in faces
            if face.track == track.ordinal and face.score is not None
        ]
        line = words.sparkline(points, end, min(_LINE, max(8, len(samples))))
        console.print(
            f"{f'face {track.ordinal + 1}':<11}{line}  {words.score(track.score)}  "
            f"{words.clock(track.start_s)}-{words.clock(track.end_s)}",
            markup=False,
        )
    if len(tracks) > len(drawn):
        console.print(f"{_INDENT}and {len(tracks) - len(drawn)} more faces", markup=False)


def _made_by(document: dict[str, Any]) -> str:
    model, policy, runtime = document["model"], document["policy"], document["runtime"]
    return (
        f"{model['name']} {model['version']} (sha {model['sha256'][:8]}…), "
        f"policy {policy['name']}@{policy['version']}, "
        f"{runtime['name']} {runtime['precision']}, fimq {document['versions']['fimq']}"
    )


def _paragraph(console: Console, title: str, text: str) -> None:
    lines = Text(text).wrap(console, max(40, min(console.width, 80) - len(_INDENT)))
    for position, line in enumerate(lines):
        start = f"{title:<11}" if position == 0 else _INDENT
        console.print(start + line.plain.rstrip(), markup=False)
