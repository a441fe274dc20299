"""Models, face models and runtimes that cannot be used."""

from __future__ import annotations

from fimq.errors.analysis import AnalysisError
from fimq.errors.base import FimqError


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
    """Another build of the model was installed while this video was judged."""

    code = "model_changed"
    hint = "Judge it again by one build."


class FinderMissing(ModelError):
    """The face finder that was asked for cannot be used."""

    code = "finder_missing"
    hint = "Install fimq[mediapipe], libegl1 and libgles2, or unset FIMQ_FACE_FINDER."


class FaceModelsMissing(ModelError):
    """The face models have not been fetched yet."""

    code = "face_models_missing"
    hint = "Run: fimq models fetch"


class FaceModelsInvalid(ModelError):
    """A face model file is not the one that fimq expects (its hash differs)."""

    code = "face_models_invalid"
    hint = "Run: fimq models fetch --force"


class FetchFailed(FimqError):
    """The face models could not be fetched."""

    code = "fetch_failed"
    hint = "Check the package index, or: fimq models fetch --from FILE (a mediapipe 0.10.21 wheel)"
    exit_status = 5


class RuntimeMissing(ModelError):
    """No runtime on this machine passes the model's parity gate."""

    code = "runtime_missing"
    hint = "See: fimq doctor"


class RuntimeNotInstalled(RuntimeMissing):
    """The runtime is not installed."""

    code = "runtime_not_installed"
    hint = "Install its extra; docs/gpu.md says which."


class RuntimeUnusable(RuntimeMissing):
    """The runtime is installed, but cannot be used on this machine."""

    code = "runtime_unusable"
    hint = "docs/gpu.md says what it needs. See: fimq doctor"
