"""Cursors and page sizes, read strictly."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.kit.ids import new_id
from quntedge.kit.paging import InvalidCursor, InvalidLimit, Page, decode_cursor, encode_cursor, parse_limit

NOON = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
repeatable = settings(derandomize=True, deadline=None)


def raw(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@repeatable
@given(st.datetimes(timezones=st.just(UTC)), st.from_regex(r"[A-Za-z0-9_\-]{1,100}", fullmatch=True))
def test_a_cursor_gives_back_what_it_was_made_of(at: datetime, row_id: str) -> None:
    cursor = encode_cursor(at, row_id)
    assert decode_cursor(cursor) == (at, row_id)
    assert cursor.replace("-", "").replace("_", "").isalnum(), "it needs no escaping in a URL"


def test_a_cursor_does_not_depend_on_the_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    assert encode_cursor(elsewhere, "sub_1") == encode_cursor(NOON, "sub_1")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "====", "not a cursor", "né", "\x00", "A" * 201, "A" * 1_000_000),
        *(raw(b""), raw(b"1"), raw(b"."), raw(b"1."), raw(b".sub"), raw(b"1.a b"), raw(b"x.sub_1"), raw(b"1.sub\n")),
        *(raw(b"\xff\xfe"), raw("１.sub_1".encode()), raw(b"01.sub_1"), raw(b"-0.sub_1"), raw(b"+1.sub_1")),
        *(raw(b"9" * 18 + b".sub_1"), raw(b"-" + b"9" * 18 + b".sub_1"), raw(b"1.5.sub_1")),
        encode_cursor(NOON, "sub_1") + "=",
        encode_cursor(NOON, "sub_1") + "\n",
        encode_cursor(NOON, "sub_12")[:-1] + "9",  # other spare bits, same bytes
    ],
)
def test_anything_else_is_an_invalid_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor) as refusal:
        decode_cursor(text)
    assert refusal.value.status == 400


@repeatable
@given(st.text(max_size=60))
def test_no_text_makes_the_decoder_fail_otherwise(text: str) -> None:
    try:
        at, row_id = decode_cursor(text)
    except InvalidCursor:
        return
    assert encode_cursor(at, row_id) == text


def test_an_id_that_could_not_be_read_back_is_refused() -> None:
    for row_id in ("", "a.b", "a b", "x" * 101):
        with pytest.raises(ValueError, match="id"):
            encode_cursor(NOON, row_id)


def test_limits() -> None:
    assert parse_limit(None) == 20
    assert parse_limit(None, default=7) == 7
    assert [parse_limit(text) for text in ("1", "100", "050")] == [1, 100, 50]
    assert parse_limit("500", maximum=500) == 500
    for text in ("", "0", "101", "-1", "+5", "5 ", "1.0", "1e1", "１", "ten", "9" * 5000):
        with pytest.raises(InvalidLimit, match="1 to 100"):
            parse_limit(text)


def test_walking_pages_sees_every_row_once() -> None:
    rows = [(NOON + timedelta(seconds=number // 3), new_id("txn", NOON)) for number in range(25)]
    seen: list[tuple[datetime, str]] = []
    cursor: str | None = None
    while True:
        after = decode_cursor(cursor) if cursor else None
        page = Page.cut([row for row in rows if after is None or row > after][:8], limit=7, key=lambda row: row)
        seen.extend(page.data)
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.data) == 7
    assert seen == rows


def test_a_last_page_that_is_full_has_no_next() -> None:
    assert Page.cut([(NOON, "a"), (NOON, "b")], limit=2, key=lambda row: row).next_cursor is None
    assert Page.cut([], limit=2, key=lambda row: row) == Page([], None)
