# SPDX-License-Identifier: Apache-2.0
"""
Files under 500 lines, functions under 60, at most three levels of nesting, no endless lines, a licence
on every file. usage: lengths.py SOURCE_ROOT
"""
import os
import re
import sys

LIMITS = {'file': 499, 'function': 59, 'nesting': 3, 'columns': 120}
TEST_LIMITS = {'file': 999, 'function': 119, 'nesting': 4, 'columns': 140}  # tables of cases, scenarios
ROOTS = ('agent', 'hooks', 'export', 'launcher', 'tests')


def functions(lines):
    """Bodies as our style writes them: braces in the first column. Yields name line, first and last line."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == '{':
            start = number
        elif line.startswith('}') and start is not None:
            yield lines[start - 2], start, number
            start = None


def deepest(body):
    """Levels of blocks below the function's own; braces of initialisers and statement expressions are none."""
    code = re.sub(r'//.*|/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', '', body, flags=re.S)
    blocks, depth, most = [], 0, 0
    for brace in re.finditer(r'[{}]', code):
        if brace.group() == '{':
            block = bool(re.search(r'(?:\)|;|\{|\}|\belse|\bdo|:)\s*$', code[:brace.start()]))
            blocks.append(block)
            depth += block
            most = max(most, depth)
        elif blocks:
            depth -= blocks.pop()
    return most


def complaints(root, path):
    limits = TEST_LIMITS if path.startswith('tests') else LIMITS
    with open(os.path.join(root, path), encoding='utf-8') as f:
        lines = f.read().split('\n')
    wrong = []
    if len(lines) - 1 > limits['file']:
        wrong.append(f'{path}: {len(lines) - 1} lines')
    if not any('SPDX-License-Identifier: Apache-2.0' in line for line in lines[:3]):
        wrong.append(f'{path}: no licence line')
    wrong += [f'{path}:{n}: {len(line)} columns' for n, line in enumerate(lines, 1) if len(line) > limits['columns']]
    for name, first, last in functions(lines) if path.endswith('.c') else []:
        if last - first + 1 > limits['function']:
            wrong.append(f'{path}:{first}: {last - first + 1} lines in {name}')
        levels = deepest('\n'.join(lines[first:last - 1]))
        if levels > limits['nesting']:
            wrong.append(f'{path}:{first}: {levels} levels in {name}')
    return wrong


def main():
    root = sys.argv[1]
    wrong, seen = [], 0
    for top in ROOTS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(('.c', '.h', '.def', '.py')) or name == 'meson.build':
                    seen += 1
                    wrong += complaints(root, os.path.relpath(os.path.join(folder, name), root))
    if not seen:
        wrong.append('no sources found')
    print('\n'.join(wrong) or f'{seen} files')
    return bool(wrong)


sys.exit(main())
