# SPDX-License-Identifier: BSD-3-Clause
"""PowerShell as far as it can be checked without PowerShell: the lexical grammar (strings, comments, variables, brackets), the statements a
script may begin with, and every cmdlet with its parameters against what their documentation lists. Scripts of `teredown remediate` keep to
a part of the language that makes this possible: no double quotes, no backticks, no here-strings, a brace opens at the end of a line or block.

Where a real pwsh is installed it parses the script as well (parse_with_pwsh).
"""

import re
import shutil
import subprocess

COMMON = {"ErrorAction", "ErrorVariable"}
CMDLETS = {
    "Invoke-Command": {"ComputerName", "ScriptBlock", "ArgumentList", "Credential", "ThrottleLimit"} | COMMON,
    "Get-NetTeredoConfiguration": {"PolicyStore"} | COMMON,
    "Set-NetTeredoConfiguration": {"Type"} | COMMON,
    "New-Object": {"TypeName", "Property"},
    "Select-Object": {"First", "Property"},
    "Sort-Object": {"Property"},
    "Where-Object": set(),
    "ForEach-Object": set(),
    "Format-Table": {"Property", "AutoSize", "Wrap"},
    "Import-Csv": {"LiteralPath"},
    "Export-Csv": {"LiteralPath", "NoTypeInformation", "Encoding"},
    "Test-Path": {"LiteralPath"},
    "Join-Path": {"Path", "ChildPath"},
    "Get-Date": set(),
    "Write-Output": set(),
    "Set-StrictMode": {"Version"},
}
OPERATORS = {"eq", "ne", "gt", "lt", "and", "or", "not", "match", "f"}
CLOSING = {"(": ")", "{": "}", "[": "]"}

TOKEN = re.compile(r"""
    (?P<space>[ \t]+) | (?P<newline>\n) | (?P<comment>\#[^\n]*) | (?P<string>'(?:[^'\n]|'')*') |
    (?P<variable>\$(?:[A-Za-z_][A-Za-z0-9_]*|_)) | (?P<splat>@[A-Za-z_][A-Za-z0-9_]*) | (?P<open>@\(|@\{|\(|\{|\[) | (?P<close>[)\}\]]) |
    (?P<dashed>-[A-Za-z]+) | (?P<word>[A-Za-z_][A-Za-z0-9_.]*(?:-[A-Za-z]+)?) | (?P<number>[0-9]+(?:\.[0-9]+)?) |
    (?P<mark>::|\+|=|,|;|\||\.|-)
""", re.VERBOSE)


class Fault(Exception):
    pass


def tokens(text):
    """(kind, text, line); everything must be a token."""
    at, line, found = 0, 1, []
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise Fault("line %d: no token at %r" % (line, text[at:at + 30]))
        found.append((match.lastgroup, match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    return found


def strings(text):
    """The values of all verbatim strings."""
    return [word[1:-1].replace("''", "'") for kind, word, _ in tokens(text) if kind == "string"]


def comments(text):
    return [word for kind, word, _ in tokens(text) if kind == "comment"]


def check_brackets(found):
    opened = []
    for kind, word, line in found:
        if kind == "open":
            opened.append((CLOSING[word[-1]], line))
        elif kind == "close":
            if not opened or opened[-1][0] != word:
                raise Fault("line %d: %s closes nothing" % (line, word))
            opened.pop()
    if opened:
        raise Fault("line %d: %s is missing for a bracket" % (opened[-1][1], opened[-1][0]))


def check_commands(found):
    """Every Verb-Noun is known, and so is each of its parameters; every function that is called is defined."""
    defined, command, known, depth, stack = {}, None, None, 0, []
    words = [token for token in found if token[0] not in ("space", "comment")]
    for k, (kind, word, line) in enumerate(words):
        if kind == "word" and word == "function":
            block = words[k:k + 60]
            defined[words[k + 1][1]] = {other[1:] for inner, other, _ in block[:next((n for n, t in enumerate(block) if n > 4 and t[0] == "close" and t[1] == ")"), 5)]
                if inner == "variable"}
    for k, (kind, word, line) in enumerate(words):
        if kind == "open":
            stack.append(known)
            known = None
        elif kind == "close":
            known = stack.pop()
        elif kind == "newline" or word in ("|", ";"):
            known = None
        elif kind == "word" and re.match(r"[A-Z][A-Za-z]+-[A-Za-z]+$", word):
            if words[k - 1][1] == "function":
                continue
            if word not in CMDLETS and word not in defined:
                raise Fault("line %d: %s is neither a cmdlet that is known nor a function" % (line, word))
            known = CMDLETS.get(word, defined.get(word))
            command = word
        elif kind == "dashed" and word[1:] not in OPERATORS:
            if known is None or word[1:] not in known:
                raise Fault("line %d: %s has no parameter %s" % (line, command, word))


def check_variables(text, found):
    """No variable is read that is set nowhere (Set-StrictMode would end the script there)."""
    automatic = {"_", "true", "false", "null", "HOME", "PSCmdlet", "WhatIfPreference", "ErrorActionPreference"}
    assigned = {word[1:] for k, (kind, word, _) in enumerate(found) if kind == "variable"
        and re.match(r"\s*=(?!=)", "".join(token[1] for token in found[k + 1:k + 3]))}
    declared = set(re.findall(r"\] \$(\w+)", text)) | set(re.findall(r"foreach \(\$(\w+) in", text))
    for kind, word, line in found:
        name = word[1:]
        if kind in ("variable", "splat") and name not in automatic | assigned | declared:
            raise Fault("line %d: %s is set nowhere" % (line, word))


def check(text):
    found = tokens(text)
    check_brackets(found)
    check_commands(found)
    check_variables(text, found)
    code = [word for kind, word, _ in found if kind not in ("space", "newline", "comment")]
    if code[:2] != ["[", "CmdletBinding"] or "param" not in code[:12]:
        raise Fault("the script does not begin with its parameters: %r" % code[:12])


def find_pwsh():
    return shutil.which("pwsh")


def parse_with_pwsh(path):
    """The errors that PowerShell's own parser finds in a file."""
    script = ("$errors = $null; [void][System.Management.Automation.Language.Parser]::ParseFile($args[0], [ref]$null, [ref]$errors); "
        "$errors | ForEach-Object { $_.ToString() }")
    done = subprocess.run([find_pwsh(), "-NoProfile", "-NonInteractive", "-Command", "& { %s } '%s'" % (script, path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120)
    return done.stdout.strip()
