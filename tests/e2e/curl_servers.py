# SPDX-License-Identifier: Apache-2.0
"""What the libcurl tests need of servers beyond servers.py: TLS, a proxy, authentication, redirects of every kind."""
import re
import socket
import ssl
import subprocess
import threading

from servers import Closed, Origin, answer


def make_certificate(folder):
    """A self-signed certificate for localhost. Return: (certificate, key)."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return certificate, key


def on_redirect_to(server, connection, request, status, target):
    location = target if ":/" in target else "/" + target
    answer(connection, request, int(status), b"elsewhere\n", [("Location", location)])


def on_digest(server, connection, request):
    if any("response=" in value for value in request.header("Authorization")):
        answer(connection, request, 200, b"welcome\n")
    else:
        answer(connection, request, 401, b"who?\n", [("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')])


def on_last(server, connection, request):
    """Promises to stay, and hangs up as soon as the next request comes."""
    answer(connection, request, 200, b"last\n")
    connection.sock.recv(1)
    raise Closed


def on_slow_ms(server, connection, request, milliseconds):
    server.stopping.wait(int(milliseconds) / 1000)
    answer(connection, request, 200, b"slow\n")


ROUTES = [
    (r"/redirect/(30\d)/(.+)", on_redirect_to), (r"/digest", on_digest), (r"/last", on_last),
    (r"/slow/(\d+)", on_slow_ms),
]


class CurlOrigin(Origin):
    def __enter__(self):
        super().__enter__()
        self.url = f"http://localhost:{self.port}"
        return self

    def _respond(self, connection, request):
        for pattern, handler in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match:
                self._note(request)
                handler(self, connection, request, *match.groups())
                return
        super()._respond(connection, request)

    def _note(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()


class SecureOrigin(CurlOrigin):
    def __init__(self, certificate):
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)

    def __enter__(self):
        super().__enter__()
        self.url = f"https://localhost:{self.port}"
        return self

    def _serve(self, connection):
        with self.changed:
            self.open.discard(connection.sock)
        try:
            connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
        except (OSError, ValueError):
            connection.sock.close()
            return
        with self.changed:
            self.open.add(connection.sock)
        super()._serve(connection)


class Proxy(CurlOrigin):
    """Answers absolute-form requests itself, opens tunnels to loopback, but none to refused.invalid."""

    def _respond(self, connection, request):
        if request.method != "CONNECT":
            super()._respond(connection, request)
            return
        self._note(request)
        host, port = request.target.rsplit(":", 1)
        if host == "refused.invalid":
            answer(connection, request, 403)
            raise Closed
        with socket.create_connection(("127.0.0.1", int(port))) as far:
            connection.sock.sendall(b"HTTP/1.1 200 Tunnel\r\n\r\n")
            back = threading.Thread(target=pump, args=(far, connection.sock), daemon=True)
            back.start()
            pump(connection.sock, far)
            back.join(10)
        raise Closed


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side is gone: the other notices
