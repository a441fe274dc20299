"""What was served: the job documents of labelled videos, read as strictly as they were written.

A video that has no score keeps none: it was refused, failed, was cancelled, or shows no face
that could be judged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from fimq.errors import DocumentsInvalid, DocumentsMixed, LabelsUnfit
from fimq.intake import shown
from fimq_training.evaluation.labels import Label

Document = dict[str, Any]

Said = Literal[
    "manipulated",
    "uncertain",
    "no_manipulation_found",
    "not_applicable",
    "failed",
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class Service:
    """Who judged: one model by one policy."""

    model: str
    version: str
    sha256: str
    high_precision: float
    high_recall: float
    policy: str

    @property
    def name(self) -> str:
        """`model@version, policy policy@version`."""
        return f"{self.model}@{self.version}, policy {self.policy}"


@dataclass(frozen=True, slots=True)
class Served:
    """What was said of one labelled video."""

    label: Label
    said: Said
    why: str | None  #: reason of not_applicable, code of failed
    score: float | None
    coverage: float | None
    sampling: str | None  #: as it was fitted to the video's length
    service: Service | None  #: None where nobody came to judge

    @property
    def words(self) -> str:
        """Outcome and reason, as the table of outcomes names it."""
        return self.said if self.why is None else f"{self.said}: {self.why}"

    @classmethod
    def of(cls, label: Label, document: Document) -> Served:
        """Read a document.

        Raises:
            DocumentsInvalid: it is no document of an ended job, or contradicts itself.
        """
        try:
            said, why = _said(document)
            score = _share(document.get("score"))
            service = None if said in {"failed", "cancelled"} else _service(document)
            coverage = None if service is None else _share(document["coverage"])
            sampling = None if service is None else str(document["sampling"])
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentsInvalid(f"The document of {label.file} cannot be read") from error
        if score is not None and said in {"not_applicable", "failed", "cancelled"}:
            raise DocumentsInvalid(f"The document of {label.file} has a score and is {said}")
        if score is None and said in {"manipulated", "no_manipulation_found"}:
            raise DocumentsInvalid(f"The document of {label.file} is {said} without a score")
        return cls(label, said, why, score, coverage, sampling, service)


def service_of(served: Iterable[Served]) -> Service | None:
    """Who judged them all; None where nobody judged any.

    Raises:
        DocumentsMixed: several did.
    """
    found = {one.service: one for one in served if one.service is not None}
    if len(found) > 1:
        first, second = [(one.label.file, service) for service, one in found.items()][:2]
        raise DocumentsMixed(
            f"{first[0]} was judged by {first[1].name} ({first[1].sha256[:12]}), "
            f"{second[0]} by {second[1].name} ({second[1].sha256[:12]})"
        )
    return next(iter(found), None)


def read(path: Path) -> list[Document]:
    """The documents of a file, one a line.

    Raises:
        DocumentsInvalid: it cannot be read; the line is named.
    """
    documents = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentsInvalid(f"{path} cannot be read") from error
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line) if line.strip() else None
        except ValueError as error:
            raise DocumentsInvalid(f"{path}, line {number}: no JSON") from error
        if document is None:
            continue
        if not isinstance(document, dict) or not {"name", "state"} <= document.keys():
            raise DocumentsInvalid(f"{path}, line {number}: no job document")
        documents.append(document)
    return documents


def matched(labels: Iterable[Label], documents: Iterable[Document]) -> dict[str, Document]:
    """The document of each file, by external id or by name; the newest where one was judged twice.

    Raises:
        LabelsUnfit: two files, or two contents, have one name, so that nobody can tell.
    """
    by_name: dict[str, Document] = {}
    for document in documents:
        for key in {document.get("external_id"), document["name"]} - {None}:
            known = by_name.get(key)
            if known is not None and known.get("sha256") != document.get("sha256"):
                raise LabelsUnfit(f"Two contents called {key} are in the documents")
            if known is None or (known.get("created_at") or "") <= (
                document.get("created_at") or ""
            ):
                by_name[key] = document
    found: dict[str, Document] = {}
    names: dict[str, str] = {}
    for label in labels:
        if label.file in by_name:
            found[label.file] = by_name[label.file]
            continue
        name = shown(PurePosixPath(label.file).name)
        if names.setdefault(name, label.file) != label.file:
            raise LabelsUnfit(f"{names[name]} and {label.file}: documents tell no folders apart")
        if name in by_name:
            found[label.file] = by_name[name]
    return found


def _said(document: Document) -> tuple[Said, str | None]:
    state = document["state"]
    if state in {"failed", "refused"}:
        return "failed", str(document["error"]["code"])
    if state == "cancelled":
        return "cancelled", None
    outcome = document["outcome"]
    if state != "done" or outcome not in {
        "manipulated",
        "uncertain",
        "no_manipulation_found",
        "not_applicable",
    }:
        raise ValueError(state)
    return outcome, str(document["reason"]) if outcome == "not_applicable" else None


def _service(document: Document) -> Service:
    model, policy = document["model"], document["policy"]
    thresholds: Mapping[str, Any] = model["thresholds"]
    return Service(
        model=str(model["name"]),
        version=str(model["version"]),
        sha256=str(model["sha256"]),
        high_precision=float(thresholds["high_precision"]),
        high_recall=float(thresholds["high_recall"]),
        policy=f"{policy['name']}@{policy['version']}",
    )


def _share(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(value)
    return float(value)
