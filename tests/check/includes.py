# SPDX-License-Identifier: Apache-2.0
"""Who may include what: the direction of dependencies. usage: includes.py SOURCE_ROOT"""
import os
import re
import sys

BASE = ('agent/base/',)
DATA = BASE + ('agent/config/', 'agent/record/', 'agent/ring/')
WORLD = ('agent/process.h',)
# The tap's headers, and the two of trace that libcurl's seam needs for what it puts into a request.
TAP = ('agent/tap/', 'agent/trace/cause.h', 'agent/trace/context.h', 'agent/trace/scope.h', 'agent/trace/traceparent.h')
IDS = ('agent/trace/context.h',)  # plain data: the ids of a span
# The first row whose prefix fits the including file.
RULES = (
    ('agent/base/', BASE),
    ('agent/config/', BASE + ('agent/config/',)),
    ('agent/record/', BASE + IDS + ('agent/config/', 'agent/record/')),
    # What the in-process home shares with the thread that it starts.
    ('agent/ring/home_thread.c', DATA + WORLD + ('export/inproc/inproc.h',)),
    ('agent/ring/', DATA + WORLD),
    ('agent/proto/', BASE + ('agent/proto/',)),
    ('agent/trace/', DATA + ('agent/trace/',)),
    ('agent/flow/', DATA + WORLD + ('agent/proto/', 'agent/trace/', 'agent/flow/')),
    ('agent/tap/', DATA + WORLD + ('agent/trace/', 'agent/flow/', 'agent/tap/')),
    ('agent/process', BASE + WORLD),
    ('agent/lifecycle', DATA + WORLD + ('agent/trace/', 'agent/flow/', 'agent/tap/', 'agent/lifecycle.h')),
    ('hooks/preload.c', DATA + ('agent/tap/', 'agent/lifecycle.h', 'hooks/', 'export/export.h')),
    ('hooks/', BASE + TAP + ('agent/lifecycle.h', 'hooks/')),
    ('export/', DATA + ('agent/trace/traceparent.h', 'export/')),
    ('launcher/', BASE + ('agent/config/', 'launcher/')),
)
ROOTS = ('agent', 'hooks', 'export', 'launcher')


def sources(root):
    for top in ROOTS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith(('.c', '.h')):
                    yield os.path.relpath(os.path.join(folder, name), root)


def complaints(root, path):
    allowed = next((may for prefix, may in RULES if path.startswith(prefix)), None)
    if allowed is None:
        return [f'{path}: no rule for this file']
    with open(os.path.join(root, path), encoding='utf-8') as f:
        included = re.findall(r'^\s*#\s*include\s+"([^"]+)"', f.read(), re.M)
    ours = [i for i in included if i.split('/')[0] in ROOTS]
    return ([f'{path}: may not include {i}' for i in ours if not i.startswith(allowed)]
            + [f'{path}: {i} is not given from the root' for i in included
               if i not in ours and os.path.exists(os.path.join(root, os.path.dirname(path), i))])


def main():
    root = sys.argv[1]
    files = list(sources(root))
    wrong = [line for path in files for line in complaints(root, path)]
    if not files:
        wrong.append('no sources found')
    print('\n'.join(wrong) or f'{len(files)} files')
    return bool(wrong)


sys.exit(main())
