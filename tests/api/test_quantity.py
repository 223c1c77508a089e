from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.quantity import MAX_EXPONENT, MAX_TEXT, ZERO, Quantity

SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}

# Text, and how Kubernetes writes it after reading it.
CANONICAL = [
    ("0", "0"),
    ("0m", "0"),
    ("-0", "0"),
    ("00", "0"),
    (".5", "500m"),
    ("0.5", "500m"),
    ("1.5", "1500m"),
    ("1500m", "1500m"),
    ("1000m", "1"),
    ("5.123", "5.123"),
    ("1.500", "1.500"),
    ("1.5Gi", "1536Mi"),
    ("1024Ki", "1Mi"),
    ("1025Ki", "1025Ki"),
    ("1024Mi", "1Gi"),
    ("100Mi", "100Mi"),
    ("8Ki", "8Ki"),
    ("0.5Ki", "512"),
    ("0.1Ki", "102400m"),
    ("0.001Ki", "1024m"),
    ("16Ei", "9223372036854775807"),
    ("-16Ei", "-9223372036854775807"),
    ("7Ei", "7Ei"),
    ("100000k", "100M"),
    ("1e3", "1e3"),
    ("1E3", "1E3"),
    ("12e2", "1200"),
    ("1e-3", "1e-3"),
    ("1.1e5", "110e3"),
    ("1E", "1E"),
    ("1000E", "1000E"),
    ("+5", "+5"),
    ("0.1n", "1n"),
    ("-0.1n", "-1n"),
    ("1.0000000001", "1000000001n"),
    ("123456789012345678901", "123456789012345678901"),
    ("  1  ", "1"),
]


@pytest.mark.parametrize(("text", "written"), CANONICAL)
def test_a_quantity_is_written_as_kubernetes_writes_it(text: str, written: str) -> None:
    assert str(Quantity(text)) == written


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "1 Gi", "1KI", "1m5x", "0x10", "1e3e", "Gi!", "1e+-3", "١"])
def test_text_that_is_no_quantity_is_refused_in_kubernetes_words(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        Quantity(text)


@pytest.mark.parametrize("text", ["1i", "1e", "1Kii", "1mm", "--1", "1Em"])
def test_a_suffix_that_does_not_exist_is_refused_in_kubernetes_words(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        Quantity(text)


def test_a_few_characters_cannot_ask_for_gigabytes_of_digits() -> None:
    with pytest.raises(ValueError, match="suffix"):
        Quantity(f"1e{MAX_EXPONENT + 1}")
    with pytest.raises(ValueError, match="quantities must match"):
        Quantity("1" * (MAX_TEXT + 1))


@pytest.mark.parametrize(
    ("value", "written"), [(5, "5"), (0.5, "500m"), (Decimal("1.25"), "1250m"), (2**64, str(2**64)), (1e22, "1e22")]
)
def test_numbers_are_quantities_too(value: float | Decimal, written: str) -> None:
    assert Quantity(value) == Quantity(written)


@pytest.mark.parametrize("value", [True, None, [], b"1"])
def test_what_is_neither_text_nor_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        Quantity(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        Quantity(value)


def test_quantities_compare_and_hash_by_value() -> None:
    assert Quantity("1000m") == Quantity("1") != Quantity("1001m")
    assert hash(Quantity("1Gi")) == hash(Quantity("1024Mi"))
    assert Quantity("999m") < Quantity("1") <= Quantity("1000m")
    assert max(Quantity("1G"), Quantity("1Gi")) == Quantity("1Gi")
    assert Quantity("1") != 1
    assert not ZERO
    assert Quantity("1n")


def test_value_and_milli_value_round_away_from_zero() -> None:
    assert Quantity("1001m").value() == 2
    assert Quantity("-1001m").value() == -2
    assert Quantity("1u").milli_value() == 1
    assert Quantity("2500m").milli_value() == 2500


def test_a_sum_is_written_like_its_left_operand_unless_that_is_zero() -> None:
    assert str(Quantity("1Gi") + Quantity("1Gi")) == "2Gi"
    assert str(Quantity("1Gi") + Quantity("1M")) == "1074741824"
    assert str(Quantity("0") + Quantity("1Gi")) == "1Gi"
    assert str(Quantity("1Gi") - Quantity("1Mi")) == "1023Mi"
    assert str(Quantity("250m") * 4) == str(4 * Quantity("250m")) == "1"
    assert str(-Quantity("1Ki")) == "-1Ki"


def test_quantities_are_immutable_and_survive_copies() -> None:
    value = Quantity("1.5Gi")
    with pytest.raises(AttributeError):
        value.anything = 1  # type: ignore[attr-defined]
    for twin in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value
        assert str(twin) == "1536Mi"
        assert twin.format == "BinarySI"


def test_helpers_make_quantities_of_thousandths_and_bytes() -> None:
    assert str(Quantity.from_milli(1500)) == "1500m"
    assert str(Quantity.from_bytes(64 * 1024 * 1024)) == "64Mi"


digits = st.from_regex(r"[+-]?[0-9]{1,12}(\.[0-9]{0,8})?", fullmatch=True)


@given(digits, st.sampled_from(sorted(SUFFIXES)))
def test_a_decimal_quantity_is_exact_down_to_billionths(number: str, suffix: str) -> None:
    exact = Fraction(number) * Fraction(10) ** SUFFIXES[suffix]
    nanos = exact * 10**9
    whole = -(-abs(nanos) // 1)
    assert Quantity(number + suffix).nanos == (whole if exact >= 0 else -whole)


@given(digits, st.sampled_from(sorted(BINARY)))
def test_a_binary_quantity_is_exact_below_the_limit(number: str, suffix: str) -> None:
    exact = Fraction(number) * 1024 ** BINARY[suffix]
    if abs(exact) < 1 << 63:
        assert abs(Quantity(number + suffix).nanos - exact * 10**9) < 1


@given(digits, st.sampled_from([*sorted({**SUFFIXES, **BINARY}), "e3", "e-3", "E6", "e2"]))
def test_what_is_written_reads_as_the_same_quantity(number: str, suffix: str) -> None:
    value = Quantity(number + suffix)
    again = Quantity(str(value))
    assert again == value
    assert str(again) == str(value)


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_addition_and_order_are_those_of_the_integers(left: int, right: int) -> None:
    a, b = Quantity(left), Quantity(right)
    assert (a + b).nanos == (left + right) * 10**9
    assert (a - b).value() == left - right
    assert (a < b) == (left < right)


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_is_refused(text: str) -> None:
    try:
        value = Quantity(text)
    except ValueError:
        return
    assert Quantity(str(value)) == value
