"""The configured logs: one format for our lines and the libraries', and nothing secret in any of them."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from quntedge.kit.logging import configure_logging, get_logger
from quntedge.kit.redaction import REDACTED

LIBRARIES = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "procrastinate",
    "httpx",
    "httpcore",
    "sqlalchemy",
    "asyncio",
)
SECRETS = ("jane@example.com", "Jane Doe", "203.0.113.7", "hunter2", "qk_live_abcdef", "4242424242424242", "whsec_abc")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Give the process its logging back as it was.

    structlog stays configured: loggers used meanwhile keep the chain they first saw, and only while that is the
    configured one can `capture_logs` of later tests see what they say.
    """
    loggers = [logging.getLogger(), *map(logging.getLogger, LIBRARIES)]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    structlog.contextvars.clear_contextvars()
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_json_line_has_time_level_logger_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    structlog.contextvars.bind_contextvars(request_id="req_1")
    get_logger("quntedge.payments").info("payment.settled", amount_minor=2900, currency="usd")
    [line] = json_lines(capsys)
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "event": "payment.settled",
        "level": "info",
        "logger": "quntedge.payments",
        "amount_minor": 2900,
        "currency": "usd",
        "request_id": "req_1",
    }


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_secret_reaches_a_line_by_any_way(fmt: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(fmt)
    text = "jane@example.com Customer(name='Jane Doe') 203.0.113.7 password=hunter2 qk_live_abcdef 4242424242424242"
    text += " whsec_abcdef"
    ours, theirs = get_logger("quntedge.test"), logging.getLogger("a.library")
    structlog.contextvars.bind_contextvars(client_ip="203.0.113.7", note=text)
    ours.warning(text, email="jane@example.com", body=b"Jane Doe", nested={"payload": ["hunter2"], "say": text})
    ours.bind(full_name="Jane Doe").warning("said %s", text)
    theirs.warning("said %s", text)
    theirs.warning("as a mapping: %(what)s", {"what": text})
    for log in (ours, theirs):
        try:
            try:
                raise KeyError(text)
            except KeyError as error:
                raise ValueError({"full_name": "Jane Doe", "said": text}) from error
        except ValueError:
            log.exception("failed")
    written = capsys.readouterr().err
    assert written.count("failed") == 2
    assert written.count("Traceback (most recent call last)") == 4
    assert REDACTED in written
    assert not [secret for secret in SECRETS if secret in written]


def test_libraries_write_through_us_and_not_beside_us(capsys: pytest.CaptureFixture[str]) -> None:
    for name in LIBRARIES:
        logging.getLogger(name).addHandler(logging.StreamHandler())
        logging.getLogger(name).propagate = name == "asyncio"
    configure_logging("json")
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "203.0.113.7:9", "GET", "/?token=x", "1.1", 200)
    logging.getLogger("uvicorn.error").error("oh")
    logging.getLogger("procrastinate.worker").info("job")
    logging.getLogger("httpx").info("HTTP Request: GET http://whop/?email=jane%40example.com")
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")
    lines = json_lines(capsys)
    assert [line["logger"] for line in lines] == ["uvicorn.access", "uvicorn.error", "procrastinate.worker"]
    assert lines[0]["event"] == f'{REDACTED}:9 - "GET /?token={REDACTED} HTTP/1.1" 200'


def test_the_console_is_quiet_about_requests_and_jobs_but_not_about_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("console")
    for name in ("uvicorn.access", "procrastinate.worker", "httpx"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    get_logger("x").info("ready", url="http://localhost:8000")
    written = capsys.readouterr().err
    assert "chatter" not in written
    assert written.count("trouble") == 3
    assert "ready" in written
    assert "http://localhost:8000" in written


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "warning")
    get_logger("x").info("no")
    get_logger("x").warning("yes")
    logging.getLogger("httpx").warning("yes")
    configure_logging("json", "ERROR")
    logging.getLogger("httpx").warning("no")
    get_logger("x").error("yes")
    assert [line["event"] for line in json_lines(capsys)] == ["yes", "yes", "yes"]
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("json", "LOUD")


def test_configuring_again_replaces_and_does_not_double(capsys: pytest.CaptureFixture[str]) -> None:
    log = get_logger("x")
    configure_logging("json")
    log.info("one")
    configure_logging("console")
    configure_logging("json")
    log.info("two")
    assert [line["event"] for line in json_lines(capsys)] == ["one", "two"]


def test_callers_cannot_forge_lines_or_colours(capsys: pytest.CaptureFixture[str]) -> None:
    for fmt in ("console", "json"):
        configure_logging(fmt)
        get_logger("x").info("said\nforged [info] line\x1b[31m", value="a\r\nforged\x1b[0m")
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 2
    assert "\x1b[31m" not in written
    assert "\r" not in written


def test_events_can_still_be_captured_after_configuring() -> None:
    configure_logging("json")
    log = get_logger("x")
    log.info("before")
    with structlog.testing.capture_logs() as logs:
        log.info("inside", n=1)
    assert logs == [{"event": "inside", "n": 1, "log_level": "info"}]
