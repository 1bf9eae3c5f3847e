"""Calls in added lines that open a door when what they are given comes from outside: a table for each language.

By looks alone, a line at a time: a call begins in code, not in a string or a comment (what a shell is
given may stand in a string of any language). What is between
two places is bounded in length, so that a hostile line takes no longer than another.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_SHELL = "a command is put together and given to a shell"
_RUNS = "runs text as code"
_READS = "makes objects of what it reads"
_QUERY = "a query is put together of pieces"
_RIGHTS = "gives more rights than needed"
_OPEN = "certificates are not looked at"
_MEMORY = "leaves the language's safety"
_MARKUP = "text becomes markup"
_PATHS = "writes wherever what it unpacks says"
_NAME = "uses a name that another can take first"

_SQL = r"(?i:select\s[^\n]{1,200}?\sfrom\s|insert\s+into\s|update\s[^\n]{1,80}?\sset\s|delete\s+from\s)"
_REST_OF = r"[^\"\n]{0,300}"
Rows = tuple[tuple[str, str], ...]

_ANY: Rows = (
    (r"(?i:\bchmod)\b.{0,40}?[ ,(](?:0?o?777|[ugoa]*\+[rwx]*s|0?[4267][0-7]{3})\b", _RIGHTS),
    (r"(?i)\bset(?:e|re|res)?[ug]id\(\s*0\b", _RIGHTS),
    (r"(?<![\w-])--privileged\b|\bNOPASSWD\b|/docker\.sock:", _RIGHTS),
    (r"\b(?:curl|wget)\b.{0,80}?\s(?:-[a-zA-Z]*k\b|--insecure\b|--no-check-certificate\b)", _OPEN),
    (r"\bGIT_SSL_NO_VERIFY\b|\bhttp\.sslVerify[= ]false", _OPEN),
)
_PYTHON: Rows = (
    (r"(?<![\w.])(?<!def )(?:eval|exec)\((?!\))", _RUNS),
    (
        r"\bos\.(?:system|popen)\(|\bsubprocess\.get(?:status)?output\(|\bcreate_subprocess_shell\(",
        _SHELL,
    ),
    (r"\bshell\s*=\s*True\b", _SHELL),
    (r"\b(?:c?[pP]ickle|marshal|shelve|dill|joblib)\.(?:loads?|open|Unpickler)\(", _READS),
    (r"\btorch\.load\((?!.{0,200}?weights_only\s*=\s*True)", _READS),
    (r"\byaml\.(?:unsafe_load|full_load|load\((?!.{0,200}?Safe))", _READS),
    (r"\bexecute(?:many)?\(\s*(?:[rb]?f[\"']|[^,)]{0,200}?[\"']\s*(?:%|\+|\.format\())", _QUERY),
    (
        rf"\b[rR]?[fF][rR]?\"{{1,3}}{_SQL}{_REST_OF}\{{|(?<!\w)\"{{1,3}}{_SQL}{_REST_OF}\"\s*(?:%\s|\+|\.format\()",
        _QUERY,
    ),
    (
        r"\bverify\s*=\s*False\b|_create_unverified_context|(?<![=!])=\s*(?:ssl\.)?CERT_NONE\b|\bcheck_hostname\s*=\s*False\b|\bAutoAddPolicy\b",
        _OPEN,
    ),
    (r"\bmark_safe\(|\bautoescape\s*=\s*False\b", _MARKUP),
    (r"\.extractall\((?!.{0,200}?filter\s*=)", _PATHS),
    (r"\btempfile\.mktemp\(", _NAME),
    (r"\.run\(.{0,200}?\bdebug\s*=\s*True\b", _RUNS),
)
_JAVASCRIPT: Rows = (
    (r"(?<![\w.$])eval\(|\bnew Function\(|\bset(?:Timeout|Interval)\(\s*[\"'`]", _RUNS),
    (r"\bvm\.(?:runIn(?:This|New)?Context|compileFunction)\(", _RUNS),
    (r"\bexec(?:Sync)?\(\s*(?:`[^`]{0,300}?\$\{|[^,)]{0,200}?[\"']\s*\+)", _SHELL),
    (r"\bshell\s*:\s*true\b", _SHELL),
    (
        r"\.(?:inner|outer)HTML\s*\+?=(?!=|\s*[\"'`]{2})|\bdangerouslySetInnerHTML\b|\bdocument\.write(?:ln)?\(|\.insertAdjacentHTML\(|\bv-html\s*=|\bbypassSecurityTrust\w+\(",
        _MARKUP,
    ),
    (
        r"\b(?:query|execute|raw)\(\s*(?:`[^`]{0,300}?\$\{|[^,)]{0,200}?[\"']\s*\+)|\$(?:query|execute)RawUnsafe\(",
        _QUERY,
    ),
    (rf"(?<![\w)])`\s*{_SQL}[^`\n]{{0,300}}\$\{{|\"{_SQL}{_REST_OF}\"\s*\+", _QUERY),
    (
        r"(?<![\w.])rejectUnauthorized\s*:\s*false\b|\bNODE_TLS_REJECT_UNAUTHORIZED\b[\"\'\]]{0,2}\s*[:=]\s*[\"\']?0",
        _OPEN,
    ),
)
_GO: Rows = (
    (
        r"\bexec\.Command(?:Context)?\([^)]{0,200}?\"(?:/bin/)?(?:ba|da|z)?sh\"\s*,\s*\"-l?c\"",
        _SHELL,
    ),
    (r"\b(?:Query|Exec)(?:Row)?(?:Context)?\([^)]{0,200}?(?:fmt\.Sprintf|\"\s*\+)", _QUERY),
    (
        rf"\bfmt\.Sprintf\(\s*[\"`]\s*{_SQL}[^\"`\n]{{0,300}}%[sdvq]|\"{_SQL}{_REST_OF}\"\s*\+",
        _QUERY,
    ),
    (r"\bInsecureSkipVerify\s*[:=]+\s*true\b|\bssh\.InsecureIgnoreHostKey\(", _OPEN),
    (r"\bunsafe\.(?:Pointer|Slice|String)\b", _MEMORY),
    (r"\btemplate\.(?:HTML|HTMLAttr|JS|JSStr|CSS|URL)\(", _MARKUP),
)
_RUST: Rows = (
    (r"\bunsafe\s*(?:\{|fn\b|impl\b)|\b(?:mem::)?transmute(?:_copy)?(?:::<|\()", _MEMORY),
    (r"\bCommand::new\(\s*\"(?:/bin/)?(?:ba|da|z)?sh\"", _SHELL),
    (r"\bdanger_accept_invalid_(?:certs|hostnames)\(\s*true", _OPEN),
    (
        rf"\b(?:query(?:_as|_scalar)?|execute|prepare)\(\s*&?format!|\bformat!\(\s*\"{_SQL}{_REST_OF}\{{",
        _QUERY,
    ),
)
_JAVA: Rows = (
    (r"\bgetRuntime\(\)\s*\.exec\(|\bProcessBuilder\(\s*\"(?:/bin/)?(?:ba|da|z)?sh\"", _SHELL),
    (r"\bnew ObjectInputStream\(|\bXMLDecoder\(|\bnew Yaml\(\)\s*\.load", _READS),
    (
        r"\b(?:execute(?:Query|Update)?|prepareStatement|create(?:Native)?Query)\(\s*[^,)]{0,200}?(?:\"\s*\+|\"[^\"]{0,200}?\$\{?\w)",
        _QUERY,
    ),
    (rf"\"{_SQL}{_REST_OF}\"\s*\+", _QUERY),
    (r"\bgetEngineByName\(|\bGroovyShell\(|\bSpelExpressionParser\(", _RUNS),
    (
        r"\bNoopHostnameVerifier\b|\bALLOW_ALL_HOSTNAME|\bTrustAll(?:Strategy|Certs|Manager)?\b|\bsetHostnameVerifier\(\s*\([^)]{0,80}\)\s*->\s*true",
        _OPEN,
    ),
    (r"\bsun\.misc\.Unsafe\b|\bUnsafe\.getUnsafe\(", _MEMORY),
)
_RUBY: Rows = (
    (
        r"(?<![\w.:])eval[ (]\s*[\w\"'@#]|\b(?:instance|class|module)_eval[ (]\s*[\"'<]|\.constantize\b|\bsend\(\s*params\b",
        _RUNS,
    ),
    (
        r"(?<!\w)(?:system|exec|spawn|popen\w*|capture\w+)[ (]\s*\"[^\"]{0,200}?#\{|(?<![\w\"])`[^`]{0,200}?#\{|%x[\[({][^\])}]{0,200}?#\{",
        _SHELL,
    ),
    (r"\bMarshal\.(?:load|restore)\b|\bYAML\.(?:unsafe_load|load)\b(?!_)", _READS),
    (
        rf"\b(?:where|find_by_sql|execute|order|pluck|select_all)[ (]\s*\"[^\"]{{0,200}}?#\{{|\"{_SQL}{_REST_OF}#\{{",
        _QUERY,
    ),
    (r"\.html_safe\b", _MARKUP),
    (r"\bVERIFY_NONE\b", _OPEN),
)
_PHP: Rows = (
    (
        r"(?<![\w>:$])(?:eval|create_function)\(|\bassert\(\s*[\"'$]|\bextract\(\s*\$_|\b(?:include|require)(?:_once)?\b[^;]{0,80}?\$_(?:GET|POST|REQUEST|COOKIE)",
        _RUNS,
    ),
    (r"(?<![\w>:$])(?:shell_exec|passthru|system|exec|popen|proc_open)\([^)]{0,200}?\$", _SHELL),
    (r"(?<![\w>:])unserialize\((?!.{0,200}?allowed_classes)", _READS),
    (
        rf"(?:\bmysqli?_query|->(?:query|exec|prepare))\([^)]{{0,200}}?(?:\"[^\"]{{0,200}}?\$|[\"']\s*\.)|\"{_SQL}{_REST_OF}(?:\$|\"\s*\.)",
        _QUERY,
    ),
    (r"\b(?:echo|print)\b[^;]{0,80}?\$_(?:GET|POST|REQUEST|COOKIE)\b(?<!\()", _MARKUP),
    (r"\bCURLOPT_SSL_VERIFY(?:PEER|HOST)\s*(?:,|=>)\s*(?:false|0)\b", _OPEN),
)
_SH: Rows = (
    (r"(?:^|[;&|(]|\bthen\b|\bdo\b|\belse\b)\s*eval\s+(?!set\s)[^;]{0,80}?\$", _RUNS),
    (r"\b(?:ba|da|z)?sh\s+-l?c\s+[\"'][^\n]{0,200}?[\"'][$\w]*\$(?!\()", _SHELL),
)
_DOCKER: Rows = ((r"^\s*USER\s+(?:root|0)\b|\bsudo\b", _RIGHTS),)
_YAML: Rows = (
    (r"\b(?:privileged|allowPrivilegeEscalation|hostNetwork|hostPID|hostIPC)\"?\s*:\s*true\b|\brunAsUser\"?\s*:\s*0\b|\brunAsNonRoot\"?\s*:\s*false\b", _RIGHTS),
    (r"\bSYS_ADMIN\b|\bcap_add\"?\s*:\s*\[?\s*\"?ALL\b|\bpermissions\s*:\s*write-all\b", _RIGHTS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Language:
    """Rows, and what is no code: comments, which go to the end of the line, and strings."""

    endings: tuple[str, ...]
    rows: Rows
    begins: str = r"//|/\*|\*(?!/)"
    """Of a line that is a comment as a whole."""
    comment: str = r"//.*|/\*.*?(?:\*/|$)"
    strings: str = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"


_HASH = r"(?<![\w$\\{'\"])#.*"
_DOUBLE = r"\"(?:\\.|[^\"\\])*\""
_BOTH = rf"{_DOUBLE}|'(?:\\.|[^'\\])*'"
_BACK = r"`(?:\\.|[^`\\])*`"
_TRIPLE = r"\"\"\"(?:(?!\"\"\").)*(?:\"\"\"|$)|'''(?:(?!''').)*(?:'''|$)"
_LANGUAGES = (
    _Language((".py", ".pyi"), _PYTHON, "#", r"#.*", f"{_TRIPLE}|{_BOTH}"),
    _Language(
        (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte", ".html"),
        _JAVASCRIPT, comment=r"(?<!:)//.*|/\*.*?(?:\*/|$)", strings=f"{_BOTH}|{_BACK}",
    ),
    _Language((".go",), _GO, strings=f"{_DOUBLE}|{_BACK}"),
    _Language((".rs",), _RUST, strings=_DOUBLE),
    _Language((".java", ".kt", ".kts", ".scala", ".groovy"), _JAVA, strings=_DOUBLE),
    _Language((".rb", ".erb", ".rake"), _RUBY, "#", _HASH, _BOTH),
    _Language((".php",), _PHP, r"//|#(?!\[)|/\*|\*(?!/)", r"(?<!:)//.*|/\*.*?(?:\*/|$)", _BOTH),
    _Language((".sh", ".bash", ".zsh"), _SH, "#", _HASH, r"(?!)"),
    _Language(("Dockerfile", ".dockerfile", "Containerfile"), _DOCKER, "#", r"(?!)", r"(?!)"),
    _Language((".yml", ".yaml", ".json"), _YAML, "#", r"(?<=\s)#.*", r"(?!)"),
)  # fmt: skip
_STRING, _COMMENT = "\0", "\1"
_OTHER = _Language((), (), r"#|//|/\*|\*(?!/)|--", r"(?!)", r"(?!)")
_BEGINS = {each: re.compile(rf"\s*(?:{each.begins})") for each in (*_LANGUAGES, _OTHER)}
_NO_CODE = {
    each: re.compile(rf"(?P<string>{each.strings})|{each.comment}")
    for each in (*_LANGUAGES, _OTHER)
}
_ROWS = {
    each: [
        *((re.compile(pattern), says, _STRING + _COMMENT) for pattern, says in each.rows),
        *((re.compile(pattern), says, _COMMENT) for pattern, says in _ANY),
    ]
    for each in (*_LANGUAGES, _OTHER)
}


def unsafe_call(path: str, line: str) -> str | None:
    """Say what is unsafe in a line of code, if anything is: by its looks alone."""
    name = PurePosixPath(path).name
    language = next((each for each in _LANGUAGES if name.endswith(each.endings)), _OTHER)
    if _BEGINS[language].match(line):
        return None
    code = _NO_CODE[language].sub(_hidden, line)
    for pattern, says, hidden in _ROWS[language]:
        if any(code[found.start()] not in hidden for found in pattern.finditer(line)):
            return says
    return None


def _hidden(found: re.Match[str]) -> str:
    """Return a string's quotes alone, and nothing of a comment, as long as they were."""
    text = found[0]
    if found["string"] is None:
        return _COMMENT * len(text)
    return text[:1] + _STRING * (len(text) - 2) + text[-1:]
