"""The plan of a fit: how long, how hard, how it ends. The `[fit]` part of a recipe."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class Plan(BaseModel):
    """Everything that decides a fit beside its data, its network and its seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(ge=1, le=10_000)
    batch: int = Field(default=64, ge=1)  #: images a step, over all devices together
    optimizer: Literal["adam", "adamw"] = "adam"
    rate: float = Field(gt=0, le=1)  #: learning rate at its peak
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: float = Field(default=0, ge=0, lt=1)  #: share of the steps with a rising rate
    last: float = Field(default=0, ge=0, le=1)  #: of the peak rate, at a cosine's end
    weight_decay: float = Field(default=0, ge=0)  #: not on biases; `adamw` alone has it
    clip: float | None = Field(default=None, gt=0)  #: norm of all gradients together
    smoothing: float = Field(default=0, ge=0, lt=1)  #: of the labels
    ema: float | None = Field(default=None, gt=0, lt=1)  #: kept of the average a step
    class_weights: Literal["none", "balanced"] = "none"
    patience: int | None = Field(default=None, ge=1)  #: epochs without a better validation loss
    precision: Precision = "float32"
    devices: Literal["one", "all"] = "one"  #: `all`: every GPU of this machine
    keep: int = Field(default=250, ge=1)  #: steps between two checkpoints; each epoch's end is one

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of so many.

        Linear warm-up, then `rate` as it is, or half a cosine down to `last` of it
        (Loshchilov and Hutter, "SGDR", 2017, without restarts).
        """
        done = step / steps
        if done < self.warm_up:
            return self.rate * (step + 1) / (self.warm_up * steps + 1)
        if self.schedule == "constant":
            return self.rate
        left = (done - self.warm_up) / (1 - self.warm_up)
        return self.rate * (self.last + (1 - self.last) * (1 + math.cos(math.pi * left)) / 2)
