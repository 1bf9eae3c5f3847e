from shop.cart import Cart


def test_a_given_list_stays_the_callers():
    mine = [("pen", 2)]
    Cart(mine).put("ink", 3)
    assert mine == [("pen", 2)]


def test_carts_are_apart():
    first, second = Cart(), Cart()
    first.put("pen", 2)
    assert second.total() == 0
