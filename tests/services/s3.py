"""A server that speaks S3, in a process of its own, behind a gateway that counts and breaks.

Every request of a test goes through the gateway, over HTTP: it keeps a list of them, holds
them back while a test wants that, and answers in the server's place as real ones do when
they are busy, closed or gone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_START_S = 60
_STARTED = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")
#: Of one hop, or said again by who passes the answer on.
_HOP = {"connection", "content-length", "date", "server", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Asked:
    """A request that came through the gateway."""

    method: str
    path: str
    query: dict[str, list[str]]
    range: str | None

    @property
    def begins_download(self) -> bool:
        """The first piece of an object that is fetched."""
        return self.method == "GET" and (self.range or "").startswith("bytes=0-")

    @property
    def sends_part(self) -> bool:
        return self.method == "PUT" and "partNumber" in self.query


@dataclass
class Bucket:
    """A bucket of one's own on the server."""

    gateway: Gateway
    name: str
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"s3://{self.name}/videos"

    def objects(self) -> list[str]:
        """What lies there, past the gateway."""
        return re.findall(r"<Key>([^<]+)</Key>", self._ask("GET", f"/{self.name}?list-type=2"))

    def uploads(self) -> int:
        """Multipart uploads that are open."""
        return self._ask("GET", f"/{self.name}?uploads").count("<UploadId>")

    def write(self, key: str, body: bytes, *, says: str | None = None) -> None:
        """Put bytes there as somebody else would, or with our note that their hash is `says`."""
        note = {"x-amz-meta-sha256": says} if says else {}
        self._ask("PUT", f"/{self.name}/videos/{key}", body, note)

    def remove(self) -> None:
        for key in self.objects():
            self._ask("DELETE", f"/{self.name}/{key}")
        self._ask("DELETE", f"/{self.name}")

    def _ask(
        self, method: str, path: str, body: bytes | None = None, more: dict[str, str] | None = None
    ) -> str:
        headers = {"Authorization": _SIGNED} | (more or {})
        status, _, answer = self.gateway.forward(method, path, headers, body)
        assert status < 300, answer
        return answer.decode()


#: moto reads the region from it and checks no more.
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"


class Gateway:
    """Passes requests on to the server at `port`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[Asked] = []
        #: Answers in the server's place: a status and an S3 error code, or None to pass on.
        self.fault: Callable[[Asked], tuple[int, str] | None] = lambda _: None
        #: What becomes of an answer's body on its way.
        self.spoilt: Callable[[Asked, bytes], bytes] = lambda _, body: body
        #: Requests that are held back until `go` is set; `waiting` is set when one is.
        self.held: Callable[[Asked], bool] = lambda _: False
        self.waiting = threading.Event()
        self.go = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What botocore reads, and nothing of the user's."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def bucket(self) -> Iterator[Bucket]:
        """An empty bucket; nothing is counted, held or broken at first."""
        self.asked.clear()
        self.fault, self.held = lambda _: None, lambda _: False
        self.spoilt = lambda _, body: body
        self.waiting.clear()
        self.go.clear()
        made = Bucket(self, f"fimq-{uuid.uuid4()}")
        made._ask("PUT", f"/{made.name}")
        try:
            yield made
        finally:
            self.go.set()
            made.remove()

    def count(self, of: Callable[[Asked], bool]) -> int:
        return sum(map(of, list(self.asked)))

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, HTTPMessage, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two writes; together with delayed answers they cost 40 ms.
        disable_nagle_algorithm = True

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            asked = Asked(self.command, parts.path, query, self.headers.get("Range"))
            gateway.asked.append(asked)
            if gateway.held(asked):
                gateway.waiting.set()
                gateway.go.wait(_START_S)
            if (fault := gateway.fault(asked)) is not None:
                self._answer(fault[0], {}, _error(fault[1]))
                return
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"connection", "expect", "content-length"}
            }
            status, said, answer = gateway.forward(self.command, self.path, headers, body)
            answer = gateway.spoilt(asked, answer)
            kept = {name: value for name, value in said.items() if name.lower() not in _HOP}
            if self.command == "HEAD":
                kept["Content-Length"] = said.get("Content-Length", "0")
            self._answer(status, kept, answer)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD" and status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                # Who asked was killed, as some tests want.
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - names of http.server

        def log_message(self, *_: Any) -> None:
            """Say nothing: `asked` is the log."""

    return Handler


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>as the test wants</Message></Error>".encode()


@contextmanager
def s3_server() -> Iterator[Gateway]:
    """The server's process and its gateway, until the end."""
    with tempfile.TemporaryDirectory(prefix="fimq-s3-") as folder:
        log = Path(folder, "log")
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
                stdout=out,
                stderr=out,
            )
        try:
            gateway = Gateway(_port(process, log))
            gateway.start()
            yield gateway
            gateway.stop()
        finally:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_S
    while (found := _STARTED.search(log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return int(found[1])
