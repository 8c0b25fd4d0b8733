"""The following clock against a real HTTP server that speaks the emulator's long poll."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import structlog
import uvicorn

from quntedge.kit.clock import Clock
from quntedge.kit.following_clock import ClockUnreachable, FollowingClock

DAY = 86_400


class ClockServer:
    """An ASGI program with the emulator's GET /_control/clock, and a log of the polls it has seen."""

    def __init__(self) -> None:
        self.offset_seconds: float = 0
        self.version = 1
        self.step = 1
        self.traveling = False
        self.polls: list[dict[str, str]] = []
        self.on_poll: Callable[[dict[str, str]], object] = lambda _poll: None
        self.answer: tuple[int, bytes] | None = None
        self.silent = False
        self.reports: list[dict[str, Any]] = []
        self.refuse_reports = 0
        self._changed = asyncio.Condition()

    async def jump(self, days: int) -> None:
        async with self._changed:
            self.offset_seconds += days * DAY
            self.version += 1
            self._changed.notify_all()

    async def fail(self, answer: tuple[int, bytes] | None) -> None:
        """Answer everything (waiting polls too) with ``answer``; None heals."""
        async with self._changed:
            self.answer = answer
            self._changed.notify_all()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/_control/clock/report":
            await self._take_report(receive, send)
            return
        assert scope["path"] == "/_control/clock"
        poll = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        self.polls.append(poll)
        self.on_poll(poll)
        if self.silent:
            await receive()  # the request
            await receive()  # the caller giving up
            return
        if poll["wait"] != "0":
            async with self._changed:
                await self._changed.wait_for(lambda: self.answer is not None or self._is_news(poll))
        status, body = self.answer or (200, self._body())
        await send({"type": "http.response.start", "status": status, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body})

    def _is_news(self, poll: dict[str, str]) -> bool:
        return (int(poll["version"]), int(poll["step"])) != (self.version, self.step)

    async def _take_report(self, receive: Any, send: Any) -> None:
        status = 200
        report = json.loads((await receive())["body"])
        if self.refuse_reports:
            self.refuse_reports, status = self.refuse_reports - 1, 503
        else:
            self.reports.append(report)
        await send({"type": "http.response.start", "status": status, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"{}"})

    async def next_step(self) -> None:
        async with self._changed:
            self.step += 1
            self._changed.notify_all()

    def _body(self) -> bytes:
        now = datetime.now(UTC) + timedelta(seconds=self.offset_seconds)
        body = {
            "now": now.isoformat(),
            "offset_seconds": self.offset_seconds,
            "version": self.version,
            "step": self.step,
            "traveling": self.traveling,
        }
        return json.dumps(body).encode()


@asynccontextmanager
async def serving(app: ClockServer, port: int = 0) -> AsyncIterator[int]:
    """Serve ``app`` on a loopback port while the block runs; polls that still wait are then let go."""
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="off", ws="none", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(60):
            while not server.started:
                await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await app.fail((503, b""))
        server.should_exit = True
        await task


@asynccontextmanager
async def following(port: int, **options: float) -> AsyncIterator[FollowingClock]:
    clock = FollowingClock(f"http://127.0.0.1:{port}/_control/", **({"retry_seconds": 0.01} | options))
    await clock.start()
    try:
        yield clock
    finally:
        await clock.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def assert_ahead(clock: Clock, days: int) -> None:
    before = datetime.now(UTC)
    now = clock.now()
    assert before <= now - timedelta(days=days) <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)


@pytest.fixture
def server() -> ClockServer:
    return ClockServer()


