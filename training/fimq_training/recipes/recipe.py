"""A recipe: data, network, alterations and plan of a fit, in one TOML file that one can read.

Those of the house lie beside this file; a path to a file of one's own is a recipe, too. A
recipe with a key that nobody reads is refused: a misspelt rate must not train for hours.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fimq.errors import RecipeInvalid, RecipeMissing
from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.plan import Plan

HOUSE = Path(__file__).parent


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkPart(_Part):
    """What is fitted."""

    kind: Literal["baseline", "efficientnet_b0", "folded_b0"]
    size: int = Field(default=128, ge=16, le=512)  #: side of its input in pixels
    init: Literal["imagenet", "none"] = "none"  #: what `--init` is unless it is given


class CropsPart(_Part):
    """Fitted on crops that `fimq train prepare` made."""

    kind: Literal["crops"] = "crops"
    #: `label`: fake or real; `collection`: the names that the data set gives.
    by: Literal["label", "collection"] = "label"
    classes: tuple[str, ...] = ()  #: of `collection`, in their order; empty: all there are
    split: str  #: name of the split

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.by == "label" and self.classes:
            raise ValueError("a recipe by label has the classes fake and real")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have one name")
        return self


class MatchedPart(_Part):
    """Fitted on crops of fakes, each beside the original that it was made from."""

    kind: Literal["matched"]
    split: str  #: name of the split
    steps: int = Field(ge=1)  #: that make an epoch
    #: Share of the pairs that `fimq train forge` made, where there are others too.
    ours: float = Field(default=0.4, ge=0, le=1)


class PoolPart(_Part):
    """Pairs of one kind of picture."""

    pairs: int = Field(ge=1)  #: that are made
    share: float = Field(gt=0, le=1)  #: of every batch
    seed: int


class BranchesPart(_Part):
    """Fits that start from the end of the first one, and whose weights are averaged."""

    count: int = Field(ge=1, le=16)
    epochs: int = Field(ge=1)
    ema: float = Field(gt=0, lt=1)
    #: Of the rate. A constant one before them wastes no step on an end that they begin again from.
    schedule: Literal["constant", "cosine"] = "cosine"
    seed: int  #: of the first; the others count on


class PaintersPart(_Part):
    """Networks that paint what is rendered; one more of them paints held-out clips alone."""

    count: int = Field(ge=1, le=8)
    epochs: int = Field(ge=1)
    share: float = Field(gt=0, lt=1)  #: of the pairs that are rendered
    seed: int  #: of the first; the others count on


class PairsPart(_Part):
    """Fitted on pairs of our own making, from real faces alone."""

    kind: Literal["pairs"]
    steps: int = Field(ge=1)  #: that make an epoch
    model: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")  #: name of what comes out
    version: str  #: of it
    after: str | None = None  #: the recipe whose package the fit goes on from
    kept: float = Field(default=0, ge=0, lt=1)  #: share that its weights keep in the average
    context: float = Field(default=1.3, ge=1, le=2)  #: side of a crop over that of the face
    portraits: PoolPart
    clips: PoolPart
    painters: PaintersPart | None = None
    branches: BranchesPart | None = None


class Recipe(_Part):
    """One way to make a model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    title: str
    source: str  #: where it comes from
    command: str  #: an example
    time: str  #: what it takes, on which machine
    expect: str  #: what comes out
    network: NetworkPart
    data: CropsPart | MatchedPart | PairsPart = Field(discriminator="kind")
    alterations: Alterations = Alterations()
    fit: Plan

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if isinstance(self.data, PairsPart) and self.network.size % 16:
            raise ValueError(
                "pairs have masks of 16 pixels a cell: network.size must be a multiple"
            )
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recipe.

        Raises:
            RecipeMissing: there is no such file.
            RecipeInvalid: it is not TOML, lacks a key, or has one that nobody reads.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise RecipeMissing(f"There is no recipe {path}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeInvalid(f"{path.name} is not TOML: {error}") from error
        except ValidationError as error:
            # A misspelt key makes two errors; the one that names it says more.
            first = min(
                error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden"
            )
            where = ".".join(map(str, first["loc"])) or "the recipe"
            raise RecipeInvalid(f"{path.name}: {where}: {first['msg']}") from error

    def changed(
        self, *, classes: str | None = None, epochs: int | None = None, split: str | None = None
    ) -> Self:
        """The recipe with what a command line says otherwise; `classes` as `A,B` or `all`.

        Raises:
            RecipeInvalid: it would not hold together, or is not fitted on crops.
        """
        if isinstance(self.data, PairsPart):
            raise RecipeInvalid(f"{self.name} is not fitted on crops: fimq train make {self.name}")
        if classes is not None and not isinstance(self.data, CropsPart):
            raise RecipeInvalid(f"{self.name} has the classes real and each method")
        facts = self.model_dump()
        if classes is not None:
            names = () if classes == "all" else tuple(n.strip() for n in classes.split(","))
            facts["data"] |= {"by": "collection", "classes": names}
        if epochs is not None:
            facts["fit"]["epochs"] = epochs
        if split is not None:
            facts["data"]["split"] = split
        try:
            return type(self).model_validate(facts)
        except ValidationError as error:
            raise RecipeInvalid(error.errors(include_url=False)[0]["msg"]) from error


def find(name: str) -> Path:
    """The file of a recipe: one of the house by its name, or a path.

    Raises:
        RecipeMissing: there is neither.
    """
    house = {path.stem: path for path in HOUSE.glob("*.toml")}
    if name in house:
        return house[name]
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return path
    raise RecipeMissing(f"There is no recipe {name}; there are {', '.join(sorted(house))}")


def of_the_house() -> Iterator[Recipe]:
    """Every recipe that comes with fimq, by name."""
    for path in sorted(HOUSE.glob("*.toml")):
        yield Recipe.read(path)
