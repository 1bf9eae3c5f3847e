"""Rows of an exchange format of the nineties."""


def parse_row(row):
    """Return a row's fields."""
    fields = row.split(";")
    while fields and not fields[-1]:
        fields.pop()
    return fields
