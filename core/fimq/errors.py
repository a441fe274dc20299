"""Errors: one class for each thing that can go wrong and that a person can act on.

The class docstring is the message, attributes are the facts, `hint` says what to do.
`code` is the name that the CLI, JSON, HTTP and the ledger share; it never changes.
An error is raised where it is known and caught at the edge of a step or a command.
"""

from __future__ import annotations

from typing import Any, ClassVar


class FimqError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    #: A second try of the same step would end the same way.
    final: ClassVar[bool] = True
    registry: ClassVar[dict[str, type[FimqError]]] = {}

    def __init__(self, detail: str = "", **facts: Any) -> None:
        """Keep `detail` (a sentence that replaces the default message) and named facts."""
        self.detail = detail
        self.facts = facts
        super().__init__(detail or self.default_message())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        FimqError.registry[cls.code] = cls

    @classmethod
    def default_message(cls) -> str:
        """The first line of the class docstring, without its full stop."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")

    @property
    def message(self) -> str:
        """What went wrong, in one line."""
        return str(self)


class UsageError(FimqError):
    """The command was used in a way that cannot work."""

    code = "usage"
    exit_status = 2
    http_status = 400


# --- refused at submit -------------------------------------------------------------------


class InputError(FimqError):
    """The input was refused; nothing was stored."""

    code = "refused"
    exit_status = 2
    http_status = 422


class NotFound(InputError):
    """There is no such file."""

    code = "not_found"
    hint = "Check the path."
    http_status = 404


class IsAFolder(InputError):
    """This is a folder, not a video."""

    code = "is_a_folder"
    hint = "Name the files in it, for example: fimq submit FOLDER/*.mp4"


class NotAFile(InputError):
    """This is a pipe, socket or device, not a file."""

    code = "not_a_file"
    hint = "Save it to a file first."


class NotReadable(InputError):
    """The file may not be read."""

    code = "not_readable"
    hint = "Give the user who runs fimq the right to read it."


class EmptyFile(InputError):
    """The file is empty."""

    code = "empty_file"
    hint = "Upload it again."


class TooLarge(InputError):
    """The file is larger than this installation accepts."""

    code = "too_large"
    hint = "Raise FIMQ_MAX_BYTES, or cut the video."
    http_status = 413


class NotAVideo(InputError):
    """The file is not a video."""

    code = "not_a_video"
    hint = "fimq takes MP4, MOV, MKV, WebM, AVI, MPEG, and pictures."


class FileChanged(InputError):
    """The file changed while it was read."""

    code = "file_changed"
    hint = "Submit it again when nothing writes to it."


class PathNotShared(InputError):
    """Workers on other machines could not see the file where it lies."""

    code = "path_not_shared"
    hint = "Leave out --in-place, or see FIMQ_SHARED_PATHS."


# --- failed in the worker ------------------------------------------------------------------


class AnalysisError(FimqError):
    """The video could not be judged."""

    code = "analysis_failed"
    exit_status = 3


class NoVideoStream(AnalysisError):
    """The file holds no video stream."""

    code = "no_video_stream"
    hint = "Submit a file with pictures in it."


class Truncated(AnalysisError):
    """The file is cut off; not one picture could be read."""

    code = "truncated"
    hint = "Upload it again, or repair it."


class UnsupportedCodec(AnalysisError):
    """The video's codec is not built in or not allowed."""

    code = "unsupported_codec"
    hint = "Convert it to H.264, HEVC, VP9 or AV1."


class Encrypted(AnalysisError):
    """The video is encrypted."""

    code = "encrypted"
    hint = "Submit a version without DRM."


class TooManyPixels(AnalysisError):
    """The video's pictures are larger than this installation accepts."""

    code = "too_many_pixels"
    hint = "Raise FIMQ_MAX_PIXELS, or scale the video down before submitting it."


class TooLong(AnalysisError):
    """The video runs longer than this installation accepts."""

    code = "too_long"
    hint = "Raise FIMQ_MAX_DURATION, or cut the video."


class DecodeFailed(AnalysisError):
    """Not one picture of the video could be decoded."""

    code = "decode_failed"
    hint = "Upload it again, or convert it."


class DecoderCrash(AnalysisError):
    """The decoder crashed on this video."""

    code = "decoder_crash"
    hint = "Convert the video; keep the original for a bug report."
    final = False


class DecoderTimeout(AnalysisError):
    """The decoder used more time than it is given."""

    code = "decoder_timeout"
    hint = "Raise FIMQ_CHILD_SECONDS_A_MINUTE, or convert the video."
    final = False


