"""Failed in the worker: the video could not be judged."""

from __future__ import annotations

from fimq.errors.base import FimqError


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


class BundleDamaged(AnalysisError):
    """The bundle of crops in the store is not whole."""

    code = "bundle_damaged"
    hint = "Give the same command again: its crops are cut again."
    final = False


class WorkerLost(AnalysisError):
    """Workers were lost again and again while they judged this video."""

    code = "worker_lost"
    hint = "Look at the workers' logs and memory, then: fimq retry"


class UnexpectedFailure(AnalysisError):
    """A worker met an error that it does not know."""

    code = "unexpected"
    hint = "Please report it with the worker's log."
    final = False
