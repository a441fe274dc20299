"""The model card: what a manifest says, in words that a reader can act on.

In the seven sections that Coop asks of a model (roostorg/coop, `modelCard`): training data,
policy and taxonomy, annotation methodology, performance benchmarks, bias and limitations,
implementation guidance, relevant links. Generated from the manifest alone, so that card and
manifest cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fimq_training.crops.sampling import AND, UNKNOWN
from fimq_training.export import card_of_pairs, card_of_run

SECTIONS = (
    "Training data",
    "Policy and taxonomy",
    "Annotation methodology",
    "Performance benchmarks",
    "Bias and limitations",
    "Implementation guidance",
    "Relevant links",
)


def card(facts: Mapping[str, Any]) -> str:
    """The card of a manifest, as Markdown."""
    own = card_of_pairs if "held_out" in facts["metrics"] else card_of_run
    texts: dict[str, str] = {
        "Training data": _data(facts) + own.data(facts),
        "Policy and taxonomy": _taxonomy(facts),
        "Annotation methodology": own.annotation(facts),
        "Performance benchmarks": own.benchmarks(facts),
        "Bias and limitations": own.limitations(facts),
        "Implementation guidance": _guidance(facts) + own.guidance(facts),
        "Relevant links": own.links(facts),
    }
    state = " (experimental)" if facts["experimental"] else ""
    lines = [f"# {facts['name']} {facts['version']}{state}", "", own.introduction(facts).strip()]
    for title in SECTIONS:
        lines += ["", f"## {title}", texts[title].strip()]
    lines += ["", f"Created {facts['created']}."]
    return "\n".join(lines) + "\n"


def _data(facts: Mapping[str, Any]) -> str:
    lines = [
        f"- {source['name']}: {source['source']} ({source['licence']})"
        for source in facts["training_data"]
    ]
    return "\n".join(lines) + "\n\n"


def _taxonomy(facts: Mapping[str, Any]) -> str:
    forged = ", ".join(f"`{c['name']}`" for c in facts["classes"] if c["manipulated"])
    real = ", ".join(f"`{c['name']}`" for c in facts["classes"] if not c["manipulated"])
    return (
        f"For one crop of a face the model gives a share to each of its classes. Manipulated are\n"
        f"{forged}; the score of a face is their sum, calibrated. Not manipulated: {real}.\n"
        "A policy of fimq turns the scores of a video's faces into `manipulated`, `uncertain`,\n"
        "`no_manipulation_found` or `not_applicable`. No outcome says that a video is what it\n"
        "claims to be."
    )


def _sampling(said: str) -> str:
    """The sampling, and what a reader could not guess of it."""
    text = AND.join(f"`{one}`" for one in said.split(AND))
    if said == UNKNOWN:
        return "a sampling that is not known: its crops have no `dataset.json`"
    notes = []
    if AND in said:
        notes.append("data sets differ")
    if "frames:" in said:
        notes.append("`frames:N` spreads at most N samples over a whole video, as no job does")
    return f"sampling {text}" + (f" ({'; '.join(notes)})" if notes else "")


def _guidance(facts: Mapping[str, Any]) -> str:
    size, scale = facts["input"]["size"], facts["crop"]["scale"]
    temperature, bias = facts["calibration"]["temperature"], facts["calibration"]["bias"]
    high, low = (facts["thresholds"][f"high_{name}"] for name in ("precision", "recall"))
    pooling = facts.get("pooling")
    lines = [
        f"- Input: {size} x {size} RGB crops, a square of {scale} times the face's box.",
        f"- Validated with {_sampling(facts['sampling'])}; another one moves the figures.",
        f"- Calibration: logit / {temperature:.4g} {bias:+.4g}.",
        "- A score is not the probability that a video of the world is manipulated.",
        f"- Thresholds on the pooled score of a track: high precision {high:.4g}, high recall",
        f"  {low:.4g}. What lies between is for a person.",
    ]
    if pooling:
        lines.append(
            f"- Pooling: a track's strongest window loses {pooling['window_penalty']:g} logits for "
            "each e-fold of windows."
        )
    return "\n".join(lines) + "\n"
