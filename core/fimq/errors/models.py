"""Models, face models and runtimes that cannot be used.

A model is the same everywhere; what runs it is a machine's own.
"""

from __future__ import annotations

from fimq.errors.analysis import AnalysisError
from fimq.errors.base import FimqError, UsageError
from fimq.errors.services import MachineUnfit, ServiceError


class ModelError(AnalysisError):
    """The model cannot be used."""

    code = "model_error"


class ModelMissing(ModelError):
    """There is no model of this name here."""

    code = "model_missing"
    hint = "See: fimq models list"


class ModelInvalid(ModelError):
    """The model's files are damaged or are not what its manifest says."""

    code = "model_invalid"
    hint = "Install it again, then: fimq models verify"


class ModelChanged(ModelError):
    """Parts of this video were judged by several models, some by an older fimq."""

    code = "model_changed"
    hint = "Judge it again, when every worker is upgraded: fimq retry"


class ModelDamaged(ServiceError):
    """The model's object in the store is not what was imported (its hash differs)."""

    code = "model_damaged"
    hint = "Import it again, which mends it: fimq models import"


class ModelAway(ServiceError):
    """The model that this video is judged by is not on this machine."""

    code = "model_away"
    hint = "Another worker may have it; else import it, or: fimq retry"


class VersionTaken(UsageError):
    """There is another package of this name and version."""

    code = "version_taken"
    hint = "A version is never changed: give it another one in its manifest."


class NothingToRollBack(UsageError):
    """Nothing was promoted before what counts now."""

    code = "nothing_to_roll_back"
    hint = "See: fimq models history"


class FinderMissing(MachineUnfit):
    """The face finder that was asked for cannot be used."""

    code = "finder_missing"
    hint = "Install fimq[mediapipe], libegl1 and libgles2, or unset FIMQ_FACE_FINDER."


class FaceModelsMissing(MachineUnfit):
    """The face models have not been fetched yet."""

    code = "face_models_missing"
    hint = "Run: fimq models fetch"


class FaceModelsInvalid(MachineUnfit):
    """A face model file is not the one that fimq expects (its hash differs)."""

    code = "face_models_invalid"
    hint = "Run: fimq models fetch --force"


class FetchFailed(FimqError):
    """The face models could not be fetched."""

    code = "fetch_failed"
    hint = "Check the package index, or: fimq models fetch --from FILE (a mediapipe 0.10.21 wheel)"
    exit_status = 5


class RuntimeMissing(MachineUnfit):
    """No runtime on this machine passes the model's parity gate."""

    code = "runtime_missing"
    hint = "See: fimq doctor"


class RuntimeNotInstalled(RuntimeMissing):
    """The runtime is not installed."""

    code = "runtime_not_installed"
    hint = (
        "Install its extra: fimq[tensorrt], fimq[tensorrt-rtx], fimq[onnxruntime], or fimq[cuda] "
        "for onnxruntime-cuda; or set FIMQ_RUNTIME=auto."
    )


class RuntimeUnusable(RuntimeMissing):
    """The runtime is installed, but cannot be used on this machine."""

    code = "runtime_unusable"
    hint = "See: fimq doctor"
