"""What a debt must satisfy, as Gristmill checks it: patterns that each peer applies in its own way, and one record in Python."""

import datetime
import re

COLUMNS = ["name", "government_id", "email", "amount", "due_date", "debt_id"]
MAX_NAME, MAX_GOVERNMENT_ID, MAX_AMOUNT_MINOR = 255, 32, 999_999_999_999
# a number that a spreadsheet has made of an id
EXPONENT = r"^[0-9][.,][0-9]+[eE][+-]?[0-9]+$"
EMAIL = r"^[^\s@<>]+@[^\s@<>.]+(\.[^\s@<>.]+)+$"
# hundredths, then nothing but zeros; a point before three digits may part thousands
AMOUNT = r"^\+?[0-9]{1,10}(\.[0-9]{1,2}0*)?$"
THOUSANDS = r"^\+?[1-9][0-9]{0,2}\.[0-9][0-9]0$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

_exponent, _email, _amount, _thousands, _uuid = (re.compile(text).match for text in (EXPONENT, EMAIL, AMOUNT, THOUSANDS, UUID))


class Bad(Exception):
    """Why a record is not taken."""


def check(fields):
    """The record's values, encoded; raises Bad with a code."""
    if len(fields) != 6:
        raise Bad("too_few_columns" if len(fields) < 6 else "too_many_columns")
    name, government_id, email, amount, due, debt_id = (field.strip() for field in fields)
    if not (name and government_id and email and amount and due and debt_id):
        raise Bad("missing_field")
    line = "".join(fields)
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError:
            raise Bad("not_utf8") from None
    if "\0" in line:
        raise Bad("nul_byte")
    if len(name) > MAX_NAME or len(government_id) > MAX_GOVERNMENT_ID:
        raise Bad("field_too_long")
    if _exponent(government_id):
        raise Bad("bad_government_id")
    if not _email(email) or ".." in email:
        raise Bad("bad_email")
    if not _amount(amount) or _thousands(amount):
        raise Bad("bad_amount")
    units, _, decimals = amount.partition(".")
    minor = int(units) * 100 + int((decimals + "00")[:2])
    if not 0 < minor <= MAX_AMOUNT_MINOR:
        raise Bad("bad_amount")
    try:
        if len(due) != 10:
            raise ValueError
        day = datetime.date.fromisoformat(due)
    except ValueError:
        raise Bad("bad_date") from None
    if not _uuid(debt_id):
        raise Bad("bad_uuid")
    return name, government_id, email, minor, day, debt_id
