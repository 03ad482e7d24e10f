# SPDX-License-Identifier: MIT
"""model.json, laid out to be read."""
import json

COLUMNS = 110


def entry(key, value, indent):
    """One key with its value; what is too long for a line goes on below its opening bracket."""
    head = " " * indent + json.dumps(key) + ": "
    line = head + json.dumps(value)
    if len(line) <= COLUMNS or not isinstance(value, (dict, list)):
        return line
    if isinstance(value, dict):
        opening, closing, parts = "{", "}", [json.dumps({name: part})[1:-1] for name, part in value.items()]
    else:
        opening, closing, parts = "[", "]", [json.dumps(part) for part in value]
    lines = [head + opening + parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 3 > COLUMNS:
            lines[-1] += ","
            lines.append(" " * (len(head) + 1) + part)
        else:
            lines[-1] += ", " + part
    return "\n".join(lines) + closing


def write_manifest(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(entry(key, value, 2) for key, value in content.items()) + "\n}\n")
