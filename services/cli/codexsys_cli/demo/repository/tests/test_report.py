from inventory import Item, Stock
from inventory.report import money, report


def test_money_has_two_decimals():
    assert money(1205) == "12.05"


def test_report_is_sorted_by_name():
    stock = Stock([Item("pear", price=50), Item("apple", price=30)])
    assert report(stock).splitlines() == ["1 x apple at 0.30", "1 x pear at 0.50", "total 0.80"]
