"""What is on the shelves."""

from inventory.item import Item
from inventory.stock import Stock

__all__ = ["Item", "Stock"]
