"""The sender of webhooks, against servers that behave in every way a server may."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from quntedge.gateway.emulator.delivery.lean_http import KEPT_BODY_BYTES, LeanClient, SendFailed, target_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen"
PATIENT = 60.0
NO_HEADERS: dict[str, str] = {}


@dataclass
class Peer:
    """A server that says what it is told, however wrong."""

    url: str = ""
    answers: list[bytes | None] = field(default_factory=list)
    """What to answer, in turn; None hangs up without an answer. Nothing left: says nothing and keeps listening."""
    close_after: bool = False
    bytewise: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client's end was seen."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                if not self.answers:
                    continue
                answer = self.answers.pop(0)
                if answer is None:
                    return
                for piece in [answer[n : n + 1] for n in range(len(answer))] if self.bytewise else [answer]:
                    writer.write(piece)
                    await asyncio.sleep(0)  # asyncio writes at once, so that each piece travels alone
                if self.close_after:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()


@asynccontextmanager
async def peer(
    *answers: bytes | None, tls: ssl.SSLContext | None = None, close_after: bool = False
) -> AsyncIterator[Peer]:
    made = Peer(answers=list(answers), close_after=close_after)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    made.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{port}/hook?a=b%20c"
    async with server:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[LeanClient]:
    made = LeanClient(PATIENT)
    yield made
    made.close()


async def test_a_request_is_plain_http(client: LeanClient) -> None:
    async with peer(OK) as server:
        answer = await client.post(server.url, {"webhook-id": "msg_1"}, b'{"a":1}')
    port = server.url.split(":")[2].split("/")[0]
    assert (answer.status, answer.body) == (200, b"seen")
    assert server.requests == [
        f"POST /hook?a=b%20c HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nwebhook-id: msg_1\r\n".encode()
        + b'content-length: 7\r\n\r\n{"a":1}'
    ]


async def test_connections_are_kept(client: LeanClient) -> None:
    async with peer(OK, OK, OK) as server:
        for _ in range(3):
            assert (await client.post(server.url, NO_HEADERS, b"x")).status == 200
    assert (len(server.requests), server.connections) == (3, 1)


async def test_parallel_requests_have_connections_of_their_own(client: LeanClient) -> None:
    async with peer(*[OK] * 8) as server:
        answers = await asyncio.gather(*(client.post(server.url, NO_HEADERS, b"x") for _ in range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        assert server.connections == 4
        await asyncio.gather(*(client.post(server.url, NO_HEADERS, b"x") for _ in range(4)))
    assert server.connections == 4


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 50\r\n\r\n", 304, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"seen"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, 200, b"seen"),
        (b"HTTP/1.1 307 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", 307, b""),
        (b"HTTP/1.1 500 Oh no\r\ncontent-length: 2\r\n\r\nno", 500, b"no"),
    ],
)
async def test_kinds_of_answers(client: LeanClient, raw: bytes, status: int, body: bytes) -> None:
    async with peer(raw, OK) as server:
        answer = await client.post(server.url, NO_HEADERS, b"x")
        assert (answer.status, answer.body) == (status, body)
        assert (await client.post(server.url, NO_HEADERS, b"y")).body == b"seen"
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_answers_that_come_byte_by_byte(client: LeanClient) -> None:
    async with peer(OK, OK) as server:
        server.bytewise = True
        for _ in range(2):
            assert (await client.post(server.url, NO_HEADERS, b"x")).body == b"seen"


async def test_a_body_without_a_length_ends_with_its_connection(client: LeanClient) -> None:
    async with peer(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close_after=True) as server:
        assert (await client.post(server.url, NO_HEADERS, b"x")).body == b"until the end"
        server.answers.append(OK)
        assert (await client.post(server.url, NO_HEADERS, b"x")).body == b"seen"
    assert server.connections == 2


async def test_connections_the_server_wants_closed_are_not_used_again(client: LeanClient) -> None:
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    async with peer(closing, OK) as server:
        await client.post(server.url, NO_HEADERS, b"x")
        await server.closed.wait()
        await client.post(server.url, NO_HEADERS, b"x")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (None, "ConnectionLost"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "ConnectionLost"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", "ConnectionLost"),
        (b"HTTP/1.1 200 OK\r\ncont", "ConnectionLost"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", "ProtocolError"),
    ],
)
async def test_answers_that_are_none(client: LeanClient, raw: bytes | None, kind: str) -> None:
    async with peer(raw, close_after=True) as server:
        with pytest.raises(SendFailed) as failed:
            await client.post(server.url, NO_HEADERS, b"x")
    assert (failed.value.kind, failed.value.unknown) == (kind, True)
    assert len(server.requests) == 1


async def test_a_kept_connection_that_was_closed_is_replaced_once(client: LeanClient) -> None:
    async with peer(OK, None, OK) as server:
        await client.post(server.url, NO_HEADERS, b"first")
        assert (await client.post(server.url, NO_HEADERS, b"second")).status == 200
    assert server.connections == 2
    assert [request[-6:] for request in server.requests] == [b"\r\nfirst"[-6:], b"second", b"second"]


async def test_a_half_answer_on_a_kept_connection_is_not_repeated(client: LeanClient) -> None:
    async with peer(OK, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf") as server:
        await client.post(server.url, NO_HEADERS, b"x")
        server.close_after = True
        with pytest.raises(SendFailed):
            await client.post(server.url, NO_HEADERS, b"x")
    assert len(server.requests) == 2


async def test_patience_ends() -> None:
    client = LeanClient(0.05)
    async with peer() as server:
        with pytest.raises(SendFailed) as failed:
            await client.post(server.url, NO_HEADERS, b"x")
    assert failed.value.kind == "Timeout"
    client.close()


async def test_a_cancelled_request_closes_its_connection(client: LeanClient) -> None:
    async with peer() as server:
        sending = asyncio.create_task(client.post(server.url, NO_HEADERS, b"x"))
        while not server.requests:
            await asyncio.sleep(0.001)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.closed.wait()


async def test_addresses_nobody_listens_at(client: LeanClient) -> None:
    async with peer() as server:
        gone = server.url
    for url in (gone, "ftp://x.test/", "http://", "http://[broken/"):
        with pytest.raises(SendFailed) as failed:
            await client.post(url, NO_HEADERS, b"x")
        assert not failed.value.unknown


async def test_only_the_beginning_of_a_large_answer_is_kept(client: LeanClient) -> None:
    size = 4 * KEPT_BODY_BYTES
    async with peer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size, OK) as server:
        assert len((await client.post(server.url, NO_HEADERS, b"x")).body) == KEPT_BODY_BYTES
        assert (await client.post(server.url, NO_HEADERS, b"x")).body == b"seen"
    assert server.connections == 1


async def test_headers_cannot_break_out_of_their_line(client: LeanClient) -> None:
    async with peer(OK) as server:
        for value in ("a\r\nx: y", "a\nb", "a\rb"):
            with pytest.raises(ValueError, match="line break"):
                await client.post(server.url, {"name": value}, b"x")
        assert server.requests == []


def test_addresses_are_encoded() -> None:
    target = target_of("http://bücher.test/a b?q=ü")
    assert target.head == b"POST /a%20b?q=%C3%BC HTTP/1.1\r\nhost: xn--bcher-kva.test\r\n"
    assert target_of("https://x.test").origin == ("x.test", 443, True)
    assert target_of("http://[::1]:81/").origin == ("::1", 81, False)


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for localhost, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def test_tls(tmp_path: Path) -> None:
    server_tls, trusting = _certificate(tmp_path)
    trustful, sceptic = LeanClient(PATIENT, tls=lambda: trusting), LeanClient(PATIENT)
    async with peer(OK, OK, tls=server_tls) as server:
        for _ in range(2):
            assert (await trustful.post(server.url, NO_HEADERS, b"x")).body == b"seen"
        assert server.connections == 1
        with pytest.raises(SendFailed) as failed:
            await sceptic.post(server.url, NO_HEADERS, b"x")
        assert (failed.value.kind, failed.value.unknown) == ("ConnectFailed", False)
        with pytest.raises(SendFailed):
            await trustful.post(server.url.replace("localhost", "127.0.0.1"), NO_HEADERS, b"x")
        trustful.close()
    sceptic.close()
