# SPDX-License-Identifier: Apache-2.0
"""Real servers on loopback: each with a folder, a configuration and a port of its own, in the foreground until the end of
a with block. Their workers run as nobody when we are root, as they do everywhere."""
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from paths import APPS, LAUNCHER

PYTHON = "/usr/bin/python3"
SERVICES = Path(__file__).parent / "services"
BIG = 10 << 20
PORTS = range(12000, 32000)  # below those that the kernel gives to clients
DEADLINE_S = 20
ROOT = os.geteuid() == 0


def free_port():
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Site:
    """A folder that everybody can read: files to be served, and room for configurations."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="otel-site-", dir="/tmp"))
        self.path.chmod(0o755)
        self.files = self.path / "files"
        self.files.mkdir()
        (self.files / "hello.txt").write_text("hello\n")
        (self.files / "x.fail").write_text("")
        (self.files / "big.bin").write_bytes(random.Random(1).randbytes(BIG))
        for file in self.files.iterdir():
            os.utime(file, (1e9, 1e9))  # Apache trusts no file that has just been written
        for script in SERVICES.iterdir():
            if script.is_file():
                shutil.copy(script, self.path)
        self.numbers = itertools.count()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def folder(self, name):
        """A new one, in which nobody can write."""
        path = self.path / f"{name}-{next(self.numbers)}"
        path.mkdir()
        path.chmod(0o777)
        return path


@pytest.fixture(scope="session")
def site():
    with Site() as site:
        yield site


@dataclass
class Plan:
    """How a server is started. listen: a port, or the path of a UNIX socket."""
    command: list
    listen: object
    env: dict = field(default_factory=dict)
    name: str = "server"


def is_listening(listen):
    """Asks the kernel, so that no server sees a connection of ours."""
    if isinstance(listen, int):
        lines = [line for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()]
        return any(f"0100007F:{listen:04X} " in line and ":0000 0A " in line for line in lines)  # IPv6 names it as well
    lines = Path("/proc/net/unix").read_text().splitlines()
    return os.path.exists(listen) and any(f" {listen}" in line and " 00010000 " in line for line in lines)  # or renamed since


class Serving:
    """One server under a runner's collector: with our library or without."""

    def __init__(self, run, plan, env=None, instrumented=True):
        self.plan = plan
        self.instrumented = instrumented
        self.port = plan.listen
        self.command = [str(word) for word in plan.command]
        self.env = {**run.base, **plan.env}
        self.cwd = run.tmp_path
        if instrumented:
            self.command = [str(LAUNCHER), "--strict", "--", *self.command]
            self.env = run.env({**plan.env, "OTEL_SERVICE_NAME": plan.name, **(env or {})})

    def __enter__(self):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=self.output,
                                        start_new_session=True)  # Apache ends its whole process group
        self.pid = self.process.pid
        deadline = time.monotonic() + DEADLINE_S
        while not is_listening(self.plan.listen):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"{self.command} did not start: {self.said()}")
            time.sleep(0.005)
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGTERM)
        self.output.close()

    def stop(self, number):
        """Also the end of whoever it started."""
        self.process.send_signal(number)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"{self.command} did not stop: {self.said()}")

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def children(self):
        """Of all its threads."""
        return [int(pid) for each in Path(f"/proc/{self.pid}/task").glob("*/children") for pid in each.read_text().split()]