async def test_it_starts_with_the_offset_and_follows_every_jump(server: ClockServer) -> None:
    server.offset_seconds = 10 * DAY
    async with serving(server) as port, following(port) as clock:
        assert_ahead(clock, 10)
        for days in (20, 50):
            jumped = asyncio.Event()
            unsubscribe = clock.subscribe(jumped.set)
            await server.jump(days - server.offset_seconds // DAY)
            await asyncio.wait_for(jumped.wait(), 10)
            assert_ahead(clock, days)
            unsubscribe()
    assert len({poll["follower"] for poll in server.polls}) == 1
    assert {poll["wait"] for poll in server.polls[1:]} == {"25"}


async def test_subscribers_know_of_a_jump_before_the_emulator_hears_that_we_followed(server: ClockServer) -> None:
    known: list[datetime] = []
    known_at_poll: dict[str, int] = {}
    async with serving(server) as port, following(port) as clock:
        clock.subscribe(lambda: known.append(clock.now()))
        server.on_poll = lambda poll: known_at_poll.setdefault(poll["version"], len(known))
        await server.jump(30)
        await until(lambda: "2" in known_at_poll)
    assert known_at_poll["2"] == 1
    assert known[0] > datetime.now(UTC) + timedelta(days=29)


async def test_a_new_version_with_the_same_offset_is_not_a_jump(server: ClockServer) -> None:
    calls: list[str] = []
    async with serving(server) as port, following(port) as clock:
        clock.subscribe(lambda: calls.append("x"))
        await server.jump(0)
        await until(lambda: server.polls[-1]["version"] == "2")
        assert not calls


async def test_a_subscriber_that_fails_is_reported_and_harms_nobody_else(server: ClockServer) -> None:
    loop = asyncio.get_running_loop()
    reported: list[BaseException] = []
    heard = asyncio.Event()

    def broken() -> None:
        raise LookupError("a broken subscriber")

    loop.set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    try:
        async with serving(server) as port, following(port) as clock:
            clock.subscribe(broken)
            clock.subscribe(heard.set)
            await server.jump(1)
            await asyncio.wait_for(heard.wait(), 10)
            await server.jump(1)
            await until(lambda: len(reported) == 2)
            assert_ahead(clock, 2)
    finally:
        loop.set_exception_handler(None)
    assert [type(error) for error in reported] == [LookupError, LookupError]


async def test_an_outage_keeps_the_offset_is_logged_once_and_ends(server: ClockServer) -> None:
    server.offset_seconds = 3 * DAY
    with structlog.testing.capture_logs() as logs:
        async with serving(server) as port, following(port) as clock:
            for outage in (1, 2):
                seen = len(server.polls)
                await server.fail((500, b"oops"))
                await until(lambda seen=seen: len(server.polls) >= seen + 5)  # type: ignore[misc]
                assert_ahead(clock, 2 + outage)
                await server.fail(None)
                await server.jump(1)
                await until(lambda: server.polls[-1]["version"] == str(server.version))
                assert_ahead(clock, 3 + outage)
    events = [entry["event"] for entry in logs]
    assert events == ["clock.out_of_reach", "clock.back"] * 2
    assert logs[0]["reason"] == "HTTP status 500"


async def test_it_finds_a_restarted_emulator_again(server: ClockServer) -> None:
    async with serving(server) as port:
        clock = FollowingClock(f"http://127.0.0.1:{port}/_control", retry_seconds=0.01)
        await clock.start()
    try:
        assert_ahead(clock, 0)
        restarted = ClockServer()
        restarted.offset_seconds = 7 * DAY
        async with serving(restarted, port):
            await until(lambda: clock.now() > datetime.now(UTC) + timedelta(days=6))
            assert_ahead(clock, 7)
            await clock.stop()
    finally:
        await clock.stop()


async def test_nobody_there_is_a_clear_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        clock = FollowingClock(f"http://127.0.0.1:{port}/_control", start_timeout_seconds=0.2, retry_seconds=0.05)
        with pytest.raises(ClockUnreachable, match=rf"127\.0\.0\.1:{port}/_control/clock did not answer within 0.2 s"):
            await clock.start()
    await clock.stop()


async def test_start_waits_for_an_emulator_that_is_still_starting(server: ClockServer) -> None:
    await server.fail((503, b"starting"))
    async with serving(server) as port:
        clock = FollowingClock(f"http://127.0.0.1:{port}/_control", retry_seconds=0.01)
        starting = asyncio.create_task(clock.start())
        await until(lambda: len(server.polls) >= 3)
        assert not starting.done()
        await server.fail(None)
        await starting
        await clock.stop()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"{}", b'{"offset_seconds": 1}', b'{"offset_seconds": "1", "version": 1}'),
        *(b'{"offset_seconds": 1, "version": "x"}', b'{"offset_seconds": NaN, "version": 1}'),
        b'{"offset_seconds": 1e300, "version": 1}',
    ],
)
async def test_something_else_that_answers_is_not_a_clock(server: ClockServer, body: bytes) -> None:
    await server.fail((200, body))
    async with serving(server) as port:
        clock = FollowingClock(f"http://127.0.0.1:{port}/_control")
        with pytest.raises(ClockUnreachable, match="not an emulator's clock"):
            await clock.start()
        assert len(server.polls) == 1


