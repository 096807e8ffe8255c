# SPDX-License-Identifier: Apache-2.0
"""
Host programs say the same with and without us, alone and beside others: results, errno, output, exit
status. usage: behaviour.py LIBRARY OTHER_PRELOAD HOST_CALLS HOST_HTTP
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

REQUESTS = 12
QUIET = {'OTEL_TRACES_EXPORTER': 'none'}


def run(program, preload, **environment):
    env = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C', **environment}
    if preload:
        env['LD_PRELOAD'] = ':'.join(preload)
    done = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def without_us(stderr):
    """What only tests know of: the count of headers, the other preload's words."""
    return re.sub(r'^(contexts|other preload).*\n', '', stderr, flags=re.M)


class Comparison:
    def __init__(self, calls, http):
        self.programs = {program: run(program, []) for program in (calls, http)}
        self.http = http
        self.wrong = []

    def expect(self, what, condition, told):
        if not condition:
            self.wrong.append(f'{what}: {told}')

    def same(self, what, preload, contexts, other=False, **environment):
        for program, plain in self.programs.items():
            ours = run(program, preload, **{**QUIET, **environment})
            self.expect(what, ours[0] == plain[0], f'{program}: status {ours[0]}, not {plain[0]}')
            for part in (1, 2):
                lines = difflib.unified_diff(without_us(plain[part]).split('\n'), without_us(ours[part]).split('\n'),
                                             'without', 'with', lineterm='', n=1)
                difference = '\n'.join(lines)
                self.expect(what, not difference, f'{program}\n{difference}')
            if program == self.http:
                self.expect(what, f'contexts {contexts} of {REQUESTS}\n' in ours[2], ours[2])
                self.expect(what, not other or 'other preload: some writes, some sends\n' in ours[2], ours[2])


def main():
    library, other, calls, http = map(os.path.abspath, sys.argv[1:])
    comparison = Comparison(calls, http)
    comparison.expect('without', f'contexts 0 of {REQUESTS}' in comparison.programs[http][2], 'a context from nowhere')
    comparison.same('alone', [library], REQUESTS)
    comparison.same('bound at start', [library], REQUESTS, LD_BIND_NOW='1')
    comparison.same('switched off', [library], 0, OTEL_SDK_DISABLED='true')
    comparison.same('after another preload', [other, library], REQUESTS, other=True)
    comparison.same('before another preload', [library, other], REQUESTS, other=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(library, folder)
        comparison.same('two copies', [library, copy], REQUESTS)
    print('\n'.join(comparison.wrong) or 'same behaviour')
    return bool(comparison.wrong)


sys.exit(main())
