"""Quantities as Kubernetes writes them: `500m`, `64Mi`, `1e3`; exact, with canonical output.

A quantity is a whole number of billionths together with the family of suffixes that it was written in. What is finer
than a billionth is rounded away from zero. The rules are those of apimachinery's resource.Quantity, including which
spellings it keeps as they are (`1500m`) and which it rewrites (`1.5` to `1500m`, `1024Mi` to `1Gi`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache, total_ordering
from typing import Any, Final, Literal, NoReturn, TypeAlias

Format: TypeAlias = Literal["DecimalSI", "BinarySI", "DecimalExponent"]
"""In which family of suffixes a quantity is written: k, M, G; Ki, Mi, Gi; or e3, e6, e9."""

MAX_TEXT: Final = 128
"""Longest text that is parsed; a longer one is refused as malformed."""
MAX_EXPONENT: Final = 400
"""Largest exponent, up or down, that is parsed: a few characters must not become gigabytes of digits."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_BY_EXPONENT = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_BY_EXPONENT = {exponent: suffix for suffix, exponent in _BINARY.items()}
_NANO = 10**9
_MAX_BINARY = (1 << 63) - 1
_INT64_DIGITS = 18
_BINARY_DIGITS = 15

_WELL_FORMED = re.compile(r"([+-]?)([0-9]*)(?:(\.)([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SUFFIX_WRONG = "unable to parse quantity's suffix"


def _away_from_zero(numerator: int, denominator: int) -> int:
    magnitude = -(-abs(numerator) // denominator)
    return magnitude if numerator >= 0 else -magnitude


@total_ordering
class Quantity:
    """An exact amount of something: cores, bytes, devices.

    Takes text (`"250m"`), an int, a float or a Decimal; raises ValueError, worded as Kubernetes words it, for text that
    is no quantity. Quantities compare, hash and add by value: `Quantity("1000m") == Quantity("1")`. The result of an
    addition is written in the family of the left operand, or of the right one when the left is zero.
    """

    __slots__ = ("_format", "_nanos", "_text")
    _nanos: int
    _format: Format
    _text: str

    def __new__(cls, value: str | float | Decimal | Quantity) -> Quantity:  # noqa: PYI034 - parsed ones are shared
        """Return the quantity that `value` stands for; equal texts share one object."""
        if isinstance(value, str):
            return parse_quantity(value)
        if isinstance(value, Quantity):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise TypeError(f"a quantity is made of text or a number, not of {type(value).__name__}")
        return parse_quantity(f"{value:f}" if isinstance(value, Decimal) else repr(value))

    @classmethod
    def _make(cls, nanos: int, form: Format, text: str = "") -> Quantity:
        self = object.__new__(cls)
        object.__setattr__(self, "_nanos", nanos)
        object.__setattr__(self, "_format", form)
        object.__setattr__(self, "_text", text)
        return self

    @classmethod
    def from_milli(cls, value: int, form: Format = "DecimalSI") -> Quantity:
        """Return `value` thousandths."""
        return cls._make(value * 10**6, form)

    @classmethod
    def from_bytes(cls, value: int) -> Quantity:
        """Return a whole number of bytes, written with Ki, Mi, Gi where that is exact."""
        return cls._make(value * _NANO, "BinarySI")

    @property
    def format(self) -> Format:
        """The family of suffixes that the quantity is written in."""
        return self._format

    @property
    def nanos(self) -> int:
        """The exact amount, in billionths."""
        return self._nanos

    def value(self) -> int:
        """Return the amount in whole units, fractions rounded away from zero."""
        return _away_from_zero(self._nanos, _NANO)

    def milli_value(self) -> int:
        """Return the amount in thousandths, finer fractions rounded away from zero."""
        return _away_from_zero(self._nanos, 10**6)

    def __str__(self) -> str:
        if not self._text:
            object.__setattr__(self, "_text", _canonical(self._nanos, self._format))
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __float__(self) -> float:
        return self._nanos / _NANO

    def __bool__(self) -> bool:
        return self._nanos != 0

    def __eq__(self, other: object) -> bool:
        return self._nanos == other._nanos if isinstance(other, Quantity) else NotImplemented

    def __lt__(self, other: Quantity) -> bool:
        return self._nanos < other._nanos if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._nanos)

    def __add__(self, other: Quantity) -> Quantity:
        if not isinstance(other, Quantity):
            return NotImplemented
        return self._make(self._nanos + other._nanos, self._format if self._nanos else other._format)

    def __sub__(self, other: Quantity) -> Quantity:
        if not isinstance(other, Quantity):
            return NotImplemented
        return self._make(self._nanos - other._nanos, self._format if self._nanos else other._format)

    def __mul__(self, other: int) -> Quantity:
        return self._make(self._nanos * other, self._format) if type(other) is int else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Quantity:
        return self._make(-self._nanos, self._format)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a quantity is immutable: cannot set {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self._nanos, self._format, self._text))


