import ast
from itertools import product
from pathlib import Path

import pytest
from units import convert

LENGTH = {"mm": 1, "cm": 10, "m": 1000, "km": 1000000}
WEIGHT = {"g": 1, "kg": 1000, "t": 1000000}


@pytest.mark.parametrize("kind", [LENGTH, WEIGHT])
def test_all_pairs(kind):
    for given, wanted in product(kind, kind):
        assert convert(3, given, wanted) == pytest.approx(3 * kind[given] / kind[wanted])


@pytest.mark.parametrize(("given", "wanted"), [("g", "m"), ("x", "m"), ("x", "x")])
def test_refusals(given, wanted):
    with pytest.raises(ValueError, match=f"cannot convert {given} to {wanted}"):
        convert(1, given, wanted)


def test_it_is_no_chain():
    tree = ast.parse(Path("units.py").read_text())
    assert sum(isinstance(node, ast.If) for node in ast.walk(tree)) <= 4
