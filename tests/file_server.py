"""A small server of files that cuts connections, forgets ranges, changes its mind, and lies."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """What a test asks of the server, and what the server saw."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.cuts: list[int] = []  # bytes after which the next answers stop
        self.statuses: list[int] = []  # answers to give before any file
        self.ranges = True
        self.holds: list[int] = []  # bytes after which the next answers wait for `go_on`
        self.go_on = threading.Event()
        self.seen: list[str | None] = []  # Range headers
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.seen.append(request.headers.get("Range"))
        status = self.statuses.pop(0) if self.statuses else 200 if path in self.files else 404
        body = self.files.get(path, b"")
        etag = self.etags.get(path, f'"{hashlib.md5(body).hexdigest()}"')
        start, total = 0, len(body)
        asked = request.headers.get("Range")
        if status == 200 and self.ranges and asked and request.headers.get("If-Range", etag) == etag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            status = 206 if start < total else 416
        request.send_response(status)
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        body = body[start:] if status in (200, 206) else b""
        if etag:
            request.send_header("ETag", etag)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cuts and body:
            body = body[: self.cuts.pop(0)]
            request.close_connection = True
        with contextlib.suppress(ConnectionError):  # the client was killed
            if self.holds and body:
                held = self.holds.pop(0)
                request.wfile.write(body[:held])
                body = body[held:]
                self.go_on.wait()
            request.wfile.write(body)


@contextmanager
def serving() -> Iterator[Server]:
    """A server without files, until the end."""
    server = Server()
    try:
        yield server
    finally:
        server.go_on.set()
        server.http.shutdown()
        server.http.server_close()


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return buffer.getvalue()
