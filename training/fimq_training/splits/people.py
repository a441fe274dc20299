"""Splits by people: nobody is on two sides, and neither is anything that shows two of them.

Whoever appears in one crop with another goes to one side with them: a face swap shows the one
and the head of the other, and a pair of FaceForensics++ is swapped both ways. Those groups are
dealt out in an order that a hash decides, so that a split is the same on every machine. Where
nobody is known, a video is a person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from fimq.errors import SideEmpty, SplitMissing, SplitRuleUnfit
from fimq_training.crops.table import Crop, CropTable
from fimq_training.splits.split import Side, Split

#: Sides in the order in which they are filled, with the names of FaceForensics++'s files.
_OFFICIAL = {Side.TRAIN: "train.json", Side.VALIDATION: "val.json", Side.TEST: "test.json"}


def by_people(
    table: CropTable, *, validation: float = 0.1, test: float = 0.1, seed: int = 1
) -> Split:
    """Deal groups of people out until validation and test have their shares of the crops.

    Raises:
        SideEmpty: there are too few groups for three sides.
    """
    wanted = {Side.TEST: test * len(table), Side.VALIDATION: validation * len(table)}
    have = dict.fromkeys(Side, 0)
    sides: dict[str, Side] = {}
    for group in sorted(groups(table.crops), key=lambda group: _drawn(seed, group)):
        side = next((s for s, count in wanted.items() if have[s] < count), Side.TRAIN)
        have[side] += len(group)
        sides |= dict.fromkeys(group, side)
    for side, count in have.items():
        if count == 0 and wanted.get(side, 1) > 0:
            raise SideEmpty(f"Too few people for three sides: {side} has none")
    facts = {"seed": str(seed), "fingerprint": table.fingerprint}
    return Split("people", sides, "by people, in groups that appear together", facts)


def official(table: CropTable, folder: Path) -> Split:
    """FaceForensics++'s own split, from its train.json, val.json and test.json.

    Each is a list of pairs of target ids; both directions of a pair stand on one side. A data
    set that shows nobody of the lists, as that of `fimq train forge`, is dealt by people, with
    the same shares.

    Raises:
        SplitMissing: a file is not there, or is not a list of pairs.
        SplitRuleUnfit: a crop of a data set that the lists are about shows nobody of them, or
            people of two sides; or there is no such data set.
        SideEmpty: another data set has too few people.
    """
    listed = {side: _listed(folder / name) for side, name in _OFFICIAL.items()}
    side_of = {identity: side for side, its in listed.items() for identity in its}
    known = {c.dataset for c in table.crops if not side_of.keys().isdisjoint(c.identities)}
    if not known:
        raise SplitRuleUnfit("No crop shows anybody of the official lists")
    sides = {}
    for crop in (crop for crop in table.crops if crop.dataset in known):
        its = {side_of[i] for i in crop.identities if i in side_of}
        if len(its) != 1 or not set(crop.identities) <= side_of.keys():
            raise SplitRuleUnfit(
                f"{crop.video} shows {', '.join(crop.identities) or 'nobody known'}: "
                "not a pair of one side"
            )
        sides[crop.key] = its.pop()
    others = CropTable(crop for crop in table.crops if crop.dataset not in known)
    if len(others):
        validation, test = (
            len(listed[side]) / len(side_of) for side in (Side.VALIDATION, Side.TEST)
        )
        sides |= by_people(others, validation=validation, test=test).sides
    return Split("official", sides, "FaceForensics++'s own pairs", {"seed": ""})


def groups(crops: Iterable[Crop]) -> list[list[str]]:
    """The keys of crops, in groups that share no person and no video."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    rows = list(crops)
    for crop in rows:
        first, *others = _names(crop)
        for other in others:
            parent[root(other)] = root(first)
    found: dict[str, list[str]] = {}
    for crop in rows:
        found.setdefault(root(_names(crop)[0]), []).append(crop.key)
    return list(found.values())


def _names(crop: Crop) -> list[str]:
    """What ties a crop to others: its video, and everyone in it."""
    people = [f"person {identity}" for identity in crop.identities]
    return [f"video {crop.dataset}/{crop.video}", *people]


def _drawn(seed: int, group: list[str]) -> str:
    return hashlib.sha256(f"{seed} {min(group)}".encode()).hexdigest()


def _listed(path: Path) -> list[str]:
    """Everyone in a file of pairs."""
    return [identity for pair in _pairs(path) for identity in pair]


def _pairs(path: Path) -> list[list[str]]:
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SplitMissing(f"There is no {path}") from error
    except ValueError as error:
        raise SplitMissing(f"{path} is not JSON") from error
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(i, str) for i in pair)
        for pair in pairs
    ):
        raise SplitMissing(f"{path} is not a list of pairs of ids")
    return pairs


def shares(split: Split) -> Mapping[Side, int]:
    """How many crops each side has."""
    counts = dict.fromkeys(Side, 0)
    for side in split.sides.values():
        counts[side] += 1
    return counts