def _restore(nanos: int, form: Format, text: str) -> Quantity:
    return Quantity._make(nanos, form, text)


ZERO = Quantity._make(0, "DecimalSI", "0")
"""Nothing at all."""


def _suffix(suffix: str) -> tuple[Format, int]:
    if suffix in _DECIMAL:
        return "DecimalSI", _DECIMAL[suffix]
    if suffix in _BINARY:
        return "BinarySI", _BINARY[suffix]
    if suffix[0] in "eE":
        try:
            exponent = int(suffix[1:])
        except ValueError:
            raise ValueError(_SUFFIX_WRONG) from None
        if abs(exponent) <= MAX_EXPONENT:
            return "DecimalExponent", exponent
    raise ValueError(_SUFFIX_WRONG)


@lru_cache(maxsize=8192)
def parse_quantity(text: str) -> Quantity:
    """Return the quantity that `text` spells; raises ValueError in Kubernetes' words. Equal texts share one object."""
    text = text.strip()
    match = _WELL_FORMED.fullmatch(text) if 0 < len(text) <= MAX_TEXT else None
    if match is None:
        raise ValueError(_FORMAT_WRONG)
    sign, whole, _, fraction, suffix = match.groups("")
    whole = whole.lstrip("0") or "0"
    form, exponent = _suffix(suffix)
    digits = int(whole + fraction)
    if form == "BinarySI":
        numerator, denominator = (digits << exponent) * _NANO, 10 ** len(fraction)
    else:
        shift = exponent - len(fraction) + 9
        numerator, denominator = (digits * 10**shift, 1) if shift >= 0 else (digits, 10**-shift)
    nanos = _away_from_zero(numerator, denominator)
    kept = _is_kept(whole, fraction, form, exponent, digits)
    if form == "BinarySI" and not kept:
        nanos = min(nanos, _MAX_BINARY * _NANO)
        if 0 < nanos < _NANO:
            form = "DecimalSI"
    return Quantity._make(-nanos if sign == "-" else nanos, form, text if kept else "")


def _is_kept(whole: str, fraction: str, form: Format, exponent: int, digits: int) -> bool:
    """Say whether Kubernetes keeps the spelling: it fits an int64, and no factor can move to the suffix."""
    if form == "BinarySI":
        precision = _BINARY_DIGITS - len(whole) - exponent * 3 // 10 - 1
        return not fraction and precision >= 0 and bool(digits & 7)
    scale = exponent - len(fraction)
    shifted = whole + fraction
    return (
        len(shifted) <= _INT64_DIGITS
        and scale >= -9
        and scale % 3 == 0
        and not shifted.endswith("000")
        and shifted[0] != "0"
    )


def _canonical(nanos: int, form: Format) -> str:
    if nanos == 0:
        return "0"
    whole, rest = divmod(abs(nanos), _NANO)
    if form == "BinarySI" and whole >= 1024 and not rest:
        return _with_suffix(nanos // _NANO, 0, 1024, 10, _BINARY_BY_EXPONENT)
    if form == "DecimalExponent":
        amount, exponent = _factors(nanos, -9, 1000, 3, None)
        return f"{amount}e{exponent}" if exponent else str(amount)
    return _with_suffix(nanos, -9, 1000, 3, _DECIMAL_BY_EXPONENT)


def _factors(amount: int, exponent: int, base: int, step: int, highest: int | None) -> tuple[int, int]:
    while amount % base == 0 and (highest is None or exponent < highest):
        amount //= base
        exponent += step
    return amount, exponent


def _with_suffix(amount: int, exponent: int, base: int, step: int, suffixes: dict[int, str]) -> str:
    amount, exponent = _factors(amount, exponent, base, step, max(suffixes))
    return f"{amount}{suffixes.get(exponent, '')}"
