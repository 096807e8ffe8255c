/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1: one table of messages, fed whole, in every split, against a guard page, with rewinds. */
#include "agent/proto/http1.h"
#include "tests/unit/http1-log.h"
#include "tests/unit/unit.h"

#define TEXT_MAX 200
#define PAIRS_MAX 130 /* up to this length every pair of splits is tried */
#define GUARDED 4096

struct message {
        const char *title;
        enum http1_role role;
        const char *answers;
        const char *bytes;
        const char *expect; /* what the log says, without offsets */
};

#define REQ HTTP1_REQUESTS, ""
#define RSP HTTP1_RESPONSES, ""

static const struct message messages[] = {
        /* Request lines. */
        {"plain", REQ, "GET /a?b HTTP/1.1\r\nHost: h:80\r\n\r\n",
         "begin blank GET /a?b 1.1 host=h:80 keep none head end eof"},
        {"no fields", REQ, "GET / HTTP/1.1\r\n\r\n", "begin blank GET / 1.1 keep none head end eof"},
        {"bare LF", REQ, "GET / HTTP/1.0\nHost: h\n\n",
         "begin blank GET / 1.0 host=h close lf none head end eof"},
        {"mixed lines", REQ, "GET / HTTP/1.1\nA: b\nHost: h\r\n\r\n",
         "begin blank GET / 1.1 host=h keep none head end eof"},
        {"LF before CRLF blank", REQ, "GET / HTTP/1.1\r\nA: b\n\r\n", "begin LOST"},
        {"CRLF before LF blank", REQ, "GET / HTTP/1.1\r\nA: b\r\n\n", "begin LOST"},
        {"CR without LF at the end", REQ, "GET / HTTP/1.1\r\n\rX", "begin blank GET / 1.1 keep none LOST"},
        {"double CR at the end", REQ, "GET / HTTP/1.1\r\n\r\r\n", "begin blank GET / 1.1 keep none LOST"},
        {"empty lines before", REQ, "\r\n\n\r\nGET / HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
         "begin blank GET / 1.1 keep none head end begin blank GET /2 1.1 keep none head end eof"},
        {"CR before", REQ, "\rGET / HTTP/1.1\r\n\r\n", " LOST"},
        {"other method", REQ, "x-!y~ /a HTTP/1.1\r\n\r\n", "begin blank x-!y~ /a 1.1 keep none head end eof"},
        {"longest method", REQ, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\n\r\n",
         "begin blank ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / 1.1 keep none head end eof"},
        {"method too long", REQ, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n\r\n", "begin LOST"},
        {"method too long, unfinished", REQ, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", "begin LOST"},
        {"not a method", REQ, "GE(T / HTTP/1.1\r\n\r\n", "begin LOST"},
        {"no method", REQ, " / HTTP/1.1\r\n\r\n", "begin LOST"},
        {"no target", REQ, "GET  HTTP/1.1\r\n\r\n", "begin LOST"},
        {"blank in target", REQ, "GET /a b HTTP/1.1\r\n\r\n", "begin LOST"},
        {"tab in target", REQ, "GET /a\tb HTTP/1.1\r\n\r\n", "begin LOST"},
        {"DEL in target", REQ, "GET /abcdefghijk\177b HTTP/1.1\r\n\r\n", "begin LOST"},
        {"high bytes in target", REQ, "GET /\xc3\xa9\xff\x80 HTTP/1.1\r\n\r\n",
         "begin blank GET /\xc3\xa9\xff\x80 1.1 keep none head end eof"},
        {"absolute form", REQ, "GET http://u@h/x HTTP/1.1\r\nHost: h\r\n\r\n",
         "begin blank GET http://u@h/x 1.1 host=h keep none head end eof"},
        {"asterisk", REQ, "OPTIONS * HTTP/1.1\r\n\r\n", "begin blank OPTIONS * 1.1 keep none head end eof"},
        {"0.9", REQ, "GET /\r\n", "begin LOST"},
        {"0.9 with a blank", REQ, "GET / \r\n", "begin LOST"},
        {"HTTP/2 preface", REQ, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "begin LOST"},
        {"higher minor", REQ, "GET / HTTP/1.7\r\n\r\n", "begin blank GET / 1.1 keep none head end eof"},
        {"two digits", REQ, "GET / HTTP/1.10\r\n\r\n", "begin LOST"},
        {"lower case version", REQ, "GET / http/1.1\r\n\r\n", "begin LOST"},
        {"blank after version", REQ, "GET / HTTP/1.1 \r\n\r\n", "begin LOST"},
        {"CR inside the version's end", REQ, "GET / HTTP/1.1\rA\n\r\n", "begin LOST"},
        {"redis", REQ, "GET /key\r\n", "begin LOST"},
        {"RTSP", REQ, "OPTIONS * RTSP/1.0\r\n\r\n", "begin LOST"},
        {"SIP", REQ, "OPTIONS sip:x SIP/2.0\r\n\r\n", "begin LOST"},
        {"ICAP", REQ, "OPTIONS icap://x ICAP/1.0\r\n\r\n", "begin LOST"},
        {"TLS", REQ, "\x16\x03\x01\x02", "begin LOST"},
        {"SMTP", REQ, "EHLO x\r\n", "begin LOST"},

        /* Field lines. */
        {"names in any case", REQ, "GET / HTTP/1.1\r\nHOST:h\r\nuSER-aGENT: u/1 (x; y)\r\n\r\n",
         "begin blank GET / 1.1 host=h ua=u/1 (x; y) keep none head end eof"},
        {"blanks around values", REQ, "GET / HTTP/1.1\r\nHost: \t h \t \r\nUser-Agent:\t a  b\t\r\n\r\n",
         "begin blank GET / 1.1 host=h ua=a  b keep none head end eof"},
        {"empty values", REQ, "GET / HTTP/1.1\r\nHost:\r\nUser-Agent: \r\nX:\r\n\r\n",
         "begin blank GET / 1.1 host= ua= keep none head end eof"},
        {"similar names", REQ, "GET / HTTP/1.1\r\nHosts: a\r\nHos: b\r\nPost: c\r\nuser_agent: d\r\n\r\n",
         "begin blank GET / 1.1 keep none head end eof"},
        {"long name", REQ,
         "GET / HTTP/1.1\r\nabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz: "
         "a\r\n\r\n",
         "begin blank GET / 1.1 keep none head end eof"},
        {"first host", REQ, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
         "begin blank GET / 1.1 host=a keep none head end eof"},
        {"blank before colon", REQ, "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "begin LOST"},
        {"no colon", REQ, "GET / HTTP/1.1\r\nHost\r\n\r\n", "begin LOST"},
        {"no name", REQ, "GET / HTTP/1.1\r\n: a\r\n\r\n", "begin LOST"},
        {"bad name", REQ, "GET / HTTP/1.1\r\nA/b: c\r\n\r\n", "begin LOST"},
        {"high byte in a name", REQ, "GET / HTTP/1.1\r\nA\xc3: c\r\n\r\n", "begin LOST"},
        {"CR in a value of interest", REQ, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "begin LOST"},
        {"double CR after a value of interest", REQ, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "begin LOST"},
        {"control in a value of interest", REQ, "GET / HTTP/1.1\r\nUser-Agent: abcdefghij\1klm\r\n\r\n",
         "begin LOST"},
        {"CR in another value", REQ, "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
         "begin blank GET / 1.1 keep none head end eof"},
        {"double CR after another value", REQ, "GET / HTTP/1.1\r\nX: a\r\r\n\r\n",
         "begin blank GET / 1.1 keep none head end eof"},

        /* Obsolete folding. */
        {"folded text", REQ, "GET / HTTP/1.1\r\nUser-Agent: a \r\n\t b\r\n  \r\n c\r\n\r\n",
         "begin blank GET / 1.1 ua=a  b c keep none head end eof"},
        {"folded before the value", REQ, "GET / HTTP/1.1\r\nHost:\r\n h\r\n\r\n",
         "begin blank GET / 1.1 host=h keep none head end eof"},
        {"folded other", REQ, "GET / HTTP/1.1\r\nX: a\r\n Host: no\r\nHost: h\r\n\r\n",
         "begin blank GET / 1.1 host=h keep none head end eof"},
        {"folded list", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n0\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head end eof"},
        {"folded number", REQ, "POST / HTTP/1.1\r\nContent-Length: 1\r\n 2\r\n\r\n", "begin LOST"},
        {"fold of the start line", REQ, "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "begin LOST"},
        {"fold of the empty line", REQ, "GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n",
         "begin blank GET / 1.1 host=h keep none head end eof"},

        /* Context headers. */
        {"context", REQ, "GET / HTTP/1.1\r\nTraceparent: 00-aa-bb-01\r\nTRACESTATE: a=1\r\n\r\n",
         "begin blank GET / 1.1 tp1 tp=00-aa-bb-01 ts=a=1 keep none head end eof"},
        {"two parents", REQ, "GET / HTTP/1.1\r\ntraceparent: 1\r\nX: y\r\ntraceparent: 2\r\n\r\n",
         "begin blank GET / 1.1 tp2 tp=1 keep none head end eof"},
        {"several states", REQ,
         "GET / HTTP/1.1\r\ntracestate: a=1 \r\ntracestate:\r\nHost: h\r\ntracestate: b=2\r\ntracestate: "
         "c=3\r\n\r\n",
         "begin blank GET / 1.1 host=h ts=a=1,b=2,c=3 keep none head end eof"},
        {"empty state first", REQ, "GET / HTTP/1.1\r\ntracestate: \r\nHost: h\r\ntracestate: b=2\r\n\r\n",
         "begin blank GET / 1.1 host=h ts=b=2 keep none head end eof"},
        {"folded joined state", REQ,
         "GET / HTTP/1.1\r\ntracestate: a\r\nHost: h\r\ntracestate:\r\n b\r\n\r\n",
         "begin blank GET / 1.1 host=h ts=a,b keep none head end eof"},

        /* Request bodies. */
        {"length", REQ, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n",
         "begin blank POST / 1.1 keep length=5 head end begin blank GET / 1.1 keep none head end eof"},
        {"length 0", REQ, "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
         "begin blank POST / 1.1 keep length=0 head end eof"},
        {"equal lengths", REQ, "POST / HTTP/1.1\r\nContent-Length: 2, 02\r\nContent-Length:2\r\n\r\nab",
         "begin blank POST / 1.1 keep length=2 head end eof"},
        {"differing lengths", REQ, "POST / HTTP/1.1\r\nContent-Length: 2, 3\r\n\r\nab", "begin LOST"},
        {"differing length fields", REQ,
         "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab", "begin LOST"},
        {"signed length", REQ, "POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nab", "begin LOST"},
        {"negative length", REQ, "POST / HTTP/1.1\r\nContent-Length: -2\r\n\r\nab", "begin LOST"},
        {"hex length", REQ, "POST / HTTP/1.1\r\nContent-Length: 0x2\r\n\r\nab", "begin LOST"},
        {"empty length", REQ, "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", "begin LOST"},
        {"half a length list", REQ, "POST / HTTP/1.1\r\nContent-Length: 5,\r\n\r\n", "begin LOST"},
        {"two words of length", REQ, "POST / HTTP/1.1\r\nContent-Length: 5 5\r\n\r\n", "begin LOST"},
        {"largest length", REQ, "POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\na",
         "begin blank POST / 1.1 keep length=9223372036854775807 head cut-off"},
        {"length overflow", REQ, "POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\na",
         "begin LOST"},
        {"endless length", REQ,
         "POST / HTTP/1.1\r\nContent-Length: 000000000000000000000000000000000\r\n\r\na", "begin LOST"},
        {"CR in length", REQ, "POST / HTTP/1.1\r\nContent-Length: 5\r5\r\n\r\n", "begin LOST"},
        {"chunked", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: "
         "Chunked\r\n\r\n5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n000\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head end eof"},
        {"padded chunk", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \t\r\na\r\n1 ;e\r\nb\r\n0\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head end eof"},
        {"trailers", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: t\r\ntraceparent: "
         "t\r\nContent-Length: x\r\nA: b\r\n c\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head end eof"},
        {"trailer without colon", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"fold of the last chunk", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n x\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"bad chunk size", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"no chunk size", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n;x\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"two chunk sizes", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 1\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"chunk size overflow", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"chunk longer than said", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"CR in chunk extension", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"LF in a request's chunk line", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"LF after a request's chunk", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n",
         "begin blank POST / 1.1 keep chunked head LOST"},
        {"all LF chunked", REQ, "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\na\n0\nA: b\n\n",
         "begin blank POST / 1.1 keep lf chunked head end eof"},
        {"both framings", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
         "begin LOST"},
        {"chunked not last", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
         "begin LOST"},
        {"chunked in the next field", REQ,
         "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: ,chunked ,\r\n\r\n0\r\n\r\n",
         "begin blank POST / 1.1 keep chunked head end eof"},
        {"chunked twice", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
         "begin LOST"},
        {"quoted coding", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: x;a=\"b, chunked\r\n\r\n",
         "begin LOST"},
        {"chunked with a word", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked x\r\n\r\n", "begin LOST"},
        {"empty coding", REQ, "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", "begin LOST"},
        {"chunked in 1.0", REQ, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "begin LOST"},

        /* Connection and its kin. */
        {"close", REQ, "GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n",
         "begin blank GET / 1.1 close none head end eof"},
        {"close among others", REQ, "GET / HTTP/1.1\r\nConnection: keep-alive ,,close, x\r\n\r\n",
         "begin blank GET / 1.1 close none head end eof"},
        {"not close", REQ, "GET / HTTP/1.1\r\nConnection: closed, not close\r\n\r\n",
         "begin blank GET / 1.1 keep none head end eof"},
        {"1.0", REQ, "GET / HTTP/1.0\r\n\r\n", "begin blank GET / 1.0 close none head end eof"},
        {"1.0 keep-alive", REQ, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "begin blank GET / 1.0 keep none head end eof"},
        {"1.0 close wins", REQ, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nConnection: close\r\n\r\n",
         "begin blank GET / 1.0 close none head end eof"},
        {"upgrade", REQ, "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
         "begin blank GET / 1.1 keep upgrade none head end eof"},
        {"expect", REQ, "PUT / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
         "begin blank PUT / 1.1 keep expect length=1 head end eof"},
        {"connect", REQ, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
         "begin blank CONNECT h:443 1.1 host=h:443 keep connect none head end eof"},
        {"not connect", REQ, "connect h:443 HTTP/1.1\r\n\r\n",
         "begin blank connect h:443 1.1 keep none head end eof"},

        /* Responses. */
        {"200", RSP, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
         "begin blank 200 1.1 keep length=2 head end eof"},
        {"no reason", RSP, "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
         "begin blank 404 1.1 keep length=0 head end eof"},
        {"no blank after status", RSP, "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
         "begin blank 404 1.1 keep length=0 head end eof"},
        {"until close", RSP, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
         "begin blank 200 1.1 close until-close head end eof"},
        {"bare LF, reason in UTF-8", RSP,
         "HTTP/1.0 200 \xc3\xa9\nConnection: keep-alive\nContent-Length: 1\n\na",
         "begin blank 200 1.0 keep lf length=1 head end eof"},
        {"mixed blank", RSP, "HTTP/1.1 200 OK\r\nContent-Length: 1\n\r\na",
         "begin blank 200 1.1 keep lf length=1 head end eof"},
        {"status too short", RSP, "HTTP/1.1 20 OK\r\n\r\n", "begin LOST"},
        {"status too long", RSP, "HTTP/1.1 2000 OK\r\n\r\n", "begin LOST"},
        {"status too small", RSP, "HTTP/1.1 099 OK\r\n\r\n", "begin LOST"},
        {"odd status", RSP, "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n",
         "begin blank 799 1.1 keep length=0 head end eof"},
        {"other version", RSP, "HTTP/2.0 200 OK\r\n\r\n", "begin LOST"},
        {"shoutcast", RSP, "ICY 200 OK\r\n\r\n", "begin LOST"},
        {"empty line before", RSP, "\r\nHTTP/1.1 200 OK\r\n\r\n", "begin LOST"},
        {"fold of the status line", RSP, "HTTP/1.1 200 OK\r\n x\r\n\r\n", "begin LOST"},
        {"close", RSP, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         "begin blank 200 1.1 close length=0 head end eof"},
        {"204", RSP, "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n",
         "begin blank 204 1.1 keep none head end eof"},
        {"304", RSP, "HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n",
         "begin blank 304 1.1 keep none head end eof"},
        {"205", RSP, "HTTP/1.1 205 Reset\r\n\r\n", "begin blank 205 1.1 close until-close head end eof"},
        {"to HEAD", HTTP1_RESPONSES, "HG",
         "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
         "begin blank 200 1.1 keep none head end begin blank 200 1.1 keep length=1 head end eof"},
        {"interim", RSP,
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 "
         "OK\r\nContent-Length: 0\r\n\r\n",
         "begin blank 100 1.1 keep none head begin blank 103 1.1 keep none head begin blank 200 1.1 keep "
         "length=0 head end eof"},
        {"101", RSP, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\1\2HTTP/1.1 200 OK\r\n\r\n",
         "begin blank 101 1.1 close tunnel head end eof"},
        {"to CONNECT", HTTP1_RESPONSES, "C", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\x16\3",
         "begin blank 200 1.1 close tunnel head end eof"},
        {"refused CONNECT", HTTP1_RESPONSES, "C", "HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx",
         "begin blank 407 1.1 keep length=1 head end eof"},
        {"chunked", RSP,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 77\r\n\r\n2\nab\n0\n\r\n",
         "begin blank 200 1.1 keep chunked head end eof"},
        {"chunked in 1.0", RSP,
         "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "begin blank 200 1.0 close chunked head end eof"},
        {"other coding", RSP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
         "begin blank 200 1.1 close until-close head end eof"},
        {"other coding and length", RSP,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", "begin LOST"},
        {"differing lengths", RSP, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
         "begin LOST"},
        {"requests' fields", RSP,
         "HTTP/1.1 200 OK\r\nHost: h\r\ntraceparent: t\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
         "begin blank 200 1.1 keep length=0 head end eof"},
        {"nothing", RSP, "", "cut-off"},
        {"garbage after", RSP, "HTTP/1.1 204 No\r\n\r\n\1",
         "begin blank 204 1.1 keep none head end begin LOST"},
};

static struct http1_log log_whole, log_split;
static char *guarded;

static void use_messages(void)
{
        static const char zeros[GUARDED];

        guarded = unit_guarded(zeros, GUARDED);
}

/* The bytes moved right before the forbidden page. */
static struct slice at_guard(const char *bytes, size_t len)
{
        ck_assert_uint_le(len, GUARDED);
        return slice_make(memcpy(guarded + GUARDED - len, bytes, len), len);
}

static bool feed_piece(struct http1_log *log, const char *bytes, size_t from, size_t to)
{
        return http1_log_feed(log, at_guard(bytes + from, to - from));
}

static void feed_whole(const struct message *m, size_t len, uint16_t text_max)
{
        http1_log_init(&log_whole, m->role, m->answers, text_max);
        if (feed_piece(&log_whole, m->bytes, 0, len))
                http1_log_eof(&log_whole);
}

/* Pieces that end at each of @cuts. */
static void feed_cuts(const struct message *m, uint16_t text_max, const size_t *cuts, size_t count)
{
        size_t from = 0;

        http1_log_init(&log_split, m->role, m->answers, text_max);
        for (size_t i = 0; i < count; from = cuts[i++])
                if (!feed_piece(&log_split, m->bytes, from, cuts[i]))
                        return;
        http1_log_eof(&log_split);
}

static void check_same(const struct message *m, const char *how, size_t a, size_t b)
{
        ck_assert(!log_whole.wrong && !log_split.wrong);
        ck_assert_msg(strcmp(log_split.text, log_whole.text) == 0, "%s, %s %zu %zu:\n  %s\n  %s", m->title,
                      how, a, b, log_split.text, log_whole.text);
}

static void feed_bytes(const struct message *m, uint16_t text_max)
{
        size_t len = strlen(m->bytes);

        http1_log_init(&log_split, m->role, m->answers, text_max);
        for (size_t i = 0; i < len; i++)
                if (!feed_piece(&log_split, m->bytes, i, i + 1))
                        return;
        http1_log_eof(&log_split);
}

#define EACH_MESSAGE(m) \
        (const struct message *m = messages; m < messages + sizeof(messages) / sizeof(*messages); m++)

START_TEST(test_feed_whole)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        http1_log_init(&log_whole, m->role, m->answers, TEXT_MAX);
                        log_whole.offsets = false;
                        if (feed_piece(&log_whole, m->bytes, 0, strlen(m->bytes)))
                                http1_log_eof(&log_whole);
                        ck_assert_msg(strcmp(log_whole.text, m->expect) == 0, "%s:\n  %s\n  %s", m->title,
                                      log_whole.text, m->expect);
                }
}
END_TEST

START_TEST(test_feed_byte_by_byte)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        feed_whole(m, strlen(m->bytes), TEXT_MAX);
                        feed_bytes(m, TEXT_MAX);
                        check_same(m, "bytes", 0, 0);
                }
}
END_TEST

START_TEST(test_feed_split_everywhere)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        feed_whole(m, len, TEXT_MAX);
                        for (size_t cut = 0; cut <= len; cut++) {
                                feed_cuts(m, TEXT_MAX, (size_t[]){cut, len}, 2);
                                check_same(m, "split at", cut, len);
                        }
                        for (size_t a = 0; len <= PAIRS_MAX && a <= len; a++)
                                for (size_t b = a; b <= len; b++) {
                                        feed_cuts(m, TEXT_MAX, (size_t[]){a, b, len}, 3);
                                        check_same(m, "splits at", a, b);
                                }
                }
}
END_TEST

/* Whatever does not fit is cut the same way in every split, and the rest of the head is still read. */
START_TEST(test_feed_with_little_room)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        for (uint16_t room = 0; room < 64; room++) {
                                feed_whole(m, len, room);
                                feed_bytes(m, room);
                                check_same(m, "bytes, room", room, 0);
                                for (size_t cut = 0; cut <= len; cut += 3) {
                                        feed_cuts(m, room, (size_t[]){cut, len}, 2);
                                        check_same(m, "split, room", cut, room);
                                }
                        }
                }
}
END_TEST

START_TEST(test_feed_when_texts_do_not_fit)
{
        static const char bytes[] = "GET /long-target HTTP/1.1\r\nUser-Agent: 0123456789abcdef\r\nHost: h\r\n"
                                    "traceparent: 0123456789\r\ntracestate: a\r\ntracestate: bcdefgh\r\n\r\n";
        static const struct {
                uint16_t room;
                const char *expect;
        } rows[] = {
                {0, "begin blank CUT CUT 1.1 host=CUT ua=CUT tp1 tp=CUT ts=CUT keep none head end eof"},
                {5, "begin blank GET CUT 1.1 host=h ua=CUT tp1 tp=CUT ts=CUT keep none head end eof"},
                {14, "begin blank GET CUT 1.1 host=h ua=CUT tp1 tp=0123456789 ts=CUT keep none head end eof"},
                {20,
                 "begin blank GET /long-target 1.1 host=h ua=CUT tp1 tp=CUT ts=CUT keep none head end eof"},
                {64, "begin blank GET /long-target 1.1 host=h ua=0123456789abcdef tp1 tp=0123456789 "
                     "ts=a,bcdefgh keep "
                     "none head end eof"},
        };

        use_messages();
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                http1_log_init(&log_whole, HTTP1_REQUESTS, "", rows[i].room);
                log_whole.offsets = false;
                ck_assert(feed_piece(&log_whole, bytes, 0, sizeof(bytes) - 1));
                http1_log_eof(&log_whole);
                ck_assert_str_eq(log_whole.text, rows[i].expect);
        }
}
END_TEST

