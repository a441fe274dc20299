"""What the card of a fit on crops says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]


def introduction(facts: Facts) -> str:
    """The first words."""
    recipe = facts["metrics"]["fit"]["recipe"]
    return f"Fitted by the recipe `{recipe}` on crops that `fimq train prepare` made."


def data(facts: Facts) -> str:
    """Below the list of sources."""
    fit = facts["metrics"]["fit"]
    return f"Crops with the fingerprint `{fit['crops'][:16]}`, split `{fit['split']}`."


def annotation(facts: Facts) -> str:
    """Where labels come from."""
    del facts  # the same for every run
    return (
        "Labels are those of the data sets: by folder, file name or metadata, of whole videos. A\n"
        "face of a manipulated video counts as manipulated, also where others stand beside it."
    )


def benchmarks(facts: Facts) -> str:
    """Figures on the test side."""
    evaluation = facts["metrics"].get("evaluation")
    if evaluation is None:
        return "Not measured: run `fimq train evaluate` before `fimq train export`."
    lines = []
    if evaluation["leaks"]:
        lines += [f"**The split leaks** ({evaluation['leaks']}): these figures flatter.", ""]
    lines += [
        f"On the test side of `{evaluation['split']}`; 95 % intervals over people.",
        f"Scores are {evaluation['scores']}.",
        "",
        "| | crops | videos |",
        "| --- | --- | --- |",
    ]
    crops, videos = evaluation["crops"], evaluation["videos"]
    for name, key in (("ROC-AUC", "auc"), ("equal error rate", "equal_error")):
        lines.append(f"| {name} | {_figure(crops[key])} | {_figure(videos[key])} |")
    counts = [f"{kind['real']} / {kind['manipulated']}" for kind in (crops, videos)]
    lines += [
        f"| real / manipulated | {' | '.join(counts)} |",
        "",
        "| method | AUC of crops | AUC of videos |",
        "| --- | --- | --- |",
    ]
    by_name = {part["name"]: part for part in videos["methods"]}
    lines += [
        f"| {part['name']} | {_figure(part['auc'])} | {_figure(by_name[part['name']]['auc'])} |"
        for part in crops["methods"]
        if part["name"] in by_name
    ]
    return "\n".join(lines)


def limitations(facts: Facts) -> str:
    """What it does not know."""
    points = facts["metrics"]["operating_points"]
    return (
        "- Measured on the data set that it was fitted on. On other sources, codecs and methods\n"
        "  light models fall hard: measure it on video of your own first.\n"
        "- Not measured by age, sex or skin; the data sets are what they are.\n"
        "- Faces under 48 pixels, in profile, or covered were hardly seen.\n"
        f"- The high-precision threshold aims at {points['wanted']:.1%} of real videos, chosen on "
        f"{points['real_videos']}\n  videos of {points['real_people']} people. So few allow to "
        f"promise no less than {points['promise']:.0%}."
    )


def guidance(facts: Facts) -> str:
    """Beside what every card says."""
    rates = facts["metrics"]["operating_points"]["simulated_false_positives"]
    listed = ", ".join(f"{name} {rate:.1%}" for name, rate in rates.items())
    return f"- False positives on simulated real video, by length: {listed}.\n"


def links(facts: Facts) -> str:
    """Where to read on."""
    recipe = facts["metrics"]["fit"]["recipe"]
    return f"`fimq train recipes {recipe}` prints how it was made; `docs/training.md` explains."


def _figure(value: Mapping[str, float | None] | None) -> str:
    if value is None or value["value"] is None:
        return "-"
    return f"{value['value']:.3f} [{value['low']:.2f}, {value['high']:.2f}]"
