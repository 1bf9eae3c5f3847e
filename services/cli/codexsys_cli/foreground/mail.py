"""A change as a mail that `git am` makes a commit of."""

from email.header import Header
from email.utils import formataddr, formatdate

from codexsys_cli.foreground.order import Order
from codexsys_client import Task

_LONGEST_SUBJECT = 72


def mail(order: Order, task: Task, diff: bytes) -> bytes:
    """Return it: the prompt is the message, the author is who was named."""
    first, *rest = order.prompt.strip().splitlines()
    subject = first if len(first) <= _LONGEST_SUBJECT else first[: _LONGEST_SUBJECT - 1] + "…"
    body = [order.prompt.strip(), ""] if rest or subject != first else []
    body += [f"Task: {order.task_id}", f"Verdict: {task['verdict'] or 'none'}"]
    name = order.git_username or order.git_email.partition("@")[0]
    lines = [
        f"From {'0' * 40} Mon Sep 17 00:00:00 2001",
        f"From: {formataddr((name, order.git_email))}",
        f"Date: {formatdate()}",
        f"Subject: [PATCH] {Header(subject, 'utf-8', maxlinelen=10_000).encode()}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *(f" {line}" if line.startswith(("---", "diff ")) else line for line in body),
        "---",
        "",
    ]
    return "\n".join(lines).encode() + diff
