"""Calls in added lines that open a door when what they are given comes from outside: a table for each language."""

import re
from pathlib import PurePosixPath

_SHELL = "a command is put together and given to a shell"
_RUNS = "runs text as code"
_READS = "makes objects of what it reads"
_QUERY = "a query is put together of pieces"
_RIGHTS = "gives more rights than needed"
_OPEN = "certificates are not looked at"
_MEMORY = "leaves the language's safety"
_MARKUP = "text becomes markup"

_ANY = (
    (r"\bchmod\b.{0,40}\b0?o?777\b", _RIGHTS),
    (r"\bset(?:e|re|res)?uid\(\s*0\b", _RIGHTS),
)
_PYTHON = (
    (r"(?<![\w.])(?:eval|exec)\(", _RUNS),
    (r"\bos\.(?:system|popen)\(", _SHELL),
    (r"\bshell\s*=\s*True\b", _SHELL),
    (r"\b(?:c?pickle|marshal|shelve|dill)\.(?:loads?|open)\(", _READS),
    (r"\byaml\.(?:unsafe_load|load\((?!.*Safe))", _READS),
    (r"\bexecute(?:many)?\(\s*(?:f[\"']|[^,)]*[\"']\s*(?:%|\+))", _QUERY),
    (r"\bverify\s*=\s*False\b|_create_unverified_context", _OPEN),
)
_JAVASCRIPT = (
    (r"(?<![\w.])eval\(|\bnew Function\(", _RUNS),
    (r"\bexec(?:Sync)?\(\s*(?:`[^`]*\$\{|[^,)]*[\"']\s*\+)", _SHELL),
    (r"\bshell\s*:\s*true\b", _SHELL),
    (r"\.(?:inner|outer)HTML\s*\+?=|dangerouslySetInnerHTML|\bdocument\.write\(", _MARKUP),
    (r"\bquery\(\s*(?:`[^`]*\$\{|[^,)]*[\"']\s*\+)", _QUERY),
    (r"\brejectUnauthorized\s*:\s*false\b|NODE_TLS_REJECT_UNAUTHORIZED", _OPEN),
)
_GO = (
    (r"exec\.Command(?:Context)?\([^)]*\"(?:ba|da|z)?sh\"\s*,\s*\"-l?c\"", _SHELL),
    (r"\b(?:Query|Exec)(?:Row)?(?:Context)?\([^)]*fmt\.Sprintf", _QUERY),
    (r"\bInsecureSkipVerify\s*:\s*true\b", _OPEN),
    (r"\bunsafe\.Pointer\b", _MEMORY),
    (r"\btemplate\.(?:HTML|JS|URL)\(", _MARKUP),
)
_RUST = (
    (r"\bunsafe\s*(?:\{|fn\b|impl\b)", _MEMORY),
    (r"Command::new\(\"(?:ba|da|z)?sh\"\)", _SHELL),
    (r"\bdanger_accept_invalid_certs\(true", _OPEN),
    (r"\bquery(?:_as)?\(\s*&?format!", _QUERY),
)
_LANGUAGES = {
    ".py": _PYTHON,
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte"), _JAVASCRIPT),
    ".go": _GO,
    ".rs": _RUST,
}  # fmt: skip
_TABLES = {
    ending: [(re.compile(pattern), says) for pattern, says in (*table, *_ANY)]
    for ending, table in _LANGUAGES.items()
}
_REST = [(re.compile(pattern), says) for pattern, says in _ANY]
_COMMENTS = ("#", "//", "*", "/*", "--")


def unsafe_call(path: str, line: str) -> str | None:
    """Say what is unsafe in a line of code, if anything is: by its looks alone."""
    if line.lstrip().startswith(_COMMENTS):
        return None
    for pattern, says in _TABLES.get(PurePosixPath(path).suffix, _REST):
        if pattern.search(line):
            return says
    return None
