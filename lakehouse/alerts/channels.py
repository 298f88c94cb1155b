"""The ways to tell people: the log, webhooks that take Slack's JSON, e-mail. Configured by settings; where none is set, only the log.

URLs and passwords are secrets: no message, log line or error here holds one. Not here: what is told (`news`).
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import unquote, urlsplit

import requests

from lakehouse.alerts.news import News, Problem
from lakehouse.errors import AlertError
from lakehouse.settings import Settings

ANY = "*"  # the webhook for what no channel of a contract has one for
SECONDS = 10  # to wait for a server
_MOST = 20  # problems in one message
_SIGNS = {"error": "✗", "warning": "!"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Channel(Protocol):
    """One receiver: a name for the memory (never a secret), what it is for, and how it is told."""

    @property
    def name(self) -> str:
        """What is remembered under it stays when the receiver's address changes."""

    def wants(self, problem: Problem) -> bool:
        """Whether the problem is this receiver's."""

    def tell(self, message: News) -> None:
        """Raises `AlertError`; then nothing counts as told."""


def channels(chosen: Settings, owners: Iterable[str], log: logging.Logger) -> list[Channel]:
    """Every receiver that the settings and the contracts' owners make."""
    hooks = {name: url.get_secret_value() for name, url in chosen.alert_webhooks.items()}
    found: list[Channel] = [Log(log)]
    found += [Webhook(channel, url, frozenset(hooks)) for channel, url in sorted(hooks.items())]
    if chosen.alert_smtp is not None:
        addresses = sorted({o for o in owners if _is_address(o)} | ({chosen.alert_to} if chosen.alert_to else set()))
        found += [Mail(address, chosen.alert_smtp.get_secret_value(), chosen.alert_from, address == chosen.alert_to) for address in addresses]
    return found


@dataclass(frozen=True)
class Log:
    """The log of whoever evaluates the sensor; it takes everything."""

    log: logging.Logger
    name: str = "log"

    def wants(self, problem: Problem) -> bool:
        """All."""
        return True

    def tell(self, message: News) -> None:
        """One line each."""
        for problem in message.problems:
            self.log.warning("%s: %s %s", problem.title, problem.text, problem.next_step)
        for title in message.over:
            self.log.info("Over: %s", title)


@dataclass(frozen=True)
class Webhook:
    """An incoming webhook of a chat, for one channel that contracts name under `support`, or for all that have none."""

    channel: str
    url: str
    others: frozenset[str]

    @property
    def name(self) -> str:
        """By channel."""
        return f"webhook {self.channel}"

    def wants(self, problem: Problem) -> bool:
        """What names the channel; for `*` what names none that has a webhook."""
        return self.channel in problem.channels if self.channel != ANY else not self.others & set(problem.channels)

    def tell(self, message: News) -> None:
        """Post it."""
        body = {"text": "\n".join((f"*{_escaped(subject(message))}*", *(_escaped(line) for line in lines(message))))}
        if self.channel != ANY:
            body["channel"] = self.channel
        try:
            answer = requests.post(self.url, json=body, timeout=SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise AlertError(f"The webhook for {self.channel} can't be reached: {type(error).__name__}.") from None  # its text holds the URL
        if not 200 <= answer.status_code < 300:  # a redirect is not followed: it may lead to a page to log in at
            raise AlertError(f"The webhook for {self.channel} answered {answer.status_code}.")


def _escaped(text: str) -> str:
    """Slack's three special characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Mail:
    """One address: an owner, who gets what concerns the own tables, or the one who gets what has no owner."""

    address: str
    server: str
    sender: str
    takes_unowned: bool

    @property
    def name(self) -> str:
        """By address."""
        return f"mail {self.address}"

    def wants(self, problem: Problem) -> bool:
        """The owner's own; or what is nobody's."""
        return self.address in problem.owners or (self.takes_unowned and not any(map(_is_address, problem.owners)))

    def tell(self, message: News) -> None:
        """Send it."""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = f"[lakehouse] {subject(message)}", self.sender, self.address
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n\n".join(lines(message)) + "\n")
        try:
            with _connect(self.server) as server:
                server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            raise AlertError(f"The mail to {self.address} was not taken: {type(error).__name__}.") from None  # servers repeat what they were told


def _connect(url: str) -> AbstractContextManager[smtplib.SMTP]:
    """A connection to `smtp://` or `smtps://[user:password@]host[:port]`; a password only goes over TLS, or to this machine itself."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SECONDS) if parts.scheme == "smtps" else smtplib.SMTP(host, port, timeout=SECONDS)
    secure = parts.scheme == "smtps" or host in _LOOPBACK
    server.ehlo()
    if parts.scheme == "smtp" and server.has_extn("starttls"):
        server.starttls()
        server.ehlo()
        secure = True
    if parts.username:
        if not secure:
            server.close()
            raise smtplib.SMTPNotSupportedError
        server.login(unquote(parts.username), unquote(parts.password or ""))
    return server


def _is_address(owner: str) -> bool:
    return "@" in owner


def subject(message: News) -> str:
    """All of it in a few words."""
    counts = [f"{len(message.problems)} new problem{'s' * (len(message.problems) != 1)}"] * bool(message.problems) + [f"{len(message.over)} over"] * bool(
        message.over
    )
    first = message.problems[0].title if message.problems else message.over[0]
    return f"{', '.join(counts)}: {first}"


def lines(message: News) -> Sequence[str]:
    """One problem each, the worst first, with its next step."""
    ordered = sorted(message.problems, key=lambda p: p.grade != "error")
    told = [f"{_SIGNS[p.grade]} {p.title}: {p.text}\n   {p.next_step}" for p in ordered[:_MOST]]
    more = [f"… and {len(ordered) - _MOST} more: lakehouse status"] * (len(ordered) > _MOST)
    return [*told, *more, *(f"✓ over: {title}" for title in message.over)]
