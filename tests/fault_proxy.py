"""An HTTP proxy before a storage server that can be told to be slow, to answer 503 SlowDown, to tell another time, and to cut connections: before a request,
after it was carried out (so that its answer is lost), and in the middle of an answer. It passes everything else on as it came, signatures included."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUSY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass(frozen=True)
class Faults:
    """The parts of all requests that meet each fault; the most seconds that any of them waits; by how many seconds the server's clock is ahead."""

    busy: float = 0.0
    unsent: float = 0.0
    unanswered: float = 0.0
    torn: float = 0.0
    delay: float = 0.0
    clock: float = 0.0


@dataclass
class FaultProxy:
    """The proxy: where it is, what it does now, and what it has done."""

    endpoint: str
    faults: Faults = Faults()
    done: Counter[str] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(3))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> str:
        """What becomes of the next request; empty: nothing bad."""
        with self._lock:
            drawn, found = self.dice.random(), ""
            for name in ("busy", "unsent", "unanswered", "torn"):
                drawn -= getattr(self.faults, name)
                if drawn < 0:
                    found = name
                    break
            self.done[found or "passed"] += 1
            return found

    @contextmanager
    def failing(self, faults: Faults) -> Iterator[None]:
        """With these faults while the block lasts."""
        self.faults = faults
        try:
            yield
        finally:
            self.faults = Faults()


@contextmanager
def fault_proxy(server: str) -> Iterator[FaultProxy]:
    """Run one before this HTTP server while the block lasts."""

    class Handler(_Handler):
        target = urlsplit(server).netloc

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    proxy = Handler.proxy = FaultProxy(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        listening.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one of its own to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    target: str
    proxy: FaultProxy

    def setup(self) -> None:
        super().setup()
        self.onward = http.client.HTTPConnection(self.target, timeout=60)

    def finish(self) -> None:
        self.onward.close()
        super().finish()

    def _pass_on(self) -> None:
        body = self._body()
        fault = self.proxy.fault()
        if self.proxy.faults.delay:
            time.sleep(self.proxy.dice.uniform(0, self.proxy.faults.delay))
        if fault == "unsent":
            return self._cut()
        if fault == "busy":
            return self._answer(503, {"Content-Type": "application/xml"}, BUSY)
        answer, content = self._ask(body)
        if fault == "unanswered":
            return self._cut()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_ONE_HOP | {"content-length"}}
        if self.proxy.faults.clock:
            headers["Date"] = formatdate(time.time() + self.proxy.faults.clock, usegmt=True)
        if self.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length") or "0"
        return self._answer(answer.status, headers, content, torn=fault == "torn")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - the names that the server class calls

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        self.onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _OF_ONE_HOP | {"content-length"}:
                self.onward.putheader(name, value)
        if body or self.command in ("PUT", "POST"):
            self.onward.putheader("Content-Length", str(len(body)))
        self.onward.endheaders(body)
        answer = self.onward.getresponse()
        return answer, answer.read()

    def _answer(self, status: int, headers: dict[str, str], content: bytes, *, torn: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if torn else content)
        if torn:
            self._cut()

    def _cut(self) -> None:
        """End the connection as a router that is switched off would."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read `done`."""
