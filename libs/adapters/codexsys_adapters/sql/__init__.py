"""Rows in MySQL, MariaDB and SQLite, by one set of statements.

`tables` are by the same subjects as the folders that work on them. Here is what all of these stand on
(connections and transactions: `engine`; statements that run often: `quick`; time, faults, guarded
inserts), what model calls may spend (`wallets` and what it is made of), and what goes over all
subjects: the rows that wait, are counted, or have had their time.
"""
