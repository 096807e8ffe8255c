# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of the test's own, by the openssl command."""
import ssl
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs for localhost and 127.0.0.1; ca is what its clients must trust."""

    def __init__(self, folder):
        self.ca, self.ca_key = folder / "ca.pem", folder / "ca.key"
        self.cert, self.key = folder / "server.pem", folder / "server.key"
        names = folder / "names"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-x509", *KEY, "-keyout", self.ca_key, "-out", self.ca, "-days", 3650, "-subj", "/CN=Test CA")
        openssl("req", *KEY, "-keyout", self.key, "-out", folder / "server.csr", "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", folder / "server.csr", "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
                "-days", 3650, "-extfile", names, "-out", self.cert)

    def server(self, **more):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        for name, value in more.items():
            setattr(context, name, value)
        return context

    def client(self):
        return ssl.create_default_context(cafile=self.ca)

    @property
    def trusted(self):
        """Environment of a client that trusts it."""
        return {"SSL_CERT_FILE": str(self.ca), "REQUESTS_CA_BUNDLE": str(self.ca), "CURL_CA_BUNDLE": str(self.ca),
                "GIT_SSL_CAINFO": str(self.ca)}
