import pytest

from inventory import Item


def test_an_item_has_one_piece_by_default():
    assert Item("apple", price=30).quantity == 1


@pytest.mark.parametrize("wrong", [{"price": -1}, {"price": 1, "quantity": -1}])
def test_negative_numbers_are_refused(wrong):
    with pytest.raises(ValueError):
        Item("apple", **wrong)
