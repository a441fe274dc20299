"""Labels: what each video of an evaluation is, from a CSV file, one line a video.

| column | |
| --- | --- |
| `file` | path below the folder of videos; required |
| `label` | `real`, `manipulated`, or the name of a known method; required |
| `method` | of a manipulated one, in any words |
| `source` | where a real one is from, as `Youtube` |
| `identity` | who is seen, the head first, several joined by `;` |
| `compression` | as `c23` |

A label that is no word known is a fault rather than a method: misspelt, a real video would be
counted as manipulated. Columns of other names are refused for the same reason.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from fimq.errors import LabelsUnfit
from fimq_training.datasets import base
from fimq_training.datasets.faceforensics import METHODS

_REQUIRED = ("file", "label")
_COLUMNS = (*_REQUIRED, "method", "source", "identity", "compression")
_WORDS = {"real": False, "manipulated": True, "fake": True}
_NAMES = {name.lower(): name for name in (*METHODS, "Celeb-DF", "DFDC")}


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of one video."""

    file: str  #: below the folder of videos, with `/`
    manipulated: bool
    method: str | None = None  #: of a manipulated one, where it is known
    source: str | None = None  #: where a real one is from
    identities: tuple[str, ...] = ()  #: the first is the one whose head is seen
    compression: str | None = None

    @property
    def unit(self) -> str:
        """What chance draws: the person, or the video where nobody is known."""
        return self.identities[0] if self.identities else f"/{self.file}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line."""

    line: int  #: counted from 1
    text: str
    absent: bool = False  #: its video is not there: `--partial` leaves it out

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one file and all that is wrong with them."""

    path: Path
    lines: dict[int, Label]  #: by the line's number
    faults: tuple[Fault, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Labels:
        """Read the file; lines that cannot be read become faults.

        Raises:
            LabelsUnfit: there is no such file, it is no CSV, or its columns are others.
        """
        lines: dict[int, Label] = {}
        faults: list[Fault] = []
        first: dict[str, int] = {}
        try:
            with path.open(newline="", encoding="utf-8-sig") as text:
                reader = csv.DictReader(text, restkey="more", restval="", strict=True)
                _check_columns(path, reader.fieldnames or ())
                for row in reader:
                    number = reader.line_num
                    try:
                        label = _label(row)
                    except _Unfit as unfit:
                        faults.append(Fault(number, str(unfit)))
                        continue
                    if label.file in first:
                        again = f"{label.file} a second time, after line {first[label.file]}"
                        faults.append(Fault(number, again))
                    else:
                        first[label.file] = number
                        lines[number] = label
        except OSError as error:
            raise LabelsUnfit(f"{path} cannot be read") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise LabelsUnfit(f"{path} is not a CSV file in UTF-8") from error
        if not lines and not faults:
            raise LabelsUnfit(f"{path} names no videos")
        return cls(path, lines, tuple(faults))

    @property
    def rows(self) -> list[Label]:
        """The labels that could be read, in the order of the file."""
        return list(self.lines.values())

    def among(self, there: Iterable[str], what: str) -> Labels:
        """Only those whose file is there; the others become faults.

        Args:
            there: what there is, as labels name it.
            what: a word for it, `video` or `document`.
        """
        known = set(there)
        lacking = {n: label for n, label in self.lines.items() if label.file not in known}
        faults = [
            Fault(n, f"{label.file}: no such {what}", absent=True) for n, label in lacking.items()
        ]
        kept = {n: label for n, label in self.lines.items() if n not in lacking}
        return replace(self, lines=kept, faults=(*self.faults, *faults))

    def without(self, others: Labels) -> Labels:
        """Only what `others` does not show: same videos and same people become faults.

        Thresholds that were chosen on `others` are measured on these.
        """
        people = {person for label in others.rows for person in label.identities}
        files = {label.file for label in others.rows}
        faults: dict[int, Fault] = {}
        for number, label in self.lines.items():
            if label.file in files:
                faults[number] = Fault(number, f"{label.file} is in {others.path.name} too")
            elif shared := sorted(people.intersection(label.identities)):
                text = f"{shared[0]}, who is seen, is seen in {others.path.name} too"
                faults[number] = Fault(number, text)
        kept = {n: label for n, label in self.lines.items() if n not in faults}
        return replace(self, lines=kept, faults=(*self.faults, *faults.values()))

    def stop(self, *, partial: bool) -> None:
        """Go on only if nothing is wrong, or only what `--partial` leaves out.

        Raises:
            LabelsUnfit: with the number of faults and the first; each is in `faults`.
        """
        stopping = [fault for fault in self.faults if not (partial and fault.absent)]
        if stopping:
            more = f", and {len(stopping) - 1:,} more" if len(stopping) > 1 else ""
            raise LabelsUnfit(f"{self.path}, {stopping[0]}{more}", faults=len(stopping))
        if not self.lines:
            raise LabelsUnfit(f"{self.path} leaves no video to measure")


def files_below(root: Path) -> list[str]:
    """Every video file below a folder, as labels name it."""
    return [name for name in base.below(root, root, base.VIDEOS) if (root / name).is_file()]


def drawn(labels: Sequence[Label], share: float) -> tuple[list[Label], list[Label]]:
    """Validation and the rest, by people: nobody is on both sides.

    A hash decides the order, so that the draw is the same on every machine. A group of people
    that is larger than what is still wanted stays with the rest.
    """
    wanted = share * len(labels)
    taken: set[str] = set()
    for group in sorted(groups(labels), key=_hash):
        if len(taken) + len(group) <= wanted:
            taken |= {label.file for label in group}
    return (
        [label for label in labels if label.file in taken],
        [label for label in labels if label.file not in taken],
    )


def groups(labels: Sequence[Label]) -> list[list[Label]]:
    """Videos that hang together by the people who are seen in them."""
    leaders: dict[str, str] = {}

    def leader(name: str) -> str:
        while (above := leaders.setdefault(name, name)) != name:
            leaders[name] = name = leaders[above]
        return name

    for label in labels:
        for person in label.identities:
            leaders[leader(person)] = leader(label.unit)
    found: dict[str, list[Label]] = {}
    for label in labels:
        found.setdefault(leader(label.unit), []).append(label)
    return list(found.values())


def _hash(group: Sequence[Label]) -> str:
    return hashlib.sha256(min(label.unit for label in group).encode()).hexdigest()


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for name in _REQUIRED:
        if name not in columns:
            raise LabelsUnfit(f"{path}, line 1: no column {name}")
    for name in columns:
        if name not in _COLUMNS:
            raise LabelsUnfit(f"{path}, line 1: a column {name!r} that means nothing here")


class _Unfit(ValueError):
    """What is wrong with a line."""


def _label(row: dict[str, str]) -> Label:
    if "more" in row:
        raise _Unfit("more fields than there are columns")
    row = {name: value.strip() for name, value in row.items()}
    file, word = PurePosixPath(row["file"]), row["label"].lower()
    if not row["file"]:
        raise _Unfit(f"a label, {word or 'empty,'} without a file")
    if file.is_absolute() or ".." in file.parts:
        raise _Unfit(f"{file} is no path below the folder of videos")
    if not word:
        raise _Unfit(f"{file}: no label")
    known = _NAMES.get(word)
    if known is None and word not in _WORDS:
        raise _Unfit(f"{file}: {word!r} is neither real nor manipulated nor a known method")
    manipulated = known is not None or _WORDS[word]
    given = row.get("method") or None
    method = given and _NAMES.get(given.lower(), given)
    if method and not manipulated:
        raise _Unfit(f"{file}: a real video with a method, {method}")
    if method and known and method != known:
        raise _Unfit(f"{file}: {known} by its label, {method} by its method")
    return Label(
        file=file.as_posix(),
        manipulated=manipulated,
        method=known or method,
        source=row.get("source") or None,
        identities=tuple(filter(None, (one.strip() for one in row.get("identity", "").split(";")))),
        compression=row.get("compression") or None,
    )
