# SPDX-License-Identifier: Apache-2.0
"""HTTPS clients of every kind, each to GET or to POST a file; what they print is what they got."""
from serving import PYTHON

# Each is told the URL, the authority's file, and for a POST the file with the body; prints what it got.
URLLIB = """import sys, urllib.request as u
body = open(sys.argv[3], 'rb').read() if sys.argv[3:] else None
sys.stdout.buffer.write(u.urlopen(sys.argv[1], data=body).read())"""
REQUESTS = """import sys, requests
r = requests.post(sys.argv[1], data=open(sys.argv[3], 'rb')) if sys.argv[3:] else requests.get(sys.argv[1])
sys.stdout.buffer.write(r.content)"""
HTTPX = """import sys, httpx
with httpx.Client(http2=HTTP2, verify=sys.argv[2]) as c:
    r = c.post(sys.argv[1], content=open(sys.argv[3], 'rb').read()) if sys.argv[3:] else c.get(sys.argv[1])
    sys.stdout.buffer.write(r.content)"""
AIOHTTP = """import aiohttp, asyncio, ssl, sys
async def main():
    async with aiohttp.ClientSession() as s:
        more = {'ssl': ssl.create_default_context()}
        ask = s.post(sys.argv[1], data=open(sys.argv[3], 'rb'), **more) if sys.argv[3:] else s.get(sys.argv[1], **more)
        async with ask as r: sys.stdout.buffer.write(await r.read())
asyncio.run(main())"""
LWP = """use LWP::UserAgent; my ($url, $ca, $file) = @ARGV; binmode STDOUT;
my $ua = LWP::UserAgent->new(ssl_opts => {SSL_ca_file => $ca});
my $body = ''; if ($file) { open my $f, '<:raw', $file or die; local $/; $body = <$f>; }
my $r = $file ? $ua->post($url, Content => $body) : $ua->get($url); print $r->code, $r->content;"""
PHP = """[, $url, $ca] = $argv; $how = isset($argv[3])
    ? ['http' => ['method' => 'POST', 'header' => 'Content-Type: text/plain', 'content' => file_get_contents($argv[3])]] : [];
echo file_get_contents($url, false, stream_context_create($how + ['ssl' => ['cafile' => $ca]]));"""
PHP_CURL = """[, $url, $ca] = $argv; $c = curl_init($url);
curl_setopt_array($c, [CURLOPT_CAINFO => $ca, CURLOPT_HTTP_VERSION => WHICH]);
if (isset($argv[3])) curl_setopt($c, CURLOPT_POSTFIELDS, file_get_contents($argv[3]));
curl_exec($c); echo curl_error($c);"""
RUBY = """require 'net/http'; url = URI(ARGV[0])
print ARGV[2] ? Net::HTTP.post(url, File.binread(ARGV[2]), 'Content-Type' => 'text/plain').body : Net::HTTP.get(url)"""
LUA = """local https, ltn12 = require 'ssl.https', require 'ltn12'
local file = arg[3] and assert(io.open(arg[3], 'rb'))
local how = {url = arg[1], cafile = arg[2], verify = 'peer', protocol = 'any', sink = ltn12.sink.file(io.stdout)}
if file then
    how.method, how.source = 'POST', ltn12.source.file(assert(io.open(arg[3], 'rb')))
    how.headers = {['content-length'] = file:seek('end')}
end
assert(https.request(how))"""
SSLEAY = """use IO::Socket::SSL; my ($url, $ca, $file) = @ARGV; my ($h, $p, $t) = $url =~ m{https://([^:/]+):(\\d+)(.*)};
my $s = IO::Socket::SSL->new(PeerAddr => $h, PeerPort => $p, SSL_ca_file => $ca) or die $SSL_ERROR; binmode STDOUT;
my $body = ''; if ($file) { open my $f, '<:raw', $file or die; local $/; $body = <$f>; }
print $s ($file ? 'POST' : 'GET') . " $t HTTP/1.1\\r\\nHost: $h:$p\\r\\nConnection: close\\r\\n"
    . ($file ? 'Content-Length: ' . length($body) . "\\r\\n" : '') . "\\r\\n$body"; local $/; print <$s>;"""

S_CLIENT = 'exec openssl s_client -quiet -verify_return_error -CAfile "$2" -connect "$HOST" <"$RAW"'
GNUTLS = """mkfifo "$RAW.fifo"; exec 3<>"$RAW.fifo"; rm "$RAW.fifo"; cat "$RAW" >&3 &
exec gnutls-cli --logfile=/dev/null --x509cafile="$2" "$HOST" <&3"""  # which waits for long after the end of its input

