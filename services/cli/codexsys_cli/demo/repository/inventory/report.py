"""The stock as lines of text."""

from inventory.stock import Stock


def money(cents: int) -> str:
    """Return cents as an amount with two decimals."""
    return f"{cents // 100}.{cents % 100:02d}"


def report(stock: Stock) -> str:
    """Return one line per item, sorted by name, and the total."""
    items = sorted(stock.items, key=lambda item: item.name)
    lines = [f"{item.quantity} x {item.name} at {money(item.price)}" for item in items]
    return "\n".join([*lines, f"total {money(stock.total())}"])
