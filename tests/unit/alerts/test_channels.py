"""The ways to tell people, against real servers; and that no secret gets out."""

from __future__ import annotations

import logging

import pytest

from lakehouse.alerts.channels import Channel, Log, Mail, Webhook, channels
from lakehouse.alerts.news import News, Problem
from lakehouse.errors import AlertError, SettingsError
from lakehouse.settings import Settings, settings
from tests.unit.alerts.conftest import SECRET, Received

FAILED = Problem("run a", "error", "bronze_a failed", "No folder <landing> & no files.", "Then: lakehouse sync a", ("ada@toys.example",), ("#toys",))
ODD = Problem("check b", "warning", "gold/b: check rows", "3 rows are odd.", "See: lakehouse status b", ("team:b",))
LOG = logging.getLogger("test.alerts")


def receivers(problem: Problem, found: list[Channel]) -> set[str]:
    return {c.name for c in found if c.wants(problem)}


def test_a_problem_goes_to_its_owners_and_their_channel_and_what_is_nobodys_to_the_operator(home: object) -> None:
    found = channels(settings(), ["ada@toys.example", "team:b"], LOG)
    assert receivers(FAILED, found) == {"log", "webhook #toys", "mail ada@toys.example"}
    assert receivers(ODD, found) == {"log", "webhook *", "mail operator@toys.example"}


def test_nothing_but_the_log_is_on_unless_it_is_set(tmp_path: object) -> None:
    assert [c.name for c in channels(Settings(), ["ada@toys.example"], LOG)] == ["log"]


def test_a_chat_gets_one_message_with_all_of_it_the_worst_first(received: Received) -> None:
    Webhook("#toys", received.chat, frozenset({"#toys"})).tell(News((ODD, FAILED), ("silver/c: check keys",)))
    ((path, body),) = received.posts
    assert path == f"/{SECRET}"
    assert body["channel"] == "#toys"
    head, *rest = body["text"].splitlines()
    assert head == "*2 new problems, 1 over: gold/b: check rows*"
    assert rest == [
        "✗ bronze_a failed: No folder &lt;landing&gt; &amp; no files.",
        "   Then: lakehouse sync a",
        "! gold/b: check rows: 3 rows are odd.",
        "   See: lakehouse status b",
        "✓ over: silver/c: check keys",
    ]


def test_an_owner_gets_a_mail_with_the_next_command(received: Received) -> None:
    Mail("ada@toys.example", received.mail, "lake@toys.example", False).tell(News((FAILED,)))
    ((to, mail),) = received.mails
    assert (to, mail["From"], mail["Subject"]) == (["ada@toys.example"], "lake@toys.example", "[lakehouse] 1 new problem: bronze_a failed")
    assert "Then: lakehouse sync a" in str(mail.get_payload(decode=True), "utf-8")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/{}", "{chat}"])
def test_a_chat_that_does_not_take_it_is_an_error_without_the_url(url: str, received: Received) -> None:
    received.answer = 503
    with pytest.raises(AlertError) as caught:
        Webhook("*", url.format(SECRET, chat=received.chat), frozenset("*")).tell(News((FAILED,)))
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__)


def test_a_mail_server_that_is_not_there_or_has_no_tls_for_a_password_is_an_error_without_the_password() -> None:
    for server in (f"smtp://user:{SECRET.replace('/', '')}@127.0.0.1:9", "smtps://127.0.0.1:9"):
        with pytest.raises(AlertError) as caught:
            Mail("ada@toys.example", server, "lake@toys.example", False).tell(News((FAILED,)))
        assert "s3cret" not in str(caught.value)


def test_the_log_gets_a_line_for_each(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Log(LOG).tell(News((FAILED,), ("gold/b: check rows",)))
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert "Then: lakehouse sync a" in caplog.text


def test_secrets_are_not_shown_by_the_settings_and_a_wrong_url_is_told_without_it(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SECRET not in repr(settings()) + repr(settings().model_dump())
    monkeypatch.setenv("LAKEHOUSE_ALERT_SMTP", f"mail.example/{SECRET}")
    settings.cache_clear()
    with pytest.raises(SettingsError, match="LAKEHOUSE_ALERT_SMTP needs URLs") as caught:
        settings()
    assert SECRET not in str(caught.value)


def test_a_password_that_breaks_its_address_is_told_without_it(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_ALERT_SMTP", "smtps://bob:s3cret/x@mail.example")
    settings.cache_clear()
    with pytest.raises(SettingsError, match="LAKEHOUSE_ALERT_SMTP has no number as its port") as caught:
        settings()
    assert "s3cret" not in str(caught.value)
