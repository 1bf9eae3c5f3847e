import pytest

from inventory import Item, Stock


def test_an_empty_stock_is_worth_nothing():
    assert Stock().total() == 0


def test_an_item_is_found_by_name():
    apple = Item("apple", price=30)
    assert Stock([apple]).find("apple") is apple
    assert Stock([apple]).find("pear") is None


def test_a_name_is_taken_once():
    stock = Stock([Item("apple", price=30)])
    with pytest.raises(KeyError):
        stock.add(Item("apple", price=35))


def test_total_counts_every_piece():
    stock = Stock([Item("apple", price=30, quantity=4), Item("pear", price=50)])
    assert stock.total() == 170
