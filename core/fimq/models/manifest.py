"""The manifest: everything a model says about itself, as `manifest.json` has it.

It binds the other files of the package: the hash of `model.onnx`, the size and meaning of
its input and output, how scores are calibrated and at which scores a policy may accuse or
clear. A model whose manifest does not hold together is not loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fimq.errors import ModelInvalid, ModelMissing
from fimq.policy.pooling import expit, logit

FILE_NAME = "manifest.json"
#: Names and versions become folder names, so they hold nothing that a path could mean.
PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
PlainName = Annotated[str, Field(pattern=f"^{PLAIN}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    """Frozen; what a later version adds is read over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Input(_Part):
    """What the network takes: uint8 RGB of shape (N, size, size, 3)."""

    size: int = Field(ge=16, le=1024)


class Crop(_Part):
    """How a face is cut out; the fields of the worker's `CropRule`."""

    scale: float = Field(gt=0, le=4)
    size: int = Field(ge=16, le=1024)


class ModelClass(_Part):
    """One column of the output."""

    name: PlainName
    manipulated: bool


class Calibration(_Part):
    """Brings a raw score to a calibrated one: logit / temperature + bias."""

    temperature: float = Field(gt=0)
    bias: float = 0.0


class Thresholds(_Part):
    """Operating points on pooled, calibrated scores."""

    high_precision: Share  #: from here on a policy may accuse
    high_recall: Share  #: below here it may clear


class Pooling(_Part):
    """What a model's own calibration says about pooling; it goes before the policy's."""

    window_penalty: float = Field(ge=0, le=20)  #: logits for each e-fold of windows in a track


class Source(_Part):
    """Data that the model was trained on, and what allows its use."""

    name: str
    source: str
    licence: str


class Manifest(_Part):
    """One version of one model."""

    name: PlainName
    version: PlainName
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")  #: of model.onnx
    input: Input
    crop: Crop
    classes: tuple[ModelClass, ...] = Field(min_length=2)
    calibration: Calibration | None = None
    thresholds: Thresholds
    pooling: Pooling | None = None
    sampling: str  #: the sampling it was validated with, as `every:25`
    training_data: tuple[Source, ...] = ()
    metrics: dict[str, Any] = Field(default_factory=dict)
    created: datetime
    experimental: bool

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [part.name for part in self.classes]
        if len(set(names)) < len(names):
            raise ValueError("two classes have one name")
        if len({part.manipulated for part in self.classes}) < 2:
            raise ValueError("there must be manipulated classes and others")
        if self.crop.size != self.input.size:
            raise ValueError("the crop's size is not the input's")
        if self.thresholds.high_recall > self.thresholds.high_precision:
            raise ValueError("high_recall is above high_precision")
        return self

    @classmethod
    def read(cls, file: Path) -> Manifest:
        """Return the manifest of a file.

        Raises:
            ModelMissing: there is no such file.
            ModelInvalid: it is not a manifest, or does not hold together.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ModelMissing(folder=str(file.parent)) from error
        return cls.parse(content, str(file.parent))

    @classmethod
    def parse(cls, content: bytes, place: str) -> Manifest:
        """Return the manifest that a file of this content is.

        Raises:
            ModelInvalid: it is not a manifest, or does not hold together.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or FILE_NAME
            raise ModelInvalid(
                f"The model's manifest is wrong: {where}: {first['msg']}", where=place
            ) from error

    @property
    def label(self) -> str:
        """`name@version`, as verdicts show it."""
        return f"{self.name}@{self.version}"

    def manipulated_score(self, class_scores: Sequence[float]) -> float:
        """The calibrated score of one face: the sum over its manipulated classes, in [0, 1]."""
        pairs = zip(self.classes, class_scores, strict=True)
        raw = min(1.0, sum(score for part, score in pairs if part.manipulated))
        if self.calibration is None:
            return raw
        return expit(logit(raw) / self.calibration.temperature + self.calibration.bias)

    def likeliest_method(self, class_scores: Sequence[float]) -> str:
        """The name of the manipulated class with the highest score; of equals the first."""
        pairs = zip(self.classes, class_scores, strict=True)
        return max((pair for pair in pairs if pair[0].manipulated), key=lambda pair: pair[1])[
            0
        ].name
