"""Refused at submit: nothing was stored."""

from __future__ import annotations

from fimq.errors.base import FimqError


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
