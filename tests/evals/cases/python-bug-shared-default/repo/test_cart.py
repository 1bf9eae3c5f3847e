from shop.cart import Cart


def test_total():
    cart = Cart([("pen", 2)])
    cart.put("ink", 3)
    assert cart.total() == 5


def test_carts_are_apart():
    Cart().put("pen", 2)
    assert Cart().total() == 0