WORDS = ["@URL", "@CA"]
CLIENTS = {  # command, what it has in addition for a POST
    "curl": (["curl", "-sS", "--http1.1", "@URL"], ["--data-binary", "@@BODY"]),
    "wget": (["wget", "-q", "--tries=1", "-O", "-", "@URL"], ["--post-file=@BODY"]),
    "wget2": (["wget2", "-q", "--tries=1", "--no-http2", "--ca-certificate=@CA", "-O", "-", "@URL"], ["--post-file=@BODY"]),
    "python-urllib": ([PYTHON, "-c", URLLIB, *WORDS], ["@BODY"]),
    "python-requests": ([PYTHON, "-c", REQUESTS, *WORDS], ["@BODY"]),
    "python-httpx": ([PYTHON, "-c", HTTPX.replace("HTTP2", "False"), *WORDS], ["@BODY"]),
    "python-aiohttp": ([PYTHON, "-c", AIOHTTP, *WORDS], ["@BODY"]),
    "perl-lwp": (["perl", "-e", LWP, *WORDS], ["@BODY"]),
    "perl-io-socket-ssl": (["perl", "-e", SSLEAY, *WORDS], ["@BODY"]),
    "php-streams": (["php", "-r", PHP, "--", *WORDS], ["@BODY"]),
    "php-curl": (["php", "-r", PHP_CURL.replace("WHICH", "CURL_HTTP_VERSION_1_1"), "--", *WORDS], ["@BODY"]),
    "ruby-net-http": (["ruby", "-e", RUBY, *WORDS], ["@BODY"]),
    "lua-https": (["lua5.4", "-e", LUA, "-", *WORDS], ["@BODY"]),
    "openssl-s_client": (["sh", "-c", S_CLIENT, "sh", *WORDS], []),
    "gnutls-cli": (["sh", "-c", GNUTLS, "sh", *WORDS], []),
}
CLIENTS_2 = {
    "curl": (["curl", "-sS", "--http2", "@URL"], ["--data-binary", "@@BODY"]),
    "wget2": (["wget2", "-q", "--tries=1", "--ca-certificate=@CA", "-O", "-", "@URL"], ["--post-file=@BODY"]),
    "python-httpx": ([PYTHON, "-c", HTTPX.replace("HTTP2", "True"), *WORDS], ["@BODY"]),
    "php-curl": (["php", "-r", PHP_CURL.replace("WHICH", "CURL_HTTP_VERSION_2TLS"), "--", *WORDS], ["@BODY"]),
    "nghttp": (["nghttp", "@URL"], ["-d", "@BODY"]),
}


LARGE = 10 << 20
BEYOND = {  # them, without us as well: wget2 sends no large body, and with HTTP/2 none at all; gnutls-cli prints byte by byte
    ("1.1", "wget2", "POST", LARGE), ("2", "wget2", "POST", 10), ("2", "wget2", "POST", LARGE),
    ("1.1", "gnutls-cli", "GET", LARGE), ("1.1", "gnutls-cli", "POST", LARGE),
}


class Client:
    """One of the tables' rows, against the servers of one authority."""

    def __init__(self, run, row, authority, folder):
        self.run, self.row, self.ca = run, row, authority.ca
        self.raw = folder / "raw"
        (folder / "wgetrc").write_text(f"ca_certificate={self.ca}\n")
        self.env = {**authority.trusted, "WGETRC": str(folder / "wgetrc"), "RAW": str(self.raw)}

    def __call__(self, url, body=None, **more):
        """body: a file, for a POST."""
        host, _, target = url.removeprefix("https://").partition("/")
        self._write_raw(host, target, body)
        command = self.row[0] + (self.row[1] if body else [])
        for mark, word in (("@URL", url), ("@CA", self.ca), ("@BODY", body)):
            command = [part.replace(mark, str(word)) for part in command]
        return self.run(command, {**self.env, "HOST": host}, **more)

    def _write_raw(self, host, target, body):
        """The whole request, for programs that know nothing of HTTP."""
        content = body.read_bytes() if body else b""
        lines = [f"{'POST' if body else 'GET'} /{target} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"Content-Length: {len(content)}"] if body else []
        self.raw.write_bytes("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
