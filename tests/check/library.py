# SPDX-License-Identifier: Apache-2.0
"""
How the library is linked and that it loads: libc is all it needs, no executable stack, no page that is
writable and executable, never unloaded, and LD_BIND_NOW finds every symbol. usage: library.py LIBRARY
"""
import os
import re
import subprocess
import sys


def readelf(option, library):
    return subprocess.run(['readelf', '-W', option, library], check=True, capture_output=True, text=True).stdout


def main():
    library = os.path.abspath(sys.argv[1])
    wrong = []
    dynamic = readelf('-d', library)
    segments = readelf('-l', library)
    needed = re.findall(r'\(NEEDED\).*\[(.*)\]', dynamic)
    if needed != ['libc.so.6']:
        wrong.append(f'needs {needed}')
    for what, pattern, text in (('soname', r'\(SONAME\).*\[libotel-preload\.so\]', dynamic),
                                ('not NODELETE', r'NODELETE', dynamic), ('not bound at start', r'NOW', dynamic),
                                ('no RELRO', r'GNU_RELRO', segments), ('stack', r'GNU_STACK .* RW  ', segments)):
        if not re.search(pattern, text):
            wrong.append(what)
    wrong += ['text relocations'] * ('TEXTREL' in dynamic) + ['initfirst'] * ('INITFIRST' in dynamic)
    wrong += ['writable and executable'] * bool(re.search(r'^ +LOAD .* RWE ', segments, re.M))
    for environment in ({'LD_BIND_NOW': '1'}, {}):
        done = subprocess.run(['/bin/echo', 'loaded'], env={'LD_PRELOAD': library, **environment},
                              capture_output=True, text=True, check=False)
        if (done.returncode, done.stdout, done.stderr) != (0, 'loaded\n', ''):
            wrong.append(f'{environment}: {done}')
    print('\n'.join(wrong) or 'loads')
    return bool(wrong)


sys.exit(main())
