"""What can be wrong with data, recipes and fits."""

from __future__ import annotations

from fimq.errors.base import FimqError


class TrainingError(FimqError):
    """A model could not be trained or measured."""

    code = "training_error"


class CropsMissing(TrainingError):
    """The crops are not there."""

    code = "crops_missing"
    hint = "Make them: fimq train prepare NAME ROOT OUT"
    exit_status = 2


class CropsDamaged(TrainingError):
    """The table of crops cannot be used."""

    code = "crops_damaged"
    hint = "Run the same `fimq train prepare` again: it goes on where it stopped."


class SplitMissing(TrainingError):
    """There is no such split."""

    code = "split_missing"
    hint = "Make one: fimq train split CROPS"
    exit_status = 2


class SplitDamaged(TrainingError):
    """The split cannot be read."""

    code = "split_damaged"
    hint = "Make it again: fimq train split CROPS"