async def test_a_server_that_never_answers_does_not_hold_the_start_up(server: ClockServer) -> None:
    server.silent = True
    async with serving(server) as port:
        clock = FollowingClock(f"http://127.0.0.1:{port}/_control", start_timeout_seconds=0.2, retry_seconds=0.01)
        with pytest.raises(ClockUnreachable, match="TimeoutError"):
            await clock.start()


async def test_starting_twice_is_refused_stopping_twice_is_not(server: ClockServer) -> None:
    async with serving(server) as port, following(port) as clock:
        with pytest.raises(RuntimeError):
            await clock.start()
        await clock.stop()
        polls = len(server.polls)
        await server.jump(1)
        await clock.stop()
        assert_ahead(clock, 0)
        assert len(server.polls) == polls
        await clock.start()
        assert_ahead(clock, 1)


async def test_work_is_announced_and_every_step_is_answered(server: ClockServer) -> None:
    next_due = datetime(2027, 1, 1, tzinfo=UTC)

    async def settle() -> datetime | None:
        return next_due if server.step > 1 else None

    async with serving(server) as port, following(port) as clock:
        assert {poll["works"] for poll in server.polls} == {"0"}
        end = clock.work(settle)
        await until(lambda: len(server.reports) == 2)
        await server.next_step()
        await until(lambda: len(server.reports) == 3)
        server.traveling = True
        await server.jump(1)
        await until(lambda: server.polls[-1]["version"] == "2")
        assert clock.traveling
        assert (server.polls[-1]["works"], server.polls[-1]["step"]) == ("1", "2")
        await end()
        await server.jump(1)
        await until(lambda: server.polls[-1]["version"] == "3")
        assert server.polls[-1]["works"] == "0"
    assert [(r["step"], r["works"], r.get("next_due")) for r in server.reports] == [
        (0, True, None),  # there is somebody to wait for, who is not done with anything yet
        (1, True, None),
        (2, True, next_due.isoformat()),
        (2, False, None),
    ]


async def test_work_is_not_reported_for_a_step_that_has_passed(server: ClockServer) -> None:
    release, under_way = asyncio.Event(), []

    async def settle() -> datetime | None:
        under_way.append(server.step)
        await release.wait()
        return None

    async with serving(server) as port, following(port) as clock:
        end = clock.work(settle)
        await until(lambda: under_way == [1])
        await server.next_step()
        await until(lambda: server.polls[-1]["step"] == "2")
        assert [report["step"] for report in server.reports] == [0]
        release.set()
        await until(lambda: len(server.reports) == 2)
        await end()
    assert under_way == [1, 2]
    assert server.reports[1]["step"] == 2


async def test_what_keeps_work_from_being_settled_or_reported_is_logged_and_tried_again(server: ClockServer) -> None:
    tries: list[int] = []

    async def settle() -> datetime | None:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError("no database")
        return None

    server.refuse_reports = 1
    with structlog.testing.capture_logs() as logs:
        async with serving(server) as port, following(port) as clock:
            end = clock.work(settle)
            await until(lambda: len(server.reports) == 2)
            await end()
    assert [entry["event"] for entry in logs] == ["clock.report_failed", "clock.work_not_settled"]
    assert len(tries) == 2
