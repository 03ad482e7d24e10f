#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the public headers promise of every struct and call, so that a new one cannot forget it.

usage: out_structs.py PROJECT

- A struct that is passed as a pointer to be filled starts with struct_size, has an _INIT macro, and
  tests/integration/test_struct_size.c tries it. Its function returns a status. None is returned by value.
- ortp_x_create(const ortp_x_options *, ortp_x **, ortp_error *), ortp_x_destroy(ortp_x *, ortp_error *).
- A struct of options starts with struct_size.
- A span is called timeout_ms, a time ..._at_ms.

The checks are first tried on headers that break them.
"""
import pathlib
import re
import sys


def stripped(text):
    """Without comments and the preprocessor's lines, but for one marker for each _INIT macro."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    macros = set(re.findall(r"^#define (ORTP_\w+_INIT) ORTP_STRUCT_INIT\((?:ortp_\w+)\)", text, flags=re.M))
    text = re.sub(r"\\\n", " ", text)
    return re.sub(r"^[ \t]*#.*$", "", text, flags=re.M), macros


def structs_of(text):
    """Name and body of each struct that is defined."""
    found = {}
    for match in re.finditer(r"typedef struct (ortp_\w+)\s*\{", text):
        depth, at = 1, match.end()
        while depth > 0:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        found[match.group(1)] = text[match.end():at - 1].strip()
    return found


def functions_of(text):
    """Name: result and parameters."""
    found = {}
    for match in re.finditer(r"ORTP_API\s+(?:ORTP_CHECK\s+)?([\w\s]+?[\s*]+)(ortp_\w+)\s*\(([^;]*)\)\s*;", text):
        parameters = [" ".join(p.split()) for p in match.group(3).split(",")]
        found[match.group(2)] = (" ".join(match.group(1).split()), parameters)
    return found


def complaints_of(text, macros, tried):
    structs, functions = structs_of(text), functions_of(text)
    made = {m.group(1) for _, parameters in functions.values() for p in parameters
            for m in [re.fullmatch(r"(ortp_\w+) \*\*out", p)] if m}
    said = []
    filled = set()
    for name, (result, parameters) in sorted(functions.items()):
        if result in structs:
            said.append("%s: returns the struct %s by value, which can never grow" % (name, result))
        for parameter in parameters:
            match = re.fullmatch(r"(ortp_\w+) \*\w+", parameter)
            if not match or match.group(1) not in structs or match.group(1) in made:
                continue
            struct = match.group(1)
            filled.add(struct)
            if result != "ortp_status" and struct != "ortp_error":
                said.append("%s: fills %s and returns %s, not ortp_status" % (name, struct, result))
    for struct in sorted(filled | {s for s in structs if s.endswith("_options")}):
        if not re.match(r"size_t struct_size;", structs[struct]):
            said.append("%s: does not start with size_t struct_size" % struct)
        if struct.upper() + "_INIT" not in macros:
            said.append("%s: has no %s_INIT" % (struct, struct.upper()))
    for struct in sorted(filled):
        if struct not in tried:
            said.append("%s: is not in the table of tests/integration/test_struct_size.c" % struct)
    for name, (result, parameters) in sorted(functions.items()):
        thing = re.sub(r"_(create|destroy)$", "", name)
        if name.endswith("_create"):
            expected = ["const %s_options *options" % thing, "%s **out" % thing, "ortp_error *error"]
        elif name.endswith("_destroy"):
            expected = [thing + " *", "ortp_error *error"]
            parameters = [re.sub(r"^(ortp_\w+ \*)\w+$", r"\1", parameters[0])] + parameters[1:]
        else:
            continue
        if result != "ortp_status" or parameters != expected:
            said.append("%s: found %s (%s), expected ortp_status (%s)"
                        % (name, result, ", ".join(parameters), ", ".join(expected)))
        if name.endswith("_create") and thing + "_destroy" not in functions:
            said.append("%s: there is no %s_destroy" % (name, thing))
    for match in re.finditer(r"\b(wait|patience|deadline|timeout)(_at)?_ms\b", text):
        if match.group(0) not in ("timeout_ms", "deadline_at_ms"):
            said.append("%s: a span is timeout_ms, a time deadline_at_ms" % match.group(0))
    return said, len(functions), len(filled)


