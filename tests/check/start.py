# SPDX-License-Identifier: Apache-2.0
"""
What the start of a short command costs: how much the dynamic linker relocates in us and in how many pages, and
how many page faults more a program has than with a library that does nothing. usage: start.py LIBRARY EMPTY
"""
import os
import re
import subprocess
import sys

RELOCATIONS = 560  # 450 to 510 today
PAGES = 4          # 3 today
FAULTS = 7         # 2 to 5 today
RUNS = 20
PAGE = 4096


def relocated(library):
    done = subprocess.run(['readelf', '-rW', library], check=True, capture_output=True, text=True)
    return [int(at, 16) for at in re.findall(r'^([0-9a-f]+) +[0-9a-f]+ R_', done.stdout, re.M)]


def faults(library):
    """The least of several runs: what else the machine does only adds to it."""
    least = sys.maxsize
    for _ in range(RUNS):
        pid = os.posix_spawn('/bin/true', ['true'], {'LD_PRELOAD': library})
        _, status, usage = os.wait4(pid, 0)
        if status:
            sys.exit(f'{library}: status {status}')
        least = min(least, usage.ru_minflt)
    return least


def main():
    library, empty = map(os.path.abspath, sys.argv[1:])
    places = relocated(library)
    pages = {at // PAGE for at in places}
    ours, others = faults(library), faults(empty)
    told = f'{len(places)} relocations in {len(pages)} pages, {ours} page faults beside {others}'
    print(told)
    return not (0 < len(places) <= RELOCATIONS and len(pages) <= PAGES and 0 < ours <= others + FAULTS)


sys.exit(main())