START_TEST(test_feed_without_buffer)
{
        struct http1_sink nobody = {0};
        struct http1 parser;
        struct slice bytes =
                SLICE("GET / HTTP/1.1\r\ntraceparent: x\r\ntracestate: y\r\ntracestate: z\r\n\r\n");

        http1_init(&parser, HTTP1_REQUESTS);
        ck_assert_int_eq(http1_feed(&parser, bytes, &nobody), (long)bytes.len);
        ck_assert(parser.head.text[HTTP1_TRACEPARENT].present);
        ck_assert_uint_eq(parser.head.traceparent_count, 1);
        ck_assert_uint_eq(http1_text_get(&parser, HTTP1_METHOD).len, 0);
        ck_assert(!http1_busy(&parser));
        ck_assert(http1_eof(&parser, &nobody));
}
END_TEST

START_TEST(test_feed_when_the_sink_stops)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        feed_whole(m, len, TEXT_MAX);
                        http1_log_init(&log_split, m->role, m->answers, TEXT_MAX);
                        log_split.stop = true;
                        if (feed_piece(&log_split, m->bytes, 0, len))
                                http1_log_eof(&log_split);
                        check_same(m, "stopping", 0, 0);
                }
}
END_TEST

/* Where a head's blank line begins and ends, and where its body ends. */
START_TEST(test_feed_offsets)
{
        use_messages();
        http1_log_init(&log_whole, HTTP1_REQUESTS, "", 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
                                                   "GET / HTTP/1.1\n\n")));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "begin@2 blank@38 "));
        ck_assert_ptr_nonnull(strstr(log_whole.text, " head@40 end@42 begin@42 blank@57 "));
        ck_assert_ptr_nonnull(strstr(log_whole.text, " head@58 end@58"));
}
END_TEST

