"""Splits by people: nobody is on two sides, and neither is anything that shows two of them.

Whoever appears in one crop with another goes to one side with them: a face swap shows the one
and the head of the other, and a pair of FaceForensics++ is swapped both ways. Those groups are
dealt out in an order that a hash decides, so that a split is the same on every machine. Where
nobody is known, a video is a person.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fimq.errors import SideEmpty, SplitListsInvalid, SplitRuleUnfit
from fimq_training.crops.table import Crop, CropTable
from fimq_training.splits.split import Side, Split

#: Sides in the order in which they are filled, with the names of FaceForensics++'s files.
_OFFICIAL = {Side.TRAIN: "train.json", Side.VALIDATION: "val.json", Side.TEST: "test.json"}


def by_people(
    table: CropTable, *, validation: float = 0.1, test: float = 0.1, seed: int = 1
) -> Split:
    """Deal groups of people out until validation and test have their shares of the crops.

    A group that is larger than what a side still wants goes to training. Where one group is
    larger than the share of training, as in a data set that swaps everyone with everyone, people
    are dealt singly instead, and crops that show people of two sides stand on none.

    Raises:
        SideEmpty: there are too few groups for three sides.
    """
    wanted = {Side.TEST: test * len(table), Side.VALIDATION: validation * len(table)}
    its = groups(table.crops)
    facts = {"seed": str(seed), "fingerprint": table.fingerprint}
    rule = "by people, in groups that appear together"
    if max(map(len, its), default=0) > (1 - validation - test) * len(table):
        sides = _singly(table, wanted, seed)
        facts["left_out"] = str(len(table) - len(sides))
        rule = "by people, one by one; crops that show people of two sides are left out"
    else:
        sides = _dealt({min(group): group for group in its}, wanted, seed)
    for side in Side:
        if wanted.get(side, 1) > 0 and side not in sides.values():
            raise SideEmpty(f"Too few people for three sides: {side} has none")
    return Split("people", sides, rule, facts)


def _dealt(
    groups: Mapping[str, Sequence[str]], wanted: Mapping[Side, float], seed: int
) -> dict[str, Side]:
    """The side of each key, group by group, in the order that a hash of their names decides."""
    have = dict.fromkeys(Side, 0)
    sides: dict[str, Side] = {}
    for name in sorted(groups, key=lambda name: _drawn(seed, name)):
        size = len(groups[name])
        fitting = (
            s for s, count in wanted.items() if have[s] < count and size <= _room(count, have[s])
        )
        side = next(fitting, Side.TRAIN)
        have[side] += size
        sides |= dict.fromkeys(groups[name], side)
    return sides


def _room(wanted: float, have: int) -> float:
    """How large a group may be for a side: one that overshoots by half a share is let in."""
    return wanted - have + wanted / 2


def _singly(table: CropTable, wanted: Mapping[Side, float], seed: int) -> dict[str, Side]:
    """As `_dealt`, by single people; a video that shows people of two sides stands on none."""
    shown: dict[str, set[str]] = {}
    for crop in table.crops:
        video, *people = _names(crop)
        shown.setdefault(video, set()).update(people)
    crops: dict[str, list[str]] = {}
    for crop in table.crops:
        video = _names(crop)[0]
        crops.setdefault(min(shown[video], default=video), []).append(crop.key)
    side_of_key = _dealt(crops, wanted, seed)
    side_of = {name: side_of_key[keys[0]] for name, keys in crops.items()}
    sides = {}
    for crop in table.crops:
        video = _names(crop)[0]
        its = {side_of.get(name) for name in shown[video] or {video}}
        if len(its) == 1 and (side := its.pop()) is not None:
            sides[crop.key] = side
    return sides


def official(table: CropTable, folder: Path) -> Split:
    """FaceForensics++'s own split, from its train.json, val.json and test.json.

    Each is a list of pairs of target ids; both directions of a pair stand on one side. Crops that
    show nobody of the lists (DeepFakeDetection, `fimq train forge`) are dealt by people, with the
    same shares.

    Raises:
        SplitListsInvalid: a file is not there, is not a list of pairs, or names somebody again.
        SplitRuleUnfit: a crop shows nobody known, people of two sides, or one of the lists with
            one who is not; or no crop shows anybody of the lists.
        SideEmpty: the others are too few people.
    """
    listed = {side: _listed(folder / name) for side, name in _OFFICIAL.items()}
    side_of = {identity: side for side, its in listed.items() for identity in its}
    if len(side_of) < sum(map(len, listed.values())):
        counts = Counter(identity for its in listed.values() for identity in its)
        raise SplitListsInvalid(f"{counts.most_common(1)[0][0]} is twice in the lists of pairs")
    others, sides = [], {}
    for crop in table.crops:
        if crop.identities and side_of.keys().isdisjoint(crop.identities):
            others.append(crop)
            continue
        its = {side_of.get(identity) for identity in crop.identities}
        side = its.pop() if len(its) == 1 else None
        if side is None:
            raise SplitRuleUnfit(
                f"{crop.video} shows {', '.join(crop.identities) or 'nobody known'}: "
                "not a pair of one side"
            )
        sides[crop.key] = side
    if not sides:
        raise SplitRuleUnfit("No crop shows anybody of the official lists")
    if others:
        validation, test = (
            len(listed[side]) / len(side_of) for side in (Side.VALIDATION, Side.TEST)
        )
        sides |= by_people(CropTable(others), validation=validation, test=test).sides
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


def _drawn(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()


def _listed(path: Path) -> list[str]:
    """Everyone in a file of pairs."""
    return [identity for pair in _pairs(path) for identity in pair]


def _pairs(path: Path) -> list[list[str]]:
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SplitListsInvalid(f"There is no {path}") from error
    except ValueError as error:
        raise SplitListsInvalid(f"{path} is not JSON") from error
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(i, str) for i in pair)
        for pair in pairs
    ):
        raise SplitListsInvalid(f"{path} is not a list of pairs of ids")
    return pairs


def shares(split: Split) -> Mapping[Side, int]:
    """How many crops each side has."""
    counts = dict.fromkeys(Side, 0)
    for side in split.sides.values():
        counts[side] += 1
    return counts
