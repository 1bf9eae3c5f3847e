import pytest
from units import convert


def test_length():
    assert convert(5, "km", "m") == pytest.approx(5000)


def test_weight():
    assert convert(250, "g", "kg") == pytest.approx(0.25)


def test_kinds_do_not_mix():
    with pytest.raises(ValueError, match="cannot convert g to m"):
        convert(1, "g", "m")