/* The blank line is told at its CR, before its LF was seen. */
START_TEST(test_feed_tells_blank_at_its_first_byte)
{
        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
        ck_assert(http1_log_feed(&log_whole, SLICE("GET / HTTP/1.1\r\nHost: h\r\n")));
        ck_assert_ptr_null(strstr(log_whole.text, "blank"));
        ck_assert(http1_log_feed(&log_whole, SLICE("\r")));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "blank@25"));
        ck_assert_ptr_null(strstr(log_whole.text, "head"));
}
END_TEST

static unsigned next_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

/* Feed ahead, go back, feed again: as a short write does. */
static void feed_with_rewinds(const struct message *m, uint16_t room, unsigned seed)
{
        size_t len = strlen(m->bytes), at = 0;
        struct http1_log_mark mark;

        http1_log_init(&log_split, m->role, m->answers, room);
        while (at < len) {
                size_t ahead = at + 1 + next_random(&seed) % (len - at),
                       middle = at + next_random(&seed) % (ahead - at);
                size_t keep = at + next_random(&seed) % (ahead - at + 1);

                http1_log_mark(&log_split, &mark);
                if (feed_piece(&log_split, m->bytes, at, middle))
                        (void)feed_piece(&log_split, m->bytes, middle, ahead);
                http1_log_rewind(&log_split, &mark);
                if (!feed_piece(&log_split, m->bytes, at, keep))
                        return;
                at = keep;
        }
        http1_log_eof(&log_split);
}

