"""All items together."""

from inventory.item import Item


class Stock:
    """The items on the shelves, by name."""

    def __init__(self, items=()):
        self.items = list(items)

    def add(self, item: Item) -> None:
        """Put an item on a shelf."""
        if self.find(item.name) is not None:
            raise KeyError(f"{item.name} is on a shelf already")
        self.items.append(item)

    def find(self, name: str):
        """Return the item of this name, or None."""
        return next((item for item in self.items if item.name == name), None)

    def total(self) -> int:
        """Return what everything is worth, in cents."""
        return sum(item.price for item in self.items)
