"""A bucket as the store: S3, or a server that speaks its protocol (MinIO, Ceph, R2).

Credentials, region and endpoint are found as botocore finds them (`AWS_...`, profiles,
roles); the URL names the bucket and a prefix. An object is hashed first and then sent to
its final key (docs/decisions/0011): the server shows nothing there before the last byte, so
that half an object can lie under no key. What a killed upload leaves is an open multipart
upload, which `tidy` or a lifecycle rule of the bucket ends.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem

from fimq.errors import FileChanged, StoreChanged, StoreMissing, StoreUnusable
from fimq.logs import redact
from fimq.store.base import LEFTOVER_SECONDS, Check, Stored, go_on
from fimq.store.content import (
    Hashes,
    hashed,
    in_place_key,
    in_place_path,
    is_key,
    key_of,
    opened,
    twice,
    write,
)

#: What is sent or fetched in one request, and held in memory meanwhile.
PART_BYTES = 16 << 20
#: Of S3: parts of one upload.
_MOST_PARTS = 10_000
_SHA256 = "sha256"
_CONFIG = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
    # The newer checksums of S3 are unknown to many servers; every part carries its MD5.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
#: Tries of a request whose answer broke off; each has botocore's own tries in it.
_READS = 2
_UNNAMED = {"403": "AccessDenied", "503": "SlowDown"}


class S3Store:
    """Objects lie at `prefix/ab/cd/<sha256>` in one bucket."""

    def __init__(self, url: str) -> None:
        """Keep bucket and prefix; nothing is connected before the first request."""
        parts = urlsplit(url)
        self.bucket = parts.netloc
        self.prefix = "".join(f"{part}/" for part in parts.path.split("/") if part)
        self._hashes = Hashes()
        self._lock = threading.Lock()
        self._opened: tuple[int, Any] | None = None

    def find(self) -> None:
        """Nothing that this machine can see; see `Store.find`."""

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Copy a stream in; see `Store.put`. Read twice: a stream that cannot be is spooled."""
        if source.seekable():
            start = source.tell()
            sha256, size = hashed(source, limit)
            source.seek(start)
            return self._put(source, sha256, size)
        with self._spool() as whole:
            sha256, size = hashed(source, limit, lambda chunk: self._write(whole, chunk))
            whole.seek(0)
            return self._put(cast("BinaryIO", whole), sha256, size)

    def adopt(self, path: Path, *, limit: int) -> Stored:
        """Refer to a file where it lies; see `Store.adopt`."""
        with path.open("rb") as source:
            sha256, size = hashed(source, limit)
        key = key_of(sha256)
        kept = self._is_kept(key, sha256, size)
        return Stored(key if kept else in_place_key(path), sha256, size)

    def has(self, key: str) -> bool:
        """Whether something lies there; see `Store.has`."""
        if (path := in_place_path(key)) is not None:
            return path.is_file()
        return self._head(key) is not None

    @contextmanager
    def open(self, key: str, sha256: str, *, check: Check = go_on) -> Iterator[BinaryIO]:
        """A copy of one's own, without a name; see `Store.open`."""
        if (path := in_place_path(key)) is not None:
            with opened(path, sha256, self._hashes) as source:
                yield source
            return
        with self._spool() as copy:
            size = self.size(key, sha256)
            twice(lambda: self._copy(key, sha256, size, copy, check), sha256)
            copy.seek(0)
            # As from any other store: a file that is read in pieces.
            with os.fdopen(os.dup(copy.fileno()), "rb") as source:
                yield source

    def _copy(self, key: str, sha256: str, size: int, copy: io.FileIO, check: Check) -> None:
        copy.seek(0)
        for chunk in self.read(key, sha256, size):
            self._write(copy, chunk)
            check()

    def size(self, key: str, sha256: str) -> int:
        """The bytes of an object; raises as `Store.open`."""
        facts = self._head(key)
        if facts is None:
            raise StoreMissing(f"the stored video {sha256[:12]} is not in {self.shown}")
        return int(facts["ContentLength"])

    def read(self, key: str, sha256: str, size: int) -> Iterator[bytes]:
        """The bytes of an object in chunks; the last one is followed by the hash's judgement.

        Raises:
            StoreMissing, StoreChanged, ServiceError: as `Store.open`.
        """
        digest = hashlib.sha256()
        for start in range(0, size, PART_BYTES):
            end = min(start + PART_BYTES, size)
            with self._usable():
                try:
                    chunk = self._client().cat_file(
                        f"{self.bucket}/{self._key(key)}", start=start, end=end
                    )
                except FileNotFoundError as error:
                    self._find_bucket()
                    raise StoreMissing(
                        f"the stored video {sha256[:12]} went from {self.shown}"
                    ) from error
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != sha256:
            raise StoreChanged

    def delete(self, key: str) -> None:
        """Remove an object; see `Store.delete`."""
        if in_place_path(key) is None:
            self._call("delete_object", Key=self._key(key))

    def tidy(self, *, older_s: float = LEFTOVER_SECONDS) -> int:
        """End uploads that were begun long ago; see `Store.tidy`."""
        before, found = datetime.now(UTC) - timedelta(seconds=older_s), 0
        marker: dict[str, Any] = {}
        while True:
            page = self._call("list_multipart_uploads", Prefix=self.prefix, **marker)
            for upload in page.get("Uploads", ()):
                # Without a prefix, the bucket's other users upload here as well.
                ours = is_key(upload["Key"].removeprefix(self.prefix))
                if ours and upload["Initiated"] < before:
                    self._abort(upload["Key"], upload["UploadId"])
                    found += 1
            if not page.get("IsTruncated"):
                return found
            marker = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def check(self) -> str:
        """Bucket, prefix and server, after a small object was written; see `Store.check`."""
        key = f"{self.prefix}check/{uuid.uuid4()}"
        self._find_bucket()
        self._call("put_object", Key=key, Body=b"fimq")
        self._call("delete_object", Key=key)
        with self._usable():
            server = urlsplit(self._client().s3.meta.endpoint_url)
        return f"{self.shown} at {server.hostname}, can be written"

    @property
    def shown(self) -> str:
        """The store's URL."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def _put(self, source: BinaryIO, sha256: str, size: int) -> Stored:
        key = key_of(sha256)
        if not self._is_kept(key, sha256, size):
            if size <= PART_BYTES:
                self._send_whole(self._key(key), source, sha256)
            else:
                self._send_parts(self._key(key), source, sha256, size)
        return Stored(key, sha256, size)

    def _is_kept(self, key: str, sha256: str, size: int) -> bool:
        # Whoever wrote other bytes there did not write our note beside them.
        facts = self._head(key)
        return (
            facts is not None
            and facts["ContentLength"] == size
            and facts["Metadata"].get(_SHA256) == sha256
        )

    def _send_whole(self, key: str, source: BinaryIO, sha256: str) -> None:
        body = _filled(source, PART_BYTES + 1)
        _agree(hashlib.sha256(body).hexdigest(), sha256)
        self._call(
            "put_object", Key=key, Body=body, ContentMD5=_md5(body), Metadata={_SHA256: sha256}
        )

    def _send_parts(self, key: str, source: BinaryIO, sha256: str, size: int) -> None:
        begun = self._call("create_multipart_upload", Key=key, Metadata={_SHA256: sha256})
        upload = {"Key": key, "UploadId": begun["UploadId"]}
        try:
            sent, parts = self._send_each(upload, source, size)
            _agree(sent, sha256)
            self._call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
        except BaseException:
            # Where the server does not answer, `tidy` will find it.
            with suppress(StoreUnusable):
                self._abort(key, begun["UploadId"])
            raise

    def _send_each(
        self, upload: dict[str, Any], source: BinaryIO, size: int
    ) -> tuple[str, list[dict[str, Any]]]:
        digest = hashlib.sha256()
        parts: list[dict[str, Any]] = []
        part_bytes = max(PART_BYTES, -(-size // _MOST_PARTS))
        # Not to the end of the source: one that grows could have none.
        for start in range(0, size, part_bytes):
            body = _filled(source, min(part_bytes, size - start))
            digest.update(body)
            number = len(parts) + 1
            sent = self._call(
                "upload_part", **upload, PartNumber=number, Body=body, ContentMD5=_md5(body)
            )
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        return digest.hexdigest(), parts

    def _abort(self, key: str, upload_id: str) -> None:
        with suppress(FileNotFoundError):
            self._call("abort_multipart_upload", missing=True, Key=key, UploadId=upload_id)

    def _head(self, key: str) -> Any:
        try:
            return self._call("head_object", missing=True, Key=self._key(key))
        except FileNotFoundError:
            # This answer has no body that would say which of the two is missing.
            self._find_bucket()
            return None

    def _find_bucket(self) -> None:
        self._call("head_bucket")

    def _key(self, key: str) -> str:
        return self.prefix + key

    def _call(self, method: str, *, missing: bool = False, **arguments: Any) -> Any:
        """One request. `missing` lets FileNotFoundError through: the caller knows what it means."""
        with self._usable(missing=missing):
            return self._client().call_s3(method, Bucket=self.bucket, **arguments)

    def _client(self) -> Any:
        # Its event loop runs in a thread, which a forked process does not have.
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                client = S3FileSystem(
                    skip_instance_cache=True, use_listings_cache=False, config_kwargs=_CONFIG
                )
                client.retries = _READS
                self._opened = (os.getpid(), client)
            return self._opened[1]

    @contextmanager
    def _spool(self) -> Iterator[io.FileIO]:
        try:
            copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
        except OSError as error:
            raise _no_copy(error) from error
        with copy:
            yield copy

    def _write(self, copy: io.FileIO, chunk: bytes) -> None:
        try:
            write(copy, chunk)
        except OSError as error:
            raise _no_copy(error) from error

    @contextmanager
    def _usable(self, *, missing: bool = False) -> Iterator[None]:
        try:
            yield
        except (OSError, BotoCoreError, ClientError, FSTimeoutError, HttpError) as error:
            if missing and isinstance(error, FileNotFoundError) and not _is_bucket(error):
                raise
            why = redact(_why(error))
            raise StoreUnusable(f"the store {self.shown} cannot be used: {why}") from error


def _agree(sent: str, sha256: str) -> None:
    if sent != sha256:
        raise FileChanged


def _filled(source: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end: a stream may give less than it is asked for."""
    parts: list[bytes] = []
    while size and (chunk := source.read(size)):
        parts.append(chunk)
        size -= len(chunk)
    return b"".join(parts)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _is_bucket(error: OSError) -> bool:
    return isinstance(error.__cause__, ClientError) and _code(error.__cause__) == "NoSuchBucket"


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "?"))


def _why(error: BaseException) -> str:
    """What the server or the network said, in one line."""
    answer = error.__cause__ if isinstance(error.__cause__, ClientError) else error
    if not isinstance(answer, ClientError):
        return f"{type(error).__name__}: {error}".splitlines()[0]
    # An answer to HEAD has no body, and so no name for what it says.
    code = _UNNAMED.get(_code(answer), _code(answer))
    said = f"{answer.operation_name} was answered {code}"
    return "there is no such bucket" if said == "HeadBucket was answered 404" else said


def _no_copy(error: OSError) -> StoreUnusable:
    folder, why = tempfile.gettempdir(), error.strerror or str(error)
    return StoreUnusable(f"no copy of the video can be kept in {folder}: {why}")
