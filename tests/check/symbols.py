# SPDX-License-Identifier: Apache-2.0
"""
What the library needs of libc: nothing that allocates, waits, prints or ends the host, nothing newer
than glibc 2.28; and the agent reaches no call that we wrap.
usage: symbols.py LIBRARY HOOKS_DEF AGENT_ARCHIVE...
"""
import re
import subprocess
import sys

NEWEST = (2, 28)
# Weak, on the in-process home's own thread only: it loads the worker.
OWN_THREAD = {'dlopen', 'dlsym'}
# The hooks of exec, system and popen: what libc would pass on, never written; and the stream that a host asks for.
HOOKS_ONLY = {'environ', 'fdopen'}
FORBIDDEN = set('''
malloc calloc realloc reallocarray free posix_memalign aligned_alloc memalign strdup strndup asprintf vasprintf
printf fprintf vprintf vfprintf sprintf vsprintf snprintf vsnprintf dprintf vdprintf puts fputs fwrite perror
fopen fopen64 fdopen freopen fflush stdin stdout stderr syslog vsyslog
pthread_mutex_lock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_cond_wait pthread_once sem_wait
getenv secure_getenv setenv putenv unsetenv environ
exit _exit abort assert_fail system popen sleep usleep nanosleep signal sigaction
dlopen dlsym dlvsym dlclose dlerror tls_get_addr
strtok strcpy strcat sprintf atoi atol gethostbyname getaddrinfo strerror localtime gmtime
setjmp longjmp vfork fork
'''.split())


def undefined(kinds, *arguments):
    done = subprocess.run(['nm', *arguments], check=True, capture_output=True, text=True)
    fields = [line.split() for line in done.stdout.splitlines()]
    return [field[-1] for field in fields if len(field) > 1 and field[-2] in kinds]


def forbidden(symbol, weak):
    name = symbol.partition('@')[0]
    if name.endswith('_chk'):
        return True
    return name.removeprefix('__') in FORBIDDEN - HOOKS_ONLY and not (weak and name in OWN_THREAD)


def too_new(symbol):
    number = re.search(r'GLIBC_([\d.]+)', symbol)
    return bool(number) and tuple(map(int, number.group(1).split('.')))[:2] > NEWEST


def main():
    library, table, *archives = sys.argv[1:]
    strong = undefined('U', '-D', '--undefined-only', library)
    weak = undefined('wv', '-D', '--undefined-only', library)
    wrong = [f'forbidden: {symbol}' for symbol in strong if forbidden(symbol, False)]
    wrong += [f'forbidden: {symbol}' for symbol in weak if forbidden(symbol, True)]
    wrong += [f'too new: {symbol}' for symbol in strong + weak if too_new(symbol)]
    with open(table, encoding='utf-8') as f:
        hooked = set(re.findall(r'^HOOK\((\w+),', f.read(), re.M))
    for archive in archives:
        wrong += [f'{archive}: {name} is for hooks' for name in sorted(set(undefined('U', archive)) & HOOKS_ONLY)]
        wrong += [f'{archive}: calls {name}, which we wrap' for name in sorted(set(undefined('Uw', archive)) & hooked)]
    if not strong:
        wrong.append('the library needs nothing: not what was meant')
    print('\n'.join(wrong) or f'{len(strong + weak)} symbols needed')
    return bool(wrong)


sys.exit(main())
