"""The mail server's address, and that nothing secret leaves in the clear."""

from email.message import EmailMessage

import pytest

from quntedge.notifications.smtp import MailServer, NotDeliveredYet, Postman
from quntedge.settings import ConfigurationError
from tests.notifications.conftest import Post


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example:2525", MailServer("mail.example", 2525, "opportunistic")),
        ("smtp://mail.example", MailServer("mail.example", 587, "opportunistic")),
        ("smtp://mail.example:25/", MailServer("mail.example", 25, "opportunistic")),
        ("smtp://u:p@mail.example:587", MailServer("mail.example", 587, "starttls", "u", "p")),
        ("smtp://u:p@127.0.0.1:25", MailServer("127.0.0.1", 25, "opportunistic", "u", "p")),
        ("smtp://u:p@[::1]:25", MailServer("::1", 25, "opportunistic", "u", "p")),
        ("smtp://u:p@localhost:25", MailServer("localhost", 25, "opportunistic", "u", "p")),
        ("starttls://mail.example", MailServer("mail.example", 587, "starttls")),
        ("smtps://u%40x:p%2F%3A@mail.example", MailServer("mail.example", 465, "tls", "u@x", "p/:")),
    ],
)
def test_addresses(url: str, expected: MailServer) -> None:
    assert MailServer.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example:25",
        "http://mail.example",
        "smtp://",
        "smtp://u:hunter22@",
        "smtp://u:hunter22@host:port",
        "smtp://u:hunter22@host:99999",
        "smtp://u:hunter22@host:0",
        "smtp://u:hunter22@host/path",
        "smtp://u:hunter22@host?tls=no",
        "smtp://hunter22@host",
        "smtp://[::1",
    ],
)
def test_a_wrong_address_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_URL") as caught:
        MailServer.parse(url)
    assert "hunter22" not in caught.value.detail


def test_the_password_is_not_in_the_representation() -> None:
    assert "hunter22" not in repr(MailServer.parse("smtps://u:hunter22@mail.example"))


async def test_nothing_goes_to_a_server_without_tls_when_tls_is_demanded(post: Post) -> None:
    message = EmailMessage()
    message.set_content("hello")
    server = MailServer("127.0.0.1", post.port, "starttls", "u", "hunter22")
    async with Postman(server, own_name="quntedge.example") as postman:
        for _ in range(2):
            with pytest.raises(NotDeliveredYet, match="cannot be used") as caught:
                await postman.deliver("billing@quntedge.example", "kim@example.org", message)
    assert "hunter22" not in str(caught.value)
    assert post.received == []
    assert post.connections == 1
