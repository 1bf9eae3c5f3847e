"""The command line."""

import argparse


def main(argv, items):
    """Run one command on the items."""
    parser = argparse.ArgumentParser(prog="todo")
    commands = parser.add_subparsers(required=True)
    lister = commands.add_parser("list")
    lister.set_defaults(run=show)
    args = parser.parse_args(argv)
    args.run(args, items)


def show(args, items):
    """Print the items."""
    for item in items:
        print(f"[{'x' if item['done'] else ' '}] {item['name']}")
