# SPDX-License-Identifier: MIT
"""The programs that scripts and tests call, read from their text.

bash: the first word of each simple command, by a small reader of quotes, comments, here documents, substitutions
and case patterns. Python: the first element of lists given to subprocess or to a test's own run(), the first argument of a test's own
call(), and shutil.which(). CMake: find_program().
make: recipe lines. C: system() and the exec functions that search PATH. A program whose name is in a variable is not found this way; the build's own (`$python`,
sys.executable, the command under test) are such.
"""

import ast
import os
import re

KEYWORDS = set("if then else elif fi for while until do done case esac in function select time ! { } [[ ]]".split())
BUILTINS = set(
    ". : [ alias bg bind break builtin cd command compgen continue declare dirs disown echo enable eval exec exit export "
    "false fg getopts hash help jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return "
    "set shift shopt source test times trap true type typeset ulimit umask unalias unset wait".split())
# Programs that run another one: how many words lie between.
RUNNERS = {"exec": 0, "command": 0, "env": 0, "nice": 0, "setarch": 2, "timeout": 1, "sudo": 0, "xargs": 0,
           "step": 2, "exit": None}
NAME = re.compile(r"^[a-z][a-z0-9_.+-]*$")


def _words(text):
    """Yields words of a bash text; None ends a simple command. What quotes hold is one word; what they substitute is
    read, too."""
    at, word, pending = 0, None, []
    nested = []
    while at < len(text):
        char = text[at]
        if char == "\\":
            if text[at + 1:at + 2] != "\n":
                word = (word or "") + text[at + 1:at + 2]
            at += 2
        elif char == "'":
            end = text.index("'", at + 1)
            word = (word or "") + "\0" + text[at + 1:end]
            at = end + 1
        elif char == '"':
            at += 1
            word = (word or "") + "\0"
            while text[at] != '"':
                if text[at] == "\\":
                    at += 2
                elif text.startswith("$(", at) and not text.startswith("$((", at):
                    end = _closing(text, at + 2)
                    nested.append(text[at + 2:end])
                    word += "$"
                    at = end + 1
                else:
                    word += text[at]
                    at += 1
            at += 1
        elif text.startswith(("$(", "<(", ">("), at) and not text.startswith("$((", at):
            end = _closing(text, at + 2)
            nested.append(text[at + 2:end])
            word = (word or "") + "$"
            at = end + 1
        elif text.startswith("$((", at) or (text.startswith("((", at) and word is None):
            at = text.index("))", at) + 2
            word = (word or "") + "$"
        elif text.startswith("${", at):
            depth, end = 1, at + 2
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            nested += re.findall(r"\$\(([^()]*)\)", text[at:end])
            word = (word or "") + "$"
            at = end
        elif char == "#" and word is None:
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
        elif text.startswith("<<", at) and not text.startswith("<<<", at):
            marker = re.match(r"<<-?\s*(['\"]?)(\w+)\1", text[at:])
            pending.append(marker.group(2))
            at += marker.end()
        elif char in " \t":
            if word is not None:
                yield word
            word = None
            at += 1
        elif char in "<>" or (char == "&" and text[at + 1:at + 2] in "<>"):
            # A redirection: what follows is a file.
            if word is not None and not word.isdigit():
                yield word
            word = None
            at += re.match(r"&?[<>]+[&|]?-?\s*", text[at:]).end()
            if text.startswith(("(", "\"", "'", "$(")[:1], at):
                continue
            yield "\0redirection"
        elif char == "(" and word is not None and word.endswith("="):
            at = _closing(text, at + 1) + 1  # an array
        elif char in ";&|\n()":
            if word is not None:
                yield word
            word = None
            yield None if char != ")" else ")"
            if char == "\n" and pending:
                for marker in pending:
                    end = re.search(rf"^\s*{marker}$", text[at + 1:], re.M)
                    at += 1 + end.end()
                pending = []
            at += 1
        else:
            word = (word or "") + char
            at += 1
    if word is not None:
        yield word
    yield None
    for part in nested:
        yield from _words(part)


def _closing(text, at):
    """The place of the parenthesis that closes the one before `at`."""
    depth, quote = 1, None
    while True:
        char = text[at]
        if char == "\\":
            at += 1
        elif quote:
            quote = None if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
            if depth == 0:
                return at
        at += 1


