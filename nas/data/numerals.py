"""One number as people and spreadsheets write it, in a cell of text."""

import re
from dataclasses import dataclass

import numpy as np

SYMBOLS = {
    "€": "EUR",
    "£": "GBP",
    "US$": "$",
    "USD": "$",
    "A$": "AUD",
    "C$": "CAD",
    "R$": "BRL",
    "zł": "PLN",
    "Kč": "CZK",
    "₹": "INR",
    "₽": "RUB",
    "₩": "KRW",
    "₺": "TRY",
    "₪": "ILS",
    "₴": "UAH",
}
CODES = (
    "$ ¥ ¢ ฿ ₫ ₦ ₱ kr Fr. EUR GBP JPY CHF CNY INR AUD CAD NZD SEK NOK DKK PLN CZK HUF RUB BRL "
    "MXN ZAR KRW TRY SGD HKD ILS THB UAH RON BGN TWD IDR MYR PHP VND AED SAR ARS CLP COP"
)
CURRENCIES = (*SYMBOLS, *CODES.split())
_CURRENCY = "|".join(re.escape(word) for word in sorted(CURRENCIES, key=len, reverse=True))
_CELL = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_CURRENCY})?\s*(?P<sign2>[-+])?\s*"
    r"(?P<body>[0-9.,](?:[0-9.,' ]*[0-9.,])?)(?P<exponent>[eE][-+]?[0-9]+)?\s*"
    rf"(?P<after>{_CURRENCY}|%)?\s*(?P<close>\))?",
)
# Blanks, minus signs and apostrophes of print.
_PRINT = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "’": "'", "\ufeff": ""}
    | dict.fromkeys("\u00a0\u202f\u2009\u2007\u2008\u2006\u200a", " ")
)


def _body(decimal: str, other: str) -> re.Pattern[str]:
    d, o = re.escape(decimal), re.escape(other)
    indian = r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}" if other == "," else ""
    return re.compile(
        rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?P<mark>[{o} '])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*{indian})"
        rf"(?:{d}[0-9]*)?|{d}[0-9]+"
    )


_MARKS = {
    ".": str.maketrans("", "", ", '"),
    ",": str.maketrans(",", ".", ". '"),
}
_BODIES = {".": _body(".", ","), ",": _body(",", ".")}


@dataclass(frozen=True)
class Cell:
    """A number in a cell, read with a decimal point and with a decimal comma; NaN is neither."""

    dot: float
    comma: float
    unit: str


def parse_cell(text: str) -> Cell | None:
    """The number that a cell shows, or None where it shows none."""
    match = _CELL.fullmatch(plain_marks(text))
    if match is None:
        return None
    part = match.groupdict("")
    in_parentheses = bool(part["open"])
    signs = part["sign"] + part["sign2"]
    units = part["before"] + part["after"]
    if in_parentheses != bool(part["close"]) or len(signs) + in_parentheses > 1:
        return None
    if part["before"] and part["after"]:
        return None
    body = part["body"]
    if "+" in signs and " " in body:  # a telephone number
        return None
    negative = in_parentheses or signs == "-"
    values = {}
    for decimal, pattern in _BODIES.items():
        if pattern.fullmatch(body):
            kept = body.translate(_MARKS[decimal])
            exponent = int(part["exponent"][1:] or 0) - 2 * (units == "%")
            number = float(f"{kept}e{exponent}")
            values[decimal] = -number if negative else number
    if not values:
        return None
    unit = SYMBOLS.get(units, units)
    return Cell(values.get(".", np.nan), values.get(",", np.nan), unit)


def is_number(text: str) -> bool:
    """Whether a cell shows a number in any spelling."""
    return parse_cell(text) is not None


def plain_marks(text: str) -> str:
    """The text with the blanks, minus signs and apostrophes of a keyboard."""
    return text.translate(_PRINT).strip()
