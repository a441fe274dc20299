"""An engine's key: all that decides whether an engine may be used. Any other is another engine."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

from fimq_worker.batcher import LARGEST

Precision = Literal["f16", "f32"]
SUFFIX: Final = ".engine"
#: Raised by one whenever `half` or `building` makes another engine of the same model: those
#: that were built before are then stale.
RECIPE: Final = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """The sizes of a batch that an engine takes, and the one that it is tuned for."""

    least: int = 1
    best: int = 8
    most: int = LARGEST


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine was built from and for."""

    model_sha256: str
    runtime: str  #: tensorrt or tensorrt-rtx
    version: str  #: of that package
    gpu: str  #: as `Flavour.target` names it
    precision: Precision
    profile: Profile = field(default_factory=Profile)
    recipe: int = RECIPE

    @property
    def family(self) -> str:
        """What the names of this engine and of older and newer ones of it begin with."""
        gpu = re.sub(r"[^a-z0-9]+", "-", self.gpu.lower()).strip("-")
        return f"{self.runtime}_{gpu}_{self.precision}_{self.model_sha256[:16]}_"

    @property
    def file_name(self) -> str:
        """Where the engine is kept."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.family}{hashlib.sha256(text.encode()).hexdigest()[:16]}{SUFFIX}"
