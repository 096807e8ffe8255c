# SPDX-License-Identifier: Apache-2.0
"""The library exports exactly the rows of hooks.def: usage exports.py LIBRARY HOOKS_DEF"""
import re
import subprocess
import sys


def rows(path):
    with open(path, encoding='utf-8') as f:
        return re.findall(r'^HOOK\((\w+),', f.read(), re.M)


def main():
    library, table = sys.argv[1:]
    names = rows(table)
    listed = subprocess.run(['nm', '-D', '--defined-only', library], check=True, capture_output=True, text=True)
    exported = {line.split()[-1].split('@')[0] for line in listed.stdout.splitlines()}
    wrong = [f'exported without a row: {name}' for name in sorted(exported - set(names))]
    wrong += [f'row without a wrapper: {name}' for name in sorted(set(names) - exported)]
    wrong += [f'two rows: {name}' for name in sorted({n for n in names if names.count(n) > 1})]
    if not names:
        wrong.append('no rows found')
    print('\n'.join(wrong) or f'{len(names)} names')
    return bool(wrong)


sys.exit(main())
