"""Tables at the terminal: columns while they fit, blocks where they would be cut, figures right under each other."""

import io
import sys

import pytest

from quntedge.commands.output import show, table

_CUSTOMER = "usr_01m842epecez99gh7ahxgmj502"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(monkeypatch: pytest.MonkeyPatch, *further: str, rows: int = 2, spare: tuple[str, ...] = ()) -> list[str]:
    """What a table says on a terminal of 80 columns that knows no colours."""
    screen = _Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")
    made = table("Payment", "Total", "Failed", "At Whop", *["Customer" for _ in further])
    for number in range(rows):
        made.add_row(
            f"txn_01m9qsvp8vevwb2sfbzv19krr{number}", f"{7 + 243 * number}.00 USD", "–", "pay_CN6udeMmXuHnkK", *further
        )
    show(made, spare)
    return screen.getvalue().splitlines()


def test_where_there_is_room_amounts_end_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    head, first, second = _shown(monkeypatch)
    assert "7.00 USD" in first
    assert "250.00 USD" in second
    assert first.index(" USD") == second.index(" USD") == head.index("Total") + 1


def test_where_there_is_none_each_row_is_a_block_and_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _shown(monkeypatch, _CUSTOMER)
    assert [line.strip() for line in lines[:5]] == [
        "txn_01m9qsvp8vevwb2sfbzv19krr0",
        "Total     7.00 USD",
        "Failed    –",
        "At Whop   pay_CN6udeMmXuHnkK",
        f"Customer  {_CUSTOMER}",
    ]
    assert len(lines) == 10


def test_what_can_be_spared_is_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    head, *rows = _shown(monkeypatch, _CUSTOMER, spare=("Customer", "Failed"))
    assert head.split() == ["Payment", "Total", "Failed", "At", "Whop"], "no more than is needed"
    assert len(rows) == 2
    assert all(_CUSTOMER not in row and "pay_CN6udeMmXuHnkK" in row for row in rows)


def test_an_empty_table_is_its_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_shown(monkeypatch, _CUSTOMER, rows=0)) == 1
