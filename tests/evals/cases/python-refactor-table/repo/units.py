"""Conversion of units."""


def convert(value, given, wanted):
    """Return a value in another unit."""
    if given == wanted and given in ("mm", "cm", "m", "km", "g", "kg", "t"):
        return value
    if given == "mm" and wanted == "cm":
        return value / 10
    elif given == "mm" and wanted == "m":
        return value / 1000
    elif given == "mm" and wanted == "km":
        return value / 1000000
    elif given == "cm" and wanted == "mm":
        return value * 10
    elif given == "cm" and wanted == "m":
        return value / 100
    elif given == "cm" and wanted == "km":
        return value / 100000
    elif given == "m" and wanted == "mm":
        return value * 1000
    elif given == "m" and wanted == "cm":
        return value * 100
    elif given == "m" and wanted == "km":
        return value / 1000
    elif given == "km" and wanted == "mm":
        return value * 1000000
    elif given == "km" and wanted == "cm":
        return value * 100000
    elif given == "km" and wanted == "m":
        return value * 1000
    elif given == "g" and wanted == "kg":
        return value / 1000
    elif given == "g" and wanted == "t":
        return value / 1000000
    elif given == "kg" and wanted == "g":
        return value * 1000
    elif given == "kg" and wanted == "t":
        return value / 1000
    elif given == "t" and wanted == "g":
        return value * 1000000
    elif given == "t" and wanted == "kg":
        return value * 1000
    else:
        raise ValueError(f"cannot convert {given} to {wanted}")
