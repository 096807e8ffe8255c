#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""README's table of settings against agent/config/config.def: fails when it is stale, --write renews it."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "agent" / "config" / "config.def"
README = ROOT / "README.md"
BEGIN = re.compile(r"<!-- settings:[^>]*-->\n")
END = "<!-- /settings -->"
STRING = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(rf'^SETTING\((\w+),\s*{STRING},\s*(\w+)(?:\((\w+)\))?,\s*{STRING},\s*(\w+),\s*((?:{STRING}\s*)+)\)', re.M)


def unquote(text):
    return re.sub(r"\\(.)", r"\1", text)


def rows():
    source = TABLE.read_text()
    found = ROW.findall(source)
    if len(found) != len(re.findall(r"^SETTING\(", source, re.M)):
        sys.exit(f"{TABLE}: a row that this script cannot read")
    for _, env, _, _, default, _, help_texts, *_ in found:
        help_text = unquote("".join(re.findall(STRING, help_texts)))
        yield env, unquote(default), help_text


def cell(text):
    return text.replace("|", "\\|").replace("<", "\\<")


def option(env):
    return "--" + re.sub(r"^OTEL_(INSTRUMENT_)?", "", env).lower()


def table():
    lines = ["| variable | option | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{env}` | `{option(env)}` | {f'`{cell(default)}`' if default else ''} | {cell(help_text)} |"
              for env, default, help_text in rows()]
    return "\n".join(lines) + "\n"


def main(write):
    text = README.read_text()
    begin = BEGIN.search(text)
    end = text.find(END)
    if not begin or end < begin.end():
        sys.exit(f"{README}: the marks around the settings are missing")
    renewed = text[:begin.end()] + table() + text[end:]
    if write:
        README.write_text(renewed)
    elif renewed != text:
        sys.exit("README.md: the table of settings is stale; ./dev settings renews it")


if __name__ == "__main__":
    main("--write" in sys.argv[1:])
