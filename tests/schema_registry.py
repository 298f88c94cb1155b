"""A schema registry for tests: an HTTP server in a thread that answers `GET /schemas/ids/N` as the real one does."""

from __future__ import annotations

import json
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


class Registry:
    """The schemas by id, and what was asked. `password` (user:password): who may ask; `status`: what it answers instead of anything else."""

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.password = ""
        self.status = 0
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                status, body = registry.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        """Status and body."""
        if self.status:
            return self.status, {"error_code": self.status, "message": "as told"}
        if self.password and authorization != "Basic " + b64encode(self.password.encode()).decode():
            return 401, {"error_code": 401, "message": "Unauthorized"}
        found = self.schemas.get(int(path.rpartition("/")[2]))
        return (200, found) if found else (404, {"error_code": 40403, "message": "Schema not found"})

    def register(self, schema: str, **more: Any) -> int:
        """Its id."""
        id_ = len(self.schemas) + 1
        self.schemas[id_] = {"schema": schema, **more}
        return id_

    def stop(self) -> None:
        """Answer no more."""
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