class DecoderMemory(AnalysisError):
    """The decoder used more memory than it is given."""

    code = "decoder_memory"
    hint = "Raise FIMQ_CHILD_MEMORY, or scale the video down."
    final = False


class StoreMissing(AnalysisError):
    """The stored video is gone."""

    code = "store_missing"
    hint = "Submit it again."


class StoreChanged(AnalysisError):
    """The stored video is not the one that was submitted (its hash differs)."""

    code = "store_changed"
    hint = "Submit it again; look for what writes to the store."


class WorkerLost(AnalysisError):
    """Workers were lost again and again while they judged this video."""

    code = "worker_lost"
    hint = "Look at the workers' logs and memory, then: fimq retry"


class UnexpectedFailure(AnalysisError):
    """A worker met an error that it does not know."""

    code = "unexpected"
    hint = "Please report it with the worker's log."
    final = False


# --- models --------------------------------------------------------------------------------


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
    hint = "See: fimq doctor, and docs/gpu.md"


# --- services and state ---------------------------------------------------------------------


class ServiceError(FimqError):
    """A service that fimq needs is missing."""

    code = "service_missing"
    exit_status = 5
    http_status = 503
    final = False


class StoreUnusable(ServiceError):
    """The store of the videos cannot be used."""

    code = "store_unusable"
    hint = "Check FIMQ_STORE_URL and its rights, then: fimq doctor"


class CacheUnusable(ServiceError):
    """The folder of copies from the store cannot be used."""

    code = "cache_unusable"
    hint = "Free space there, lower FIMQ_CACHE_BYTES, or set FIMQ_CACHE_DIR."


class BrokerUnreachable(ServiceError):
    """The queue cannot be reached."""

    code = "broker_unreachable"
    hint = "Nothing was lost: jobs are kept and will be offered again. Check: fimq doctor"


class LedgerUnreachable(ServiceError):
    """The database cannot be reached."""

    code = "ledger_unreachable"
    hint = "Check FIMQ_LEDGER_URL and: fimq doctor"


class LedgerDriverMissing(LedgerUnreachable):
    """The ledger is on PostgreSQL, and its driver psycopg is not installed."""

    code = "ledger_driver_missing"
    hint = "Run: pip install 'fimq[postgres]'"


class LedgerOutdated(ServiceError):
    """The database has another schema than this version of fimq."""

    code = "ledger_outdated"
    hint = "Run: fimq db upgrade"


class LedgerNewer(ServiceError):
    """The database was made by a newer fimq than this one."""

    code = "ledger_newer"
    hint = "Install that version of fimq."


class LedgerDamaged(ServiceError):
    """The database file is damaged, or is no database."""

    code = "ledger_damaged"
    hint = "Bring back a copy of it; or move it away, and fimq begins with an empty one."


class GpuFailed(ServiceError):
    """The GPU failed while it scored."""

    code = "gpu_failed"
    hint = "The step is run again. If it goes on: fewer workers on this card; docs/gpu.md"


class GpuLost(GpuFailed):
    """The GPU was lost: this worker ends, so that whoever started it starts it again."""

    code = "gpu_lost"
    hint = "Look for Xid lines in the kernel's log; docs/gpu.md"


class JobNotFound(FimqError):
    """There is no such job."""

    code = "job_not_found"
    hint = "See: fimq list"
    exit_status = 2
    http_status = 404


class JobAmbiguous(FimqError):
    """More than one job begins like this."""

    code = "job_ambiguous"
    hint = "Give more letters of its id."
    exit_status = 2
    http_status = 409


class WorkerNotFound(FimqError):
    """There is no such worker."""

    code = "worker_not_found"
    hint = "See them: fimq workers"
    exit_status = 2
    http_status = 404


class WorkerAmbiguous(FimqError):
    """More than one worker's id begins like this."""

    code = "worker_ambiguous"
    hint = "Give more letters of its id."
    exit_status = 2
    http_status = 409


class DeletedMeanwhile(FimqError):
    """The video was deleted while it was submitted."""

    code = "deleted_meanwhile"
    hint = "Submit it again."
    exit_status = 2
    http_status = 409


class IdempotencyConflict(FimqError):
    """This idempotency key was used for another request."""

    code = "idempotency_conflict"
    hint = "Use a new key for a new request."
    exit_status = 2
    http_status = 409


class WrongState(FimqError):
    """The job's state does not allow this."""

    code = "wrong_state"
    exit_status = 2
    http_status = 409


class PolicyMissing(FimqError):
    """There is no policy of this name."""

    code = "policy_missing"
    hint = "See: fimq policies list"
    exit_status = 2
