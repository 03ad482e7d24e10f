# SPDX-License-Identifier: MIT
"""model.json: read, and laid out to be read."""
import json
import os

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


def read_manifest(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: not a manifest: {error}") from None


def read_base(path, folder):
    """A manifest to begin another with: its lexicon as seen from the other's folder."""
    base = read_manifest(path)
    try:
        lexicon = os.path.join(os.path.dirname(path), base["lexicon"])
        return {**base, "lexicon": os.path.relpath(lexicon, folder), "beam": base["beam"], "encoder": base["encoder"]}
    except KeyError as error:
        raise SystemExit(f"{path}: not a manifest: no {error}") from None


def write_manifest(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(entry(key, value, 2) for key, value in content.items()) + "\n}\n")
