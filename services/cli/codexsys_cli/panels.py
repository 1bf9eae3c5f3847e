"""Under which headings `codexsys --help` lists the commands."""

START = "Run"
TASKS = "Tasks"
OPERATORS = "Services and their operation"
