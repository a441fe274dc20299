"""How crops are altered while fitting. The `[alterations]` part of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Alterations(BaseModel):
    """Drawn anew for each crop of each epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: bool = False  #: half of all crops mirrored
    zoom: float = Field(default=0, ge=0, lt=1)  #: each axis by a factor of 1 - zoom to 1 + zoom
    shear: float = Field(default=0, ge=0, lt=90)  #: up to so many degrees either way