GOOD = """
typedef struct ortp_thing ortp_thing;
typedef struct ortp_thing_options { size_t struct_size; int a; } ortp_thing_options;
#define ORTP_THING_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_thing_options)
typedef struct ortp_error { size_t struct_size; } ortp_error;
#define ORTP_ERROR_INIT ORTP_STRUCT_INIT(ortp_error)
typedef struct ortp_thing_info { size_t struct_size; struct { int b; } c; } ortp_thing_info;
#define ORTP_THING_INFO_INIT ORTP_STRUCT_INIT(ortp_thing_info)
ORTP_API ORTP_CHECK ortp_status ortp_thing_create(const ortp_thing_options *options, ortp_thing **out,
                                                  ortp_error *error);
ORTP_API ortp_status ortp_thing_destroy(ortp_thing *thing, ortp_error *error);
ORTP_API ortp_status ortp_thing_get_info(const ortp_thing *thing, ortp_thing_info *out);
ORTP_API ortp_status ortp_thing_close(ortp_thing *thing, uint64_t timeout_ms);
"""
BROKEN = [  # what is changed, to what, and what is said
    ("ortp_thing_info { size_t struct_size; ", "ortp_thing_info { ", "does not start"),
    ("#define ORTP_THING_INFO_INIT ORTP_STRUCT_INIT(ortp_thing_info)", "", "has no ORTP_THING_INFO_INIT"),
    ("ortp_thing_options { size_t struct_size; ", "ortp_thing_options { ", "does not start"),
    ("ortp_status ortp_thing_get_info", "void ortp_thing_get_info", "returns void"),
    ("ortp_thing **out,\n                                                  ortp_error *error", "ortp_thing **out",
     "ortp_thing_create: found"),
    ("ortp_thing *thing, ortp_error *error", "ortp_thing *thing", "ortp_thing_destroy: found"),
    ("ortp_status ortp_thing_destroy", "void ortp_thing_destroy", "ortp_thing_destroy: found void"),
    ("ortp_status ortp_thing_get_info(const ortp_thing *thing, ortp_thing_info *out)",
     "ortp_thing_info ortp_thing_get_info(const ortp_thing *thing)", "by value"),
    ("uint64_t timeout_ms", "uint64_t wait_ms", "wait_ms: a span"),
    ("uint64_t timeout_ms", "uint64_t deadline_ms", "deadline_ms: a span"),
]


def self_test():
    tried = {"ortp_error", "ortp_thing_info"}
    said, functions, filled = complaints_of(*stripped(GOOD), tried)
    assert said == [] and functions == 4 and filled == 2, (said, functions, filled)
    said, _, _ = complaints_of(*stripped(GOOD), {"ortp_error"})
    assert len(said) == 1 and "is not in the table" in said[0], said
    for old, new, expected in BROKEN:
        assert old in GOOD, old
        said, _, _ = complaints_of(*stripped(GOOD.replace(old, new)), tried)
        assert any(expected in s for s in said), (old, said)


def main():
    self_test()
    project = pathlib.Path(sys.argv[1])
    text, macros = "", set()
    for header in sorted((project / "include/ortpool").glob("*.h")):
        body, more = stripped(header.read_text(encoding="utf-8"))
        text += body
        macros |= more
    table = (project / "tests/integration/test_struct_size.c").read_text(encoding="utf-8")
    tried = set(re.findall(r"\bFILLED\((ortp_\w+),", table))
    said, functions, filled = complaints_of(text, macros, tried)
    declared = len(re.findall(r"\bORTP_API\b", text))
    if functions != declared:
        said.append("%d functions are declared, %d were read" % (declared, functions))
    for line in said:
        print(line)
    if said:
        sys.exit(1)
    print("%d functions, %d structs that are filled" % (functions, filled))


main()
