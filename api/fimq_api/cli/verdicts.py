"""Verdicts in the terminal: one in words, several as a table."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fimq_api.cli import words


def print_verdicts(documents: list[dict[str, Any]]) -> None:
    """One document as lines, several as a table."""
    if len(documents) == 1:
        print_verdict(documents[0])
    elif documents:
        print_table(documents)


def print_verdict(document: dict[str, Any]) -> None:
    """A verdict in words, with what to do next."""
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    tag = words.tag(document)
    if document["state"] == "failed":
        error = document["error"]
        console.print(
            Text(f"{document['name']}: failed: {error['message']}  [{error['code']}]", style="red")
        )
        hint = error["hint"] or ""
        console.print(f"  {hint}  Then: fimq retry {tag}".rstrip(), markup=False)
        return
    if document["state"] != "done":
        console.print(f"{document['name']}: {document['state']}", markup=False)
        return
    line = Text(words.outcome(document), style=words.colour(document))
    if document["score"] is not None:
        line.append(f"  {words.score(document['score'])}", style="default")
    if text := words.reason(document):
        line.append(f"  ({text})", style="default")
    console.print(line)
    counts = document["counts"]
    facts = [f"job {tag}"]
    if document["video"] and document["video"].get("duration_s"):
        facts.append(words.clock(document["video"]["duration_s"]))
    facts.append(
        f"{counts['samples_planned']} samples, {counts['samples_decoded']} decoded, "
        f"{counts['samples_with_faces']} with a face"
    )
    console.print("  " + "  ·  ".join(facts), markup=False)
    if place := words.where(document):
        console.print(f"  most suspect: {place}", markup=False)
    if document["reused_from"]:
        console.print(
            f"  known since {document['judged_at'][:10]}, judged by "
            f"{document['model']['name']} {document['model']['version']}; "
            "to judge it again: --rescan",
            markup=False,
        )
    for note in document["notes"]:
        console.print(f"  note: {note}", markup=False)
    console.print(f"  fimq show {tag}", markup=False)


def print_table(documents: list[dict[str, Any]]) -> None:
    """Several verdicts as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("video", overflow="ellipsis", no_wrap=True, max_width=24)
    table.add_column("outcome", no_wrap=True)
    for name in ("score", "faces", "samples"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for document in documents:
        counts = document["counts"] or {}
        why = ", ".join(filter(None, (words.reason(document), words.where(document))))
        table.add_row(
            Text(document["name"]),
            Text(words.outcome(document), style=words.colour(document)),
            words.score(document["score"]),
            str(counts.get("tracks", "-")),
            "-" if not counts else f"{counts['samples_decoded']}/{counts['samples_planned']}",
            Text(why),
        )
    Console(highlight=False).print(table)
    for note in sorted({note for document in documents for note in document["notes"]}):
        click.echo(f"note: {note}")