START_TEST(test_feed_after_rewinds)
{
        use_messages();
        for
                EACH_MESSAGE(m)
        for (unsigned seed = 0; seed < 300; seed++) {
                uint16_t room = seed % 3 ? TEXT_MAX : (uint16_t)(seed % 50);

                feed_whole(m, strlen(m->bytes), room);
                feed_with_rewinds(m, room, seed);
                check_same(m, "rewinds, seed", seed, room);
        }
}
END_TEST

/* Cut off anywhere: the same events as far as the bytes went, then an honest end. */
START_TEST(test_feed_truncated_everywhere)
{
        use_messages();
        for
                EACH_MESSAGE(m)
                {
                        size_t len = strlen(m->bytes);

                        http1_log_init(&log_whole, m->role, m->answers, TEXT_MAX);
                        (void)feed_piece(&log_whole, m->bytes, 0, len);
                        for (size_t cut = 0; cut < len; cut++) {
                                bool busy, complete;

                                http1_log_init(&log_split, m->role, m->answers, TEXT_MAX);
                                if (!feed_piece(&log_split, m->bytes, 0, cut))
                                        continue;
                                ck_assert_msg(strncmp(log_split.text, log_whole.text, log_split.len) == 0,
                                              "%s cut at %zu: %s", m->title, cut, log_split.text);
                                busy = http1_busy(&log_split.parser);
                                complete = strstr(log_split.text, "end@") ||
                                           strstr(log_split.text, " 1.1 keep none head@");
                                http1_log_eof(&log_split);
                                if (busy && !strstr(log_split.text, "until-close") &&
                                    !strstr(log_split.text, "tunnel"))
                                        ck_assert_ptr_nonnull(strstr(log_split.text, "cut-off"));
                                else if (!busy)
                                        ck_assert_int_eq(complete, !strstr(log_split.text, "cut-off"));
                        }
                }
}
END_TEST

