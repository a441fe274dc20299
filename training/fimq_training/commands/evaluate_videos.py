"""`fimq evaluate`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fimq.errors import LabelsUnfit, UsageError
from fimq.settings import JUDGING_LANES
from fimq_training.commands import installed

if TYPE_CHECKING:
    from fimq_training.evaluation.labels import Label, Labels
    from fimq_training.evaluation.served import Document

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NAMED = 50  #: videos without a label, one a line


@click.command("evaluate")
@click.argument("videos", required=False, type=FOLDER)
@click.option("--labels", type=FILE, required=True, help="CSV: file,label and what else is known.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="Folder of documents, report and pictures.",
)
@click.option(
    "--validation",
    metavar="CSV|SHARE",
    help="Videos to choose thresholds on: labels of their own, or a share of the people.",
)
@click.option("--documents", type=FILE, help="Job documents that exist already; judges nothing.")
@click.option("--model", help="Model that judges; the promoted one if left out.")
@click.option(
    "--lane", type=click.Choice(JUDGING_LANES), default="archive", show_default=True, help="Queue."
)
@click.option("--rescan", is_flag=True, help="Judge again, though verdicts are known.")
@click.option("--in-place", is_flag=True, help="Do not copy the videos into the store.")
@click.option("--partial", is_flag=True, help="Leave out labels and videos that lack each other.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def evaluate(**given: Any) -> None:
    """Measure the whole pipeline on labelled videos.

    Labels are a CSV file, one line a video: `file` (below VIDEOS) and `label` (real, manipulated,
    or the name of a known method), and if known method, source, identity, compression. Can be
    stopped at any time; the same command goes on where it was.

    Example: fimq evaluate videos --labels labels.csv
    """
    installed.require()
    _Evaluation(given).run()


@dataclass(frozen=True, slots=True)
class _Sides:
    """What is measured, and what thresholds are chosen on."""

    test: Sequence[Label]
    validation: Sequence[Label] | None
    chosen_on: str | None


class _Evaluation:
    """One call of the command."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.out: Path = given["out"]
        videos, known = given["videos"], given["documents"]
        if (videos is None) == (known is None):
            raise UsageError("give a folder of videos, or --documents of videos judged already")
        self.place: Path = videos or known
        self.source = _Judged(known) if videos is None else _Unjudged(videos, given)
        self.left_out = 0  #: videos without a label

    def run(self) -> None:
        from fimq_training.evaluation import video_report
        from fimq_training.evaluation.served import Served
        from fimq_training.evaluation.video_findings import LeftOut, VideoReport
        from fimq_training.evaluation.video_measures import measure

        labels, sides = self._sides()
        documents = self.source.documents([*sides.test, *(sides.validation or ())])
        test = [Served.of(label, documents[label.file]) for label in sides.test]
        validation = None
        if sides.validation is not None:
            validation = [Served.of(label, documents[label.file]) for label in sides.validation]
        measures = measure(test, validation)
        self.out.mkdir(parents=True, exist_ok=True)
        lacking = sum(fault.absent for fault in labels.faults)
        report = VideoReport(
            videos=str(self.place),
            labels_sha256=hashlib.sha256(labels.path.read_bytes()).hexdigest(),
            chosen_on=sides.chosen_on,
            left_out=LeftOut(lacking, self.left_out),
            measures=measures,
            pictures=video_report.draw(test, measures, self.out),
        )
        video_report.write(report, self.out)
        if self.given["as_json"]:
            click.echo(video_report.as_json(report))
            return
        click.echo(video_report.table(report) + "\n")
        for name in (video_report.MARKDOWN, *report.pictures):
            click.echo(str(self.out / name))

    def _sides(self) -> tuple[Labels, _Sides]:
        """The labels, all of which have their video, in two sides.

        Raises:
            LabelsUnfit: they do not fit; every fault was printed.
        """
        from fimq_training.evaluation.labels import Labels, drawn

        given, lenient = self.given["validation"], self.given["partial"]
        labels, share, other = Labels.read(self.given["labels"]), _share(given), None
        if given is not None and share is None:
            other = Labels.read(Path(given))
            labels = labels.without(other)
        named = [*labels.rows, *(other.rows if other else ())]
        there, unnamed = self.source.there(named)
        labels = labels.among(there, self.source.what)
        other = other and other.among(there, self.source.what)
        both = [labels] if other is None else [labels, other]
        for each in both:
            for fault in sorted(each.faults, key=lambda fault: fault.line):
                click.echo(f"{each.path}, {fault}", err=True)
        for each in both:
            each.stop(partial=lenient)
        for name in unnamed[:_NAMED]:
            click.echo(f"{name}: no label", err=True)
        if unnamed and not lenient:
            more = f" and {len(unnamed) - 1:,} more" if len(unnamed) > 1 else ""
            raise LabelsUnfit(f"{labels.path} has no line for {unnamed[0]}{more}")
        self.left_out = len(unnamed)
        if other is not None:
            return labels, _Sides(labels.rows, other.rows, other.path.name)
        if share is None:
            return labels, _Sides(labels.rows, None, None)
        validation, test = drawn(labels.rows, share)
        return labels, _Sides(test, validation, f"a share of {share:g}, drawn by people")


class _Unjudged:
    """A folder of videos, to be judged."""

    what = "video"

    def __init__(self, folder: Path, given: dict[str, Any]) -> None:
        self.folder, self.given = folder, given

    def there(self, labels: Sequence[Label]) -> tuple[list[str], list[str]]:
        """Files of the labels that are there, and files that no label names."""
        from fimq_training.evaluation.labels import files_below

        named = {label.file for label in labels}
        there = [file for file in named if (self.folder / file).is_file()]
        return there, [file for file in files_below(self.folder) if file not in named]

    def documents(self, labels: Sequence[Label]) -> dict[str, Document]:
        """The document of every label's file, made now where there is none yet."""
        from fimq_training.commands.judging import show
        from fimq_training.evaluation.judging import Judging, Request

        asked = {name: self.given[name] for name in ("model", "lane", "rescan", "in_place")}
        files = [label.file for label in labels]
        request, out = Request(**asked), self.given["out"]
        try:
            with Judging.open(self.folder, out, request, partial(click.echo, err=True)) as judging:
                show(judging.run(files))
                return judging.documents(files)
        except KeyboardInterrupt:
            click.echo("Given again, the same command goes on where it was.", err=True)
            raise


class _Judged:
    """Documents that exist already."""

    what = "document"

    def __init__(self, path: Path) -> None:
        from fimq_training.evaluation import served

        self.known = served.read(path)

    def there(self, labels: Sequence[Label]) -> tuple[list[str], list[str]]:
        """Files of the labels that have a document, and names of documents without a label."""
        found = self.documents(labels)
        names = {document["name"] for document in found.values()}
        return list(found), sorted({one["name"] for one in self.known} - names)

    def documents(self, labels: Sequence[Label]) -> dict[str, Document]:
        """The document of every label's file that has one."""
        from fimq_training.evaluation import served

        return served.matched(labels, self.known)


def _share(validation: str | None) -> float | None:
    """A share, or None of a path.

    Raises:
        UsageError: it is a number, and no share.
    """
    try:
        share = float(validation or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UsageError(f"--validation {validation} is no share between 0 and 1")
    return share
