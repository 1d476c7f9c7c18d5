# SPDX-License-Identifier: BSD-3-Clause
"""The completions as the shells use them: each option that a command's --help lists is offered there, and what stands in Redis is never run."""

import os
import re
import subprocess

import pytest

import harness

FOLDER = os.path.join(harness.SOURCE, "doc", "completions")
TEREDOWN = os.path.join(harness.BUILD, "teredown")
COMPLETE = """
. "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_teredown
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, folder="/"):
    """What bash offers for the last of the words."""
    done = subprocess.run(["bash", "-c", COMPLETE, "bash", os.path.join(FOLDER, "teredown.bash"), *words], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, universal_newlines=True, timeout=30)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def help_of(*words):
    return subprocess.run([TEREDOWN, *words, "--help"], stdout=subprocess.PIPE, universal_newlines=True, check=True, timeout=30).stdout


def options_of(command):
    """{"--lines": "-n" or None} of the lines that describe an option."""
    found = re.findall(r"^  (?:(-\w), |    )?(--[a-z-]+)\b", help_of(command), re.MULTILINE)
    assert found, command
    return {word: letter or None for letter, word in found}


def commands():
    found = complete("teredown", "") - {"--config", "--json", "--help", "--version"}
    assert {"probe", "remediate", "verify", "help"} <= found
    listed = set(re.findall(r"^  ([a-z]+) ", help_of(), re.MULTILINE))
    assert found == listed | {"help"}, "the commands of --help, and help"
    return sorted(found - {"help"})


def test_bash():
    assert subprocess.run(["bash", "-n", os.path.join(FOLDER, "teredown.bash")]).returncode == 0
    for command in commands():
        missing = set(options_of(command)) - complete("teredown", command, "--")
        assert not missing, "%s: %s" % (command, missing)


def test_files_and_manual():
    """What zsh and fish offer is read off their files; a name must stand there as a whole word."""
    def read(*path):
        with open(os.path.join(harness.SOURCE, "doc", *path)) as text:
            return text.read()
    zsh, fish, manual = read("completions", "_teredown"), read("completions", "teredown.fish"), read("teredown.1").replace("\\-", "-")
    for command in commands():
        assert re.search(r"\b%s\b" % command, zsh) and re.search(r"\b%s\b" % command, fish), command
        assert re.search(r"^\.S[SH] .*\b%s\b|^\.B.* %s\b|^\.B\w* \"?(teredown )?%s\b" % ((command,) * 3), manual, re.MULTILINE), command
        for word, letter in options_of(command).items():
            assert re.search(re.escape(word) + r"(?![a-z-])", zsh), "zsh: " + word
            assert re.search(re.escape(word) + r"(?![a-z-])", manual), "the manual page: " + word
            assert re.search(r" -l %s(?![a-z-])" % word[2:], fish), "fish: " + word
            if letter and letter != "-h":
                assert re.search(r" -s %s -l %s " % (letter[1:], word[2:]), fish), "fish: " + letter


@pytest.mark.parametrize("name", ["$(touch${IFS}owned)", "`touch${IFS}owned`", "<(touch${IFS}owned)", "gw${x[$(touch${IFS}owned)]}"])
def test_names_in_redis_are_not_run(folder, name):
    """A resolver's name stands in Redis, which others write to; Tab behind --resolver must not run it."""
    path = folder.write("teredown", "#!/bin/sh\ncat <<'END'\nRESOLVER  QUERIES\n%s  17\ngw-1.example  17\nEND\n" % name)
    os.chmod(path, 0o755)
    assert complete(path, "status", "--resolver", "", folder=folder.path) == {"gw-1.example"}
    assert not os.path.exists(os.path.join(folder.path, "owned"))