#define PIPELINE 100

START_TEST(test_feed_pipeline)
{
        static char bytes[PIPELINE * 80];
        size_t len = 0, heads = 0;

        for (int i = 0; i < PIPELINE; i++)
                len += (size_t)snprintf(bytes + len, sizeof(bytes) - len,
                                        i % 2 ? "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
                                              : "POST /%d HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET",
                                        i);
        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
        ck_assert(http1_log_feed(&log_whole, slice_make(bytes, len)));
        for (const char *p = log_whole.text; (p = strstr(p, "head@")); p++)
                heads++;
        ck_assert_uint_eq(heads, PIPELINE);
        ck_assert_ptr_nonnull(strstr(log_whole.text, " GET /99 "));
        for (size_t step = 1; step < 300; step += 7) {
                http1_log_init(&log_split, HTTP1_REQUESTS, "", TEXT_MAX);
                for (size_t at = 0; at < len; at += step)
                        ck_assert(
                                http1_log_feed(&log_split, slice_to(slice_make(bytes + at, len - at), step)));
                ck_assert_str_eq(log_split.text, log_whole.text);
        }
}
END_TEST

static char *big_head(size_t len, const char *line)
{
        static const char start[] = "GET / HTTP/1.1\r\nHost: h\r\n";
        size_t line_len = strlen(line), at = sizeof(start) - 1;
        char *bytes = malloc(len + 1);

        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, start, at);
        while (len - at >= line_len + 16) {
                memcpy(bytes + at, line, line_len);
                at += line_len;
        }
        /* What is left: one line of exactly that length, and the blank one. */
        memcpy(bytes + at, "X: ", 3);
        memset(bytes + at + 3, 'x', len - at - 7);
        memcpy(bytes + len - 4, "\r\n\r\n", 5);
        return bytes;
}

