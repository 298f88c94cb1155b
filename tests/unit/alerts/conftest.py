"""A chat and a mail server of this machine, and a lake whose alerts go there."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import settings

SECRET = "T0P/s3cret-token"


@dataclass
class Received:
    """What the servers were told; `answer` is what the chat answers."""

    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    mails: list[tuple[list[str], Message]] = field(default_factory=list)
    answer: int = 200
    chat: str = ""
    mail: str = ""


def chat(found: Received) -> type[BaseHTTPRequestHandler]:
    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if found.answer == 200:
                found.posts.append((self.path, body))
            self.send_response(found.answer)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Chat


def mail(found: Received) -> type[socketserver.StreamRequestHandler]:
    """As much of SMTP as a client without TLS speaks."""

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            to: list[str] = []
            while line := self.line():
                word = line[:4].upper()
                if word == "DATA":
                    self.say("354 go on")
                    found.mails.append((to, message_from_string("\n".join(iter(self.line, ".")))))
                    to = []
                elif word == "RCPT":
                    to.append(line.partition("<")[2].rstrip(">"))
                self.say("221 bye" if word == "QUIT" else "250 so be it")

        def line(self) -> str:
            return self.rfile.readline().decode().rstrip("\r\n")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    return Mail


@pytest.fixture
def received() -> Iterator[Received]:
    found = Received()
    servers = (ThreadingHTTPServer(("127.0.0.1", 0), chat(found)), socketserver.ThreadingTCPServer(("127.0.0.1", 0), mail(found)))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    found.chat, found.mail = f"http://127.0.0.1:{servers[0].server_port}/{SECRET}", f"smtp://127.0.0.1:{servers[1].server_address[1]}"
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(tmp_path: Path, received: Received, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKEHOUSE_ALERT_WEBHOOKS", json.dumps({"*": received.chat, "#toys": f"{received.chat}/toys"}))
    monkeypatch.setenv("LAKEHOUSE_ALERT_SMTP", received.mail)
    monkeypatch.setenv("LAKEHOUSE_ALERT_TO", "operator@toys.example")
    settings.cache_clear()
    yield tmp_path / "lake"
    settings.cache_clear()
