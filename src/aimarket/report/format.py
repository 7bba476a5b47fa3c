"""Numbers as people read them: 34 %, $1.2 B, 3.4 T tokens. Missing numbers are a dash."""

import math
import re
from decimal import Decimal

MISSING = "—"
MINUS = "\u2212"
_LARGEST = 1e16  # from there on a power of ten is easier to read than 10,000 T
_SUFFIXES = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k"))


def significant(value: float, digits: int = 2) -> str:
    """Round to significant digits, without an exponent and with thousands separators: 3,100 and 0.0021."""
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    sign = MINUS if value < 0 else ""
    return sign + format(Decimal(f"{abs(value):.{digits - 1}e}"), ",f")


def decimals(value: float, digits: int = 2) -> str:
    """Round to a fixed number of decimals, with a true minus and no minus zero."""
    if not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{digits}f}"
    return MINUS + text if value < 0 and float(text.replace(",", "")) else text


def _scaled(value: float, digits: int, before: str = "") -> str:
    if not math.isfinite(value):
        return MISSING
    sign, size = (MINUS if value < 0 else ""), abs(value)
    if size >= _LARGEST:
        return sign + before + power_of_ten(size, digits)
    unit, suffix = next(((unit, suffix) for unit, suffix in _SUFFIXES if size >= unit), (1.0, ""))
    return sign + before + significant(size / unit, digits) + suffix


def count(value: float) -> str:
    """Write a number of things: 3.41 M."""
    return _scaled(value, 3)


def money(value: float) -> str:
    """Write an amount of USD: $1.23 B, $12.3, $0.0214 or $1.26×10⁻⁵."""
    if 0 < abs(value) < 1e-4:
        return f"{MINUS if value < 0 else ''}${power_of_ten(abs(value), 3)}"
    return _scaled(value, 3, "$")


def tokens(mtok: float) -> str:
    """Write a number of tokens given in Mtok: 3.41 T."""
    return count(mtok * 1e6)


def power_of_ten(value: float, digits: int) -> str:
    """Write a positive number as a power of ten: 2.5×10⁻⁷; a lead of one is left out."""
    lead, power = f"{value:.{digits - 1}e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digits == 1 and lead == "1" else f"{lead}×10{raised}"


def between(low: str, high: str) -> str:
    """Write a range of two written numbers, the unit once: $2.67–3.45 M; one number if they read the same."""
    if low == high:
        return low
    first, second = (re.fullmatch(rf"({MINUS}?)(\$?)([\d.,]+)(.*)", text) for text in (low, high))
    if not first or not second or first.group(2, 4) != second.group(2, 4):
        return f"{low} to {high}"
    ends = f"{first[3]}–{second[3]}" if not first[1] else f"{first[3]} to {second[1]}{second[3]}"
    return f"{first[1]}{first[2]}{ends}{first[4]}"


def percent(fraction: float) -> str:
    """Write a fraction as a percentage of two digits; close to 100 % as many as it takes not to say 100 %."""
    if not math.isfinite(fraction):
        return MISSING
    size, sign = abs(fraction) * 100, MINUS if fraction < 0 else ""
    rest = 100 - size
    if 1e-9 < rest < 1:
        return f"{sign}{size:.{-math.floor(math.log10(rest))}f} %"
    if 0 < abs(rest) < 10:
        return f"{sign}{size:.0f} %"
    return f"{sign}{significant(size)} %"


def signed_percent(fraction: float) -> str:
    """Write a change as a percentage with its sign: +5.0 % or −74 %."""
    return ("+" if fraction > 0 else "") + percent(fraction)


def grown(ratio: float) -> str:
    """Write a ratio of last to first: ×3,100 from two up, 1/480 below a tenth, and +24 % or −12 % in between."""
    if 0 < ratio < 0.1:
        return f"1/{significant(1 / ratio)}"
    return f"×{significant(ratio)}" if ratio >= 2 else signed_percent(ratio - 1)


def listed(names: list[str]) -> str:
    """Join names as in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def unbroken(text: str) -> str:
    """Keep every number with its unit when lines break."""
    return re.sub(r"(?<=\d) (?=%|[kMBT]\b|of \d)", "\u00a0", text)