static void feed_in_steps(const char *bytes, size_t len, size_t step, const char *expect)
{
        http1_log_init(&log_split, HTTP1_REQUESTS, "", TEXT_MAX);
        log_split.offsets = false;
        for (size_t at = 0; at < len; at += step)
                if (!http1_log_feed(&log_split, slice_to(slice_make(bytes + at, len - at), step)))
                        break;
        ck_assert_str_eq(log_split.text, expect);
}

START_TEST(test_feed_big_heads)
{
        static const size_t steps[] = {1, 7, 1000, LIMIT_HTTP_HEAD - 1, LIMIT_HTTP_HEAD, LIMIT_HTTP_HEAD + 1};
        static const char *const lines[] = {"Cookie: a=b\r\n", "User-Agent: again and again\r\n",
                                            "A: b\r\n c\r\n"};

        for (size_t l = 0; l < sizeof(lines) / sizeof(*lines); l++) {
                const char *good =
                        l == 1 ? "begin blank GET / 1.1 host=h ua=again and again keep none head end"
                               : "begin blank GET / 1.1 host=h keep none head end";
                char *fits = big_head(LIMIT_HTTP_HEAD, lines[l]),
                     *over = big_head(LIMIT_HTTP_HEAD + 1, lines[l]);
                char *usual = big_head(64 * 1024, lines[l]),
                     *over_by_cr = big_head(LIMIT_HTTP_HEAD + 4, lines[l]);

                for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
                        feed_in_steps(usual, 64 * 1024, steps[s], good);
                        feed_in_steps(fits, LIMIT_HTTP_HEAD, steps[s], good);
                        feed_in_steps(over_by_cr, LIMIT_HTTP_HEAD + 4, steps[s], "begin LOST");
                        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
                        ck_assert(!http1_log_feed(&log_whole, slice_make(over, LIMIT_HTTP_HEAD + 1)));
                        ck_assert_ptr_null(strstr(log_whole.text, "head@"));
                }
                free(fits);
                free(over);
                free(usual);
                free(over_by_cr);
        }
}
END_TEST

