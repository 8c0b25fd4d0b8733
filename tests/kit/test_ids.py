"""Ids: the time they carry, their order, their strictness."""

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from quntedge.kit.ids import is_id, new_id

NOON = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def decoded(text: str) -> uuid.UUID:
    number = 0
    for character in text.partition("_")[2]:
        number = number * 32 + ALPHABET.index(character)
    return uuid.UUID(int=number)


def test_an_id_is_a_uuid7_of_the_given_time_in_base32() -> None:
    text = new_id("sub", NOON)
    value = decoded(text)
    assert text.startswith("sub_")
    assert len(text) == 4 + 26
    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    assert value.int >> 80 == int(NOON.timestamp() * 1000)


def test_the_time_is_the_moment_whatever_its_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))
    assert decoded(new_id("sub", elsewhere)).int >> 80 == decoded(new_id("sub", NOON)).int >> 80


def test_ids_of_one_millisecond_sort_as_they_were_made_even_when_times_interleave() -> None:
    later = NOON + timedelta(milliseconds=1)
    made: dict[datetime, list[str]] = {NOON: [], later: []}
    for at in random.Random(7).choices([NOON, later], k=20_000):
        made[at].append(new_id("evt", at))
    for ids in made.values():
        assert ids == sorted(ids)
        assert len(set(ids)) == len(ids)
    assert made[NOON][-1] < made[later][0]


def test_order_and_uniqueness_hold_across_threads() -> None:
    at = NOON + timedelta(days=1)
    per_thread: list[list[str]] = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda mine: mine.extend(new_id("evt", at) for _ in range(2_000)), args=(mine,))
        for mine in per_thread
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in per_thread)
    assert len({text for mine in per_thread for text in mine}) == 16_000


def test_ids_sort_by_time_over_many_milliseconds() -> None:
    ids = [new_id("txn", NOON + timedelta(milliseconds=number)) for number in range(3_000)]
    assert ids == sorted(ids)


@pytest.mark.parametrize("prefix", ["", "s", "Sub", "sub_", "1ab", "sub-x", "söb", "a" * 17, "sub\n"])
def test_odd_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        new_id(prefix, NOON)


def test_naive_and_prehistoric_times_are_refused() -> None:
    with pytest.raises(TypeError):
        new_id("sub", NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="1970"):
        new_id("sub", datetime(1969, 12, 31, tzinfo=UTC))


def test_is_id_knows_its_own() -> None:
    for number in range(2_000):
        text = new_id("sub", NOON + timedelta(days=number, milliseconds=number))
        assert is_id(text, "sub")
        assert not is_id(text, "txn")
        assert not is_id(text, "su")


def test_is_id_accepts_nothing_that_is_nearly_one() -> None:
    good = new_id("sub", NOON)
    body = good[4:]
    near = [
        *("", "sub", "sub_", body, "sub_" + body[:-1], good + "0", good + "\n", " " + good, good.upper()),
        *("Sub_" + body, "sub-" + body, "sub__" + body[1:], "sub_" + "8" + body[1:], "sub_" + body[:-1] + "ù"),
        *("sub_" + body[:20] + letter + body[21:] for letter in "ilou"),
        *("sub_" + body[:10] + version + body[11:] for version in "08cdgz"),
        *("sub_" + body[:13] + variant + body[14:] for variant in "07cfqwz"),
    ]
    assert not [text for text in near if is_id(text, "sub")]
