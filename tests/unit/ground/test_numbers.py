"""Numbers of somebody's JSON keep every digit, whichever way they come in."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from handrail.actions import from_text
from handrail.text import exact_json

LONG = "100000000000000000.01"


class Amount(BaseModel):
    value: Decimal


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    share: float


class Named(BaseModel):
    name: str


@pytest.mark.parametrize("text", [LONG, "-0.12345678901234567890", "1e-400", "1E+30", "7", "1.50"])
def test_a_number_of_a_decimal_is_what_was_written(text: str) -> None:
    for given_as in (f'{{"value": {text}}}', f'{{"value": "{text}"}}'.encode()):
        assert from_text(Amount, given_as).value == Decimal(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_every_number_keeps_its_digits(number: Decimal) -> None:
    value = exact_json(json.dumps({"a": "?"}).replace('"?"', str(number)))["a"]
    assert Decimal(repr(value) if isinstance(value, float) else value) == number
    assert isinstance(value, (float, int)) or Decimal(repr(float(str(number)))) != number


def test_a_number_that_a_float_keeps_is_one() -> None:
    assert exact_json("[0.1, 1.50, 3, 1e5]") == [0.1, 1.5, 3, 100000.0]


@pytest.mark.parametrize("text", ["1e-99999999999999999999", "0e99999999999999999999", "[1e9, 1e"])
def test_what_is_no_number_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number|Expecting"):
        exact_json(text)


def test_what_takes_no_text_takes_the_number() -> None:
    assert from_text(Strict, '{"share": 0.10000000000000001}').share == 0.1
    with pytest.raises(ValidationError, match="valid string"):
        from_text(Named, '{"name": 1.5}')


@pytest.mark.parametrize(
    "text", ["", "{", '{"value": x}', "[" * 100_000, b"\xff", '{"value": "\\ud800"}']
)
def test_what_is_no_model_is_refused_as_ever(text: str) -> None:
    with pytest.raises(ValidationError):
        from_text(Amount, text)
