"""One kind of thing on a shelf."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A name, a price in cents, and how many there are."""

    name: str
    price: int
    quantity: int = 1

    def __post_init__(self):
        if self.price < 0 or self.quantity < 0:
            raise ValueError("price and quantity cannot be negative")
