"""What browsers say about languages, and which of ours they get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.web.languages import preferred

OURS = ("en", "fr")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("FR-ca", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("en;q=0.8, fr-CA;q=0.9", "fr"),
        ("fr;q=0.800,en;q=0.80", "fr"),
        ("en,fr", "en"),
        ("fr,en", "fr"),
        ("de-CH, fr;q=0.5, en;q=0.3", "fr"),
        ("de, ja", "en"),
        ("*", "en"),
        ("de, *;q=0.1", "en"),
        ("en;q=0, *", "fr"),
        ("en;q=0.2, *;q=0.5", "fr"),
        ("fr;q=0", "en"),
        ("en;q=0", "en"),
        ("fr;q=0.000", "en"),
        ("fr-FR;q=0.2, fr;q=0.9, en;q=0.5", "fr"),
        ("fr ; Q=0.9 , en ; q=0.5", "fr"),
        ("fr;level=1;q=0.1, en;q=0.2", "en"),
    ],
)
def test_the_best_liked_language_is_taken(header: str, language: str) -> None:
    assert preferred(header, OURS) == language


@pytest.mark.parametrize("weight", ["1.1", "2", "-1", "0.1234", "nan", "1e-1", "", "high", "٠.٩", ".5"])
def test_a_weight_that_cannot_be_read_takes_its_language_out(weight: str) -> None:
    assert preferred(f"fr;q={weight}, en;q=0.001", OURS) == "en"


def test_the_first_of_ours_is_the_default() -> None:
    assert preferred("de", ("fr", "en")) == "fr"


@given(st.text() | st.text(alphabet="enfr-*;q=01., "))
def test_whatever_is_sent_the_answer_is_one_of_ours(header: str) -> None:
    assert preferred(header, OURS) in OURS