CASE_PATTERN = re.compile(r"^(\s*)[^()\s'\"$&;]+(\s*\|\s*[^()\s'\"$&;]+)*\)(?=\s)", re.M)


def of_bash(text):
    text = CASE_PATTERN.sub(r"\1", text)
    functions = set(re.findall(r"^\s*([a-z_][a-z0-9_]*)\(\)", text, re.M))
    found, expect, skip, previous = set(), True, 0, None
    for word in _words(text):
        if word == "\0redirection":
            previous = word
            continue
        if previous == "\0redirection" and word not in (None, ")"):
            previous = word
            continue
        previous = word
        if word is None:
            expect, skip = True, 0
        elif word == ")":
            expect, skip = True, 0  # the end of a case pattern or of a group
        elif not expect:
            continue
        elif skip:
            skip -= 1
        elif re.match(r"^[A-Za-z_][A-Za-z0-9_]*(\[.*\])?\+?=", word):
            continue
        elif word in KEYWORDS:
            if word in ("for", "case", "select", "function", "[["):
                expect = False
        elif word.startswith("-"):
            continue
        else:
            runner = RUNNERS.get(word, "none")
            if NAME.match(word) and word not in BUILTINS:
                found.add(word)
            expect = runner not in ("none", None)
            skip = runner if expect else 0
    return {word for word in found if word not in functions}, functions


def of_python(text):
    found = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        first = node.args[0] if node.args else None
        if name in ("shutil.which", "call") and isinstance(first, ast.Constant):
            found.add(first.value)
        elif name.startswith("subprocess.") and isinstance(first, ast.List) and first.elts and \
                isinstance(first.elts[0], ast.Constant):
            found.add(first.elts[0].value)
            texts = [element.value if isinstance(element, ast.Constant) else None for element in first.elts]
            if texts[0] in ("sh", "bash") and "-c" in texts[:-1] and texts[texts.index("-c") + 1]:
                found |= of_bash(texts[texts.index("-c") + 1])[0]
        elif name == "run" and isinstance(first, ast.List) and first.elts and isinstance(first.elts[0], ast.Constant):
            found.add(first.elts[0].value)  # a test's own wrapper of subprocess.run
    return {word for word in found if isinstance(word, str) and NAME.match(word)}


def of_c(text):
    found = set()
    for command in re.findall(r'\bsystem\("([^"]*)"', text):
        found |= of_bash(command)[0]
    found |= set(re.findall(r'\b(?:posix_spawnp|execlp|execvp)\([^;]*?"([^"]+)"', text))
    return {word for word in found if NAME.match(word)}


def of_cmake(text):
    found = set()
    for arguments in re.findall(r"find_program\(([^)]*)\)", text):
        words = arguments.split()
        names = words[1:] if "NAMES" not in words else words[words.index("NAMES") + 1:]
        for word in names:
            if word.isupper():
                break
            found.add(word)
    return found


def of_make(text):
    lines = "\n".join(line.strip().lstrip("@-") for line in text.splitlines() if line.startswith("\t"))
    return of_bash(lines.replace("$(", "${").replace(")", "}") if "$(" in lines else lines)[0]


def of_files(top, files):
    """{(program, file that calls it)} for the files, paths below `top`. A script's functions are no programs: its own,
    and those of scripts/common.sh, which the scripts read in."""
    with open(os.path.join(top, "scripts", "common.sh"), encoding="utf-8") as file:
        shared = of_bash(file.read())[1]
    calls = set()
    for name in files:
        is_script = name.endswith(".sh") or name == ".ci/run"
        if not is_script and not name.endswith((".py", ".c", ".cc", ".h", ".cmake", "CMakeLists.txt", "Makefile")):
            continue
        with open(os.path.join(top, name), encoding="utf-8", errors="replace") as file:
            text = file.read()
        if is_script:
            programs = of_bash(text)[0] - shared
        elif name.endswith(".py"):
            programs = of_python(text)
        elif name.endswith((".cmake", "CMakeLists.txt")):
            programs = of_cmake(text)
        elif name.endswith("Makefile"):
            programs = of_make(text)
        else:
            programs = of_c(text)
        calls |= {(program, name) for program in programs}
    return calls
