"""Policies: versioned rules that turn a video's tracks into an outcome.

Thresholds come from the model's manifest: its high-precision one says when a score may
accuse, its high-recall one when it may clear. What lies between is for a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fimq.errors import PolicyMissing
from fimq.policy.pooling import PoolingRule

Outcome = Literal["manipulated", "uncertain", "no_manipulation_found", "not_applicable"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the rules. A change of any value is a new version."""

    name: str
    version: int
    about: str
    coverage: float = 0.95  #: least share of planned samples that were decoded, to clear a video
    faces: int = 4  #: least scored faces of a video, to clear it
    support: int = 3  #: least consecutive suspect faces of a track, to accuse it
    quality: float = 0.2  #: least mean quality of a track's faces, to accuse it
    pooling: PoolingRule = field(default_factory=PoolingRule)

    @property
    def label(self) -> str:
        """`name@version`, as verdicts show it."""
        return f"{self.name}@{self.version}"


POLICIES: dict[str, Policy] = {
    "standard": Policy(
        name="standard",
        version=1,
        about="Accuses on the model's high-precision threshold with three faces in a row; "
        "clears below its high-recall threshold with 95 % of the samples decoded.",
    ),
}


def find_policy(name: str) -> Policy:
    """The policy of this name, with or without its version.

    Raises:
        PolicyMissing: there is none, or not in this version.
    """
    policy = POLICIES.get(name.partition("@")[0])
    if policy is None or name not in {policy.name, policy.label}:
        raise PolicyMissing(f"there is no policy {name!r}; there is {', '.join(POLICIES)}")
    return policy


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The two operating points of a model, on pooled scores."""

    high_precision: float
    high_recall: float