START_TEST(test_feed_endless_lines)
{
        static char name[LIMIT_HTTP_HEAD + 1];
        static const char *const starts[] = {"",
                                             "GET ",
                                             "GET / HTTP/1.1\r\n",
                                             "GET / HTTP/1.1\r\nHost: ",
                                             "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                                             "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"};

        memset(name, 'x', sizeof(name));
        for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
                http1_log_init(&log_split, HTTP1_REQUESTS, "", TEXT_MAX);
                (void)http1_log_feed(&log_split, slice_str(starts[i]));
                ck_assert(!http1_log_feed(&log_split, slice_make(name, sizeof(name))));
        }
}
END_TEST

START_TEST(test_feed_garbage)
{
        static const char alphabet[] = "GET /HTP1.:\r\n\r\n 0a;,\t\x80\n";
        unsigned seed = 1;
        char bytes[200];

        use_messages();
        for (int i = 0; i < 20000; i++) {
                size_t len = next_random(&seed) % (sizeof(bytes) - 1);
                size_t prefix = next_random(&seed) % 2 ? 16 : 0;
                struct message m = {"garbage", prefix ? HTTP1_REQUESTS : (enum http1_role)(i % 2), "GHC",
                                    bytes, NULL};

                if (len < prefix)
                        continue;
                memcpy(bytes, "GET / HTTP/1.1\r\n", prefix);
                for (size_t k = prefix; k < len; k++)
                        bytes[k] = alphabet[next_random(&seed) % (sizeof(alphabet) - 1)];
                bytes[len] = '\0';
                feed_whole(&m, len, TEXT_MAX);
                feed_bytes(&m, TEXT_MAX);
                check_same(&m, "bytes", 0, 0);
        }
}
END_TEST

START_TEST(test_skip)
{
        struct http1_sink sink = http1_log_sink(&log_whole);
        struct http1 *parser = &log_whole.parser;

        http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
        ck_assert(http1_skip(parser, 0, &sink));
        ck_assert(http1_log_feed(&log_whole, SLICE("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab")));
        ck_assert_uint_eq(http1_body_left(parser), 8);
        ck_assert(http1_log_skip(&log_whole, 5));
        ck_assert(http1_busy(parser));
        ck_assert_uint_eq(http1_body_left(parser), 3);
        ck_assert(http1_log_skip(&log_whole, 3));
        ck_assert(!http1_busy(parser));
        ck_assert_ptr_nonnull(strstr(log_whole.text, "end@"));
        ck_assert_uint_eq(http1_body_left(parser), 0);
        ck_assert(!http1_skip(parser, 1, &sink));
        ck_assert_int_eq(http1_feed(parser, SLICE("GET"), &sink), PROTO_LOST);
}
END_TEST

START_TEST(test_skip_in_chunks_and_beyond)
{
        http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
        ck_assert(http1_log_feed(&log_whole,
                                 SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab")));
        ck_assert_uint_eq(http1_body_left(&log_whole.parser), 6);
        ck_assert(http1_log_skip(&log_whole, 6));
        ck_assert_uint_eq(http1_body_left(&log_whole.parser), 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("\r\n2\r\n")));
        ck_assert(!http1_log_skip(&log_whole, 3));
        ck_assert(log_whole.parser.lost);

        http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("HTTP/1.1 200 OK\r\n\r\n")));
        ck_assert(http1_log_skip(&log_whole, UINT64_MAX));
        http1_log_eof(&log_whole);
        ck_assert_ptr_nonnull(strstr(log_whole.text, " eof"));

        http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
        ck_assert(http1_log_feed(&log_whole, SLICE("HTTP/1.1 200")));
        ck_assert(!http1_log_skip(&log_whole, 1));
}
END_TEST

START_TEST(test_eof_in_the_middle)
{
        static const char *const cut[] = {"HTTP", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"};

        for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++) {
                http1_log_init(&log_whole, HTTP1_RESPONSES, "", 0);
                ck_assert(http1_log_feed(&log_whole, slice_str(cut[i])));
                ck_assert(http1_busy(&log_whole.parser));
                http1_log_eof(&log_whole);
                ck_assert_ptr_nonnull(strstr(log_whole.text, " cut-off"));
                ck_assert_ptr_null(strstr(log_whole.text, "end@"));
        }
}
END_TEST

struct guess_row {
        enum http1_role role;
        const char *bytes;
        enum proto_guess expect;
};

