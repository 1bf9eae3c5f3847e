"""Rows in MySQL, MariaDB and SQLite, by one set of statements."""
