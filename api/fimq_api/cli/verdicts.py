"""Verdicts in the terminal: one in words, several as a table."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.text import Text

from fimq_api.cli import words

#: Widest name in a table of 80 columns.
_NAME = 34


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
        again = "" if document["cut"] else f"  Then: fimq retry {tag}"
        console.print(f"  {hint}{again}".rstrip(), markup=False)
        return
    if document["state"] != "done":
        console.print(f"{document['name']}: {document['state']}", markup=False)
        return
    if document["cut"]:
        console.print(f"crops cut: {words.crops(document['cut'])}", markup=False)
        console.print("  it judges nothing, and has no verdict", markup=False)
        console.print(f"  fimq show {tag}", markup=False)
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
    if place := words.suspect(document):
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
    """Several verdicts as a table; below each line the job and why."""
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    width = max(5, min(_NAME, max(len(document["name"]) for document in documents)))
    console.print(
        f"{'video':<{width}}  {'outcome':<21}  score  faces  samples", style="bold", markup=False
    )
    for document in documents:
        counts = document["counts"] or {}
        samples = f"{counts['samples_decoded']}/{counts['samples_planned']}" if counts else "-"
        line = Text(f"{words.middle(document['name'], width):<{width}}  ")
        line.append(f"{words.outcome(document):<21}", style=words.colour(document))
        line.append(
            f"  {words.score(document['score']):>5}  {counts.get('tracks', '-'):>5}  {samples:>7}"
        )
        console.print(line)
        why = ": ".join(filter(None, (words.reason(document), words.suspect(document))))
        if document["cut"] and document["state"] == "done":
            why = words.crops(document["cut"])
        console.print(f"  {words.tag(document)}  {why}".rstrip(), markup=False, style="dim")
    for note in sorted({note for document in documents for note in document["notes"]}):
        click.echo(f"note: {note}")