static const struct guess_row guesses[] = {
        {HTTP1_REQUESTS, "GET / HTTP/1.1", PROTO_YES},
        {HTTP1_REQUESTS, "\r\nGET / HTTP/1.1", PROTO_YES},
        {HTTP1_REQUESTS, "POST /", PROTO_YES},
        {HTTP1_REQUESTS, "M-SEARCH * HTTP/1.1", PROTO_YES},
        {HTTP1_REQUESTS, "VERSION_CONTROL /", PROTO_YES},
        {HTTP1_REQUESTS, "OPTIONS *", PROTO_YES},
        {HTTP1_REQUESTS, "GET http://h/", PROTO_YES},
        {HTTP1_REQUESTS, "GET HTTPS://h/", PROTO_YES},
        {HTTP1_REQUESTS, "CONNECT h:443", PROTO_YES},
        {HTTP1_REQUESTS, "CONNECT [::1]:443", PROTO_YES},
        {HTTP1_REQUESTS, "", PROTO_MAYBE},
        {HTTP1_REQUESTS, "\r\n", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET ", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET http", PROTO_MAYBE},
        {HTTP1_REQUESTS, "GET https:/", PROTO_MAYBE},
        {HTTP1_REQUESTS, "ABCDEFGHIJKLMNOPQRST", PROTO_MAYBE},
        {HTTP1_REQUESTS, "ABCDEFGHIJKLMNOPQRSTU", PROTO_NO},
        {HTTP1_REQUESTS, "GET key\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "GET httpkey\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "get key\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "get /key", PROTO_NO},
        {HTTP1_REQUESTS, "AB /", PROTO_NO},
        {HTTP1_REQUESTS, "-GET /", PROTO_NO},
        {HTTP1_REQUESTS, "GET\r\n", PROTO_NO},
        {HTTP1_REQUESTS, "GET  /", PROTO_NO},
        {HTTP1_REQUESTS, "PRI * HTTP/2.0\r\n\r\nSM", PROTO_NO},
        {HTTP1_REQUESTS, "OPTIONS sip:x SIP/2.0", PROTO_NO},
        {HTTP1_REQUESTS, "DESCRIBE rtsp://h/ RTSP/1.0", PROTO_NO},
        {HTTP1_REQUESTS, "REQMOD icap://h/ ICAP/1.0", PROTO_NO},
        {HTTP1_REQUESTS, "EHLO x", PROTO_NO},
        {HTTP1_REQUESTS, "MAIL FROM:<a@b>", PROTO_NO},
        {HTTP1_REQUESTS, "USER anonymous", PROTO_NO},
        {HTTP1_REQUESTS, "SSH-2.0-OpenSSH_9.2", PROTO_NO},
        {HTTP1_REQUESTS, "CONNECT {\"verbose\":false}", PROTO_NO},
        {HTTP1_REQUESTS, "CONNECT\naccept-version:1.2", PROTO_NO},
        {HTTP1_REQUESTS, "CONNECT /", PROTO_NO},
        {HTTP1_REQUESTS, "*3\r\n$3\r\nSET", PROTO_NO},
        {HTTP1_REQUESTS, "\x16\x03\x01\x02", PROTO_NO},
        {HTTP1_REQUESTS, "\x80", PROTO_NO},
        {HTTP1_RESPONSES, "", PROTO_MAYBE},
        {HTTP1_RESPONSES, "HTTP/1.1", PROTO_MAYBE},
        {HTTP1_RESPONSES, "HTTP/1.1 2", PROTO_YES},
        {HTTP1_RESPONSES, "HTTP/1.0 ", PROTO_YES},
        {HTTP1_RESPONSES, "HTTP/2 2", PROTO_NO},
        {HTTP1_RESPONSES, "ICY 200 OK", PROTO_NO},
        {HTTP1_RESPONSES, "220 mail ESMTP", PROTO_NO},
};

START_TEST(test_guess)
{
        use_messages();
        for (size_t i = 0; i < sizeof(guesses) / sizeof(*guesses); i++) {
                size_t len = strlen(guesses[i].bytes);
                enum proto_guess guess, last = PROTO_MAYBE;

                for (size_t n = 0; n <= len; n++, last = guess) {
                        guess = http1_guess(at_guard(guesses[i].bytes, n), guesses[i].role);
                        if (last != PROTO_MAYBE) /* more bytes do not change a decided mind */
                                ck_assert_int_eq(guess, last);
                }
                ck_assert_msg(last == guesses[i].expect, "%s: %d", guesses[i].bytes, last);
        }
}
END_TEST

/* What is taken for a request but is none is lost before anything could be added to it. */
START_TEST(test_guess_yes_is_not_yet_proof)
{
        static const char *const strangers[] = {"GET /key\r\n", "RETR /path\r\n",
                                                "OPTIONS * RTSP/1.0\r\n\r\n", "CONNECT h\r\n",
                                                "OPTIONS http://x SIP/2.0\r\n\r\n"};

        for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
                ck_assert_int_eq(http1_guess(slice_str(strangers[i]), HTTP1_REQUESTS), PROTO_YES);
                http1_log_init(&log_whole, HTTP1_REQUESTS, "", TEXT_MAX);
                ck_assert(!http1_log_feed(&log_whole, slice_str(strangers[i])));
                ck_assert_ptr_null(strstr(log_whole.text, "blank"));
        }
}
END_TEST

UNIT_MAIN("http1", test_feed_whole, test_feed_byte_by_byte, test_feed_split_everywhere,
          test_feed_with_little_room, test_feed_when_texts_do_not_fit, test_feed_without_buffer,
          test_feed_when_the_sink_stops, test_feed_offsets, test_feed_tells_blank_at_its_first_byte,
          test_feed_after_rewinds, test_feed_truncated_everywhere, test_feed_pipeline, test_feed_big_heads,
          test_feed_endless_lines, test_feed_garbage, test_skip, test_skip_in_chunks_and_beyond,
          test_eof_in_the_middle, test_guess, test_guess_yes_is_not_yet_proof)
