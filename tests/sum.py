#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what meson's test logs and pytest's reports say; the last line is "N passed, N failed".

What a failed test printed is repeated (its end), so that the end of a long log tells why.

    sum.py FILE...    *.json: meson's testlog, *.xml: JUnit. A report that is missing is a failure.
"""
import json
import sys
import xml.etree.ElementTree
from pathlib import Path

KEPT_LINES = 30
MESON = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}


def meson_results(path):
    for line in path.read_text().splitlines():
        test = json.loads(line)
        printed = f"{test.get('stdout') or ''}{test.get('stderr') or ''}"
        yield f"{path.parts[0]}: {test['name']}", MESON.get(test["result"], "failed"), printed


def junit_results(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        result = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        printed = "".join(child.text or "" for child in case if child.tag in ("failure", "error"))
        yield f"{case.get('classname')}::{case.get('name')}", result, printed


def main(names):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in map(Path, names):
        try:
            results = list((meson_results if path.suffix == ".json" else junit_results)(path))
        except (OSError, ValueError, xml.etree.ElementTree.ParseError) as error:
            results = [(f"{path} ({error})", "failed", "")]
        if not results:
            results = [(f"{path} (no tests in it)", "failed", "")]
        for name, result, printed in results:
            count[result] += 1
            if result != "passed":
                print(f"{result}: {name}")
            if result == "failed":
                print(*(f"    {line}" for line in printed.splitlines()[-KEPT_LINES:]), sep="\n")
    if count["skipped"]:
        print(f"{count['skipped']} skipped")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
