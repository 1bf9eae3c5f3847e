"""What a customer wants to buy."""


class Cart:
    """Items with their prices."""

    def __init__(self, items=[]):
        self.items = items

    def put(self, name, price):
        self.items.append((name, price))

    def total(self):
        return sum(price for _, price in self.items)