def nginx(site, server, http="access_log off;", listen=None, workers=1, connections=2048, tls=False,
          http2=False):
    """server: directives of the one server block; http: of the block around it."""
    folder = site.folder("nginx")
    listen = listen or free_port()
    flags = " ssl" * tls + " http2" * http2
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "conf").write_text(f"""
        {"user nobody nogroup;" if ROOT else ""}
        daemon off; pid {folder}/pid; error_log {folder}/error.log;
        worker_processes {workers}; worker_rlimit_nofile {connections + 100};
        events {{ worker_connections {connections}; }}
        http {{
            {temporary}
            default_type text/plain;
            {http}
            server {{
                listen {f"127.0.0.1:{listen}" if isinstance(listen, int) else f"unix:{listen}"}{flags};
                root {site.files};
                {server}
            }}
        }}""")
    return Plan(["/usr/sbin/nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "conf"], listen, name="nginx")


def apache(site, mpm, rules, modules=()):
    folder = site.folder("apache")
    port = free_port()
    load = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                     for name in (f"mpm_{mpm}", "authz_core", "alias", *modules))
    (folder / "conf").write_text(f"""
        ServerRoot {folder}
        {load}
        {"User nobody" if ROOT else ""}
        {"Group nogroup" if ROOT else ""}
        PidFile {folder}/pid
        ErrorLog {folder}/error.log
        DefaultRuntimeDir {folder}
        ServerName localhost
        Listen 127.0.0.1:{port}
        StartServers 2
        EnableSendfile On
        DocumentRoot {site.files}
        {rules}
        """)
    return Plan(["/usr/sbin/apache2", "-DFOREGROUND", "-f", folder / "conf"], port, name="apache")


def haproxy(site, rules, upstream=None, threads=1, listen=None):
    folder = site.folder("haproxy")
    listen = listen or free_port()
    (folder / "conf").write_text(f"""
global
    maxconn 2000
    nbthread {threads}
    {"user nobody" if ROOT else ""}
    {"group nogroup" if ROOT else ""}
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout http-request 30s
frontend front
    bind {f"127.0.0.1:{listen}" if isinstance(listen, int) else f"unix@{listen} mode 666"}
    {rules}
    {"default_backend back" if upstream else ""}
backend back
    http-reuse always
    {f"server one 127.0.0.1:{upstream}" if upstream else ""}
""")
    return Plan(["/usr/sbin/haproxy", "-db", "-f", folder / "conf"], listen, name="haproxy")


def lighttpd(site, rules, listen=None, modules=("mod_proxy",)):
    folder = site.folder("lighttpd")
    listen = listen or free_port()
    (folder / "conf").write_text(f"""
        server.modules = ({", ".join(f'"{name}"' for name in modules)})
        server.document-root = "{site.files}"
        server.errorlog = "{folder}/error.log"
        {f'server.bind = "127.0.0.1"{chr(10)}server.port = {listen}' if isinstance(listen, int)
         else f'server.bind = "{listen}"'}
        {'server.username = "nobody"' if ROOT else ""}
        server.upload-dirs = ("{folder}")
        server.max-keep-alive-requests = 100000
        {rules}
        """)
    return Plan(["/usr/sbin/lighttpd", "-D", "-f", folder / "conf"], listen, name="lighttpd")


def php_fpm(site, children=4):
    """Listens on a UNIX socket."""
    folder = site.folder("fpm")
    binary, = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"))[-1:]
    socket_path = folder / "socket"
    users = "user = nobody\ngroup = nogroup\nlisten.owner = nobody\n" if ROOT else ""
    (folder / "conf").write_text(f"[global]\nerror_log = {folder}/error.log\n[www]\n{users}listen = {socket_path}\n"
                                 f"pm = static\npm.max_children = {children}\n")
    return Plan([binary, "-F", "-y", folder / "conf"], str(socket_path), name="php-fpm")


def gunicorn(site, kind, *more, listen=None, app="wsgi:app", env=None):
    listen = listen or free_port()
    bind = f"127.0.0.1:{listen}" if isinstance(listen, int) else f"unix:{listen}"
    return Plan(["/usr/bin/gunicorn", "--chdir", site.path, "-w", "1", "-k", kind, *more, "-b", bind, app], listen,
                env or {}, name="gunicorn")


def http_server(site):
    port = free_port()
    return Plan([PYTHON, "-m", "http.server", "-b", "127.0.0.1", "-d", site.files, "-p", "HTTP/1.1", port], port,
                name="http.server")


def script(site, name, *more):
    """One of services/, which take their port as an argument."""
    interpreter = {".py": PYTHON, ".pl": "/usr/bin/perl"}[Path(name).suffix]
    port = free_port()
    return Plan([interpreter, site.path / name, port, *more], port, name=Path(name).stem)


def php_server(site, router):
    port = free_port()
    return Plan(["/usr/bin/php", "-S", f"127.0.0.1:{port}", "-t", site.files, site.path / router], port, name="php")


def app(name, *arguments, port=None):
    """One of tests/apps; "{port}" among its arguments is where it listens."""
    port = port or free_port()
    return Plan([APPS / name, *(str(word).replace("{port}", str(port)) for word in arguments)], port, name=name)
