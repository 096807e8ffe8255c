/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* FastCGI streams, as scripts, and what the parser says of each. */
#include "agent/proto/fcgi.h"

struct message {
        const char *title;
        enum fcgi_side side;
        const char *script; /* see fcgi-script.h */
        const char *expect; /* what the log says, without offsets */
};

#define REQ     FCGI_REQUESTS
#define RSP     FCGI_RESPONSES
#define PARAMS1 "begin1 responder params1 "
#define DONE1   " head1 end1 idle"

static const struct message messages[] = {
        /* Requests and their roles. */
        {"plain", REQ, "B1 1|P1 REQUEST_METHOD=GET;REQUEST_URI=/a?b|P1|I1",
         PARAMS1 "method=GET uri=/a?b" DONE1},
        {"no parameters", REQ, "B1 1|P1|I1", "begin1 responder params1 head1 end1 idle"},
        {"kept connection, one after the other", REQ, "B1 1k|P1|I1|B1 1k|P1|I1 body|I1",
         "begin1 responder keep params1 head1 end1 begin1 responder keep params1 head1 end1 idle"},
        {"every parameter of interest", REQ,
         "B1 1|P1 REQUEST_METHOD=GET;REQUEST_URI=/u;SCRIPT_NAME=/s;PATH_INFO=/i;QUERY_STRING=q;SERVER_NAME=n;"
         "SERVER_PORT=80;SERVER_PROTOCOL=HTTP/1.1;REQUEST_SCHEME=http;HTTPS=on;REMOTE_ADDR=1.2.3.4;"
         "REMOTE_PORT=9;HTTP_HOST=h;HTTP_USER_AGENT=a b;HTTP_TRACEPARENT=t;HTTP_TRACESTATE=s;HTTP_BAGGAGE=b;"
         "HTTP_FORWARDED=f;HTTP_X_FORWARDED_FOR=x;HTTP_X_FORWARDED_PROTO=p;HTTP_X_FORWARDED_HOST=o|P1|I1",
         PARAMS1
         "method=GET uri=/u script=/s info=/i query=q name=n port=80 version=HTTP/1.1 scheme=http "
         "https=on addr=1.2.3.4 rport=9 host=h ua=a b tp=t ts=s bag=b fwd=f for=x proto=p fhost=o" DONE1},
        {"names that only look alike", REQ,
         "B1 1|P1 request_uri=/a;REQUEST_UR=/b;REQUEST_URIS=/c;HTTP_X_FORWARDED_PROTO2=d;=e;HTTP_HOST|P1|I1",
         PARAMS1 "host=" DONE1},
        {"first of several", REQ, "B1 1|P1 REQUEST_URI=/a;REQUEST_URI=/b;HTTP_HOST=;HTTP_HOST=c|P1|I1",
         PARAMS1 "uri=/a host=" DONE1},
        {"last traceparent", REQ, "B1 1|P1 HTTP_TRACEPARENT=a;HTTP_HOST=h;HTTP_TRACEPARENT=bc|P1|I1",
         PARAMS1 "host=h tp=bc tp*2" DONE1},
        {"lists that go on", REQ,
         "B1 1|P1 HTTP_TRACESTATE=a=1;HTTP_BAGGAGE=;HTTP_TRACESTATE=b=2|P1 "
         "HTTP_BAGGAGE=c;HTTP_TRACESTATE=|P1|I1",
         PARAMS1 "ts=a=1,b=2, bag=c ts*3" DONE1},
        {"a list whose first part is of no use", REQ, "B1 1|P1 HTTP_BAGGAGE=a\1;HTTP_BAGGAGE=b|P1|I1",
         PARAMS1 "bag=CUT" DONE1},
        {"long lengths", REQ, "B1 1|P1 ~REQUEST_URI=/long;~X=;~HTTP_TRACEPARENT=t;HTTP_HOST=h|P1|I1",
         PARAMS1 "uri=/long host=h tp=t" DONE1},
        {"lengths of 127 and 128", REQ,
         "B1 1|P1 "
         "REQUEST_URI=/23456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "234567890123456789012345678901234567890123456;PATH_INFO=/234567890123456789012345678901234567890123"
         "456789012345678901234567890123456789012345678901234567890123456789012345678901234567|P1|I1",
         PARAMS1
         "uri=/23456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "234567890123456789012345678901234567890123456 info=/234567890123456789012345678901234567890123"
         "456789012345678901234567890123456789012345678901234567890123456789012345678901234567" DONE1},
        {"padding", REQ, "B1+8 1|P1+3 REQUEST_URI=/a|P1+255|I1+1 body|I1+7", PARAMS1 "uri=/a" DONE1},
        {"pairs over records of one byte", REQ,
         "B1 1|P1/1 REQUEST_URI=/a;~HTTP_TRACEPARENT=tp;X=y|P1|I1/1 body|I1", PARAMS1 "uri=/a tp=tp" DONE1},
        {"pairs over padded records", REQ,
         "B1 1|P1+5/7 REQUEST_URI=/a;~HTTP_TRACEPARENT=tp;HTTP_HOST=h|P1|I1",
         PARAMS1 "uri=/a host=h tp=tp" DONE1},
        {"control characters", REQ,
         "B1 1|P1 REQUEST_URI=/a\nb;HTTP_USER_AGENT=\x7f;HTTP_HOST=h\ti\xc3\xa9|P1|I1",
         PARAMS1 "uri=CUT host=h\ti\xc3\xa9 ua=CUT" DONE1},
        {"composed", REQ, "B1 1|P1 QUERY_STRING=q=1;PATH_INFO=/i;SCRIPT_NAME=/s|P1|I1",
         PARAMS1 "uri=/s/i?q=1 script=/s info=/i query=q=1 composed" DONE1},
        {"composed of a script alone", REQ, "B1 1|P1 QUERY_STRING=;SCRIPT_NAME=/s|P1|I1",
         PARAMS1 "uri=/s script=/s query= composed" DONE1},
        {"composed of what is cut", REQ, "B1 1|P1 PATH_INFO=/\n;SCRIPT_NAME=/s|P1|I1",
         PARAMS1 "uri=CUT script=/s info=CUT composed" DONE1},
        {"nothing to compose of", REQ, "B1 1|P1 PATH_INFO=/i;QUERY_STRING=q|P1|I1",
         PARAMS1 "info=/i query=q" DONE1},
        {"authorizer", REQ, "B7 2k|P7 REQUEST_METHOD=GET|P7|B7 2|P7",
         "begin7 authorizer keep params7 method=GET head7 end7 begin7 authorizer params7 head7 end7 idle"},
        {"filter", REQ, "B1 3|P1|I1 in|I1|D1 data|D1", "begin1 filter params1 head1 end1 idle"},
        {"data of a responder", REQ, "B1 1|P1|D1 data|D1|I1", "begin1 responder params1 head1 end1 idle"},
        {"input that is not complete", REQ, "B1 1|P1|I1 body", "begin1 responder params1 head1 busy"},
        {"interleaved", REQ,
         "B1 1k|P1 REQUEST_URI=/1|P1|B2 1k|I1 a|P2 REQUEST_URI=/2|I1 b|P2|I2 c|I1|I2 d|I2",
         "begin1 responder keep params1 uri=/1 head1 begin2 responder keep params2 uri=/2 head2 end1 end2 "
         "idle"},
        {"highest id", REQ, "B65535 1|P65535|I65535",
         "begin65535 responder params65535 head65535 end65535 idle"},
        {"id used again before its input ended", REQ, "B1 1k|P1|I1 a|B1 1k|P1 HTTP_HOST=h|P1|I1",
         "begin1 responder keep params1 head1 begin1 responder keep params1 host=h head1 end1 idle"},
        {"aborted in its body", REQ, "B1 1k|P1|I1 a|A1|I1 late|I1|B2 1k|P2|I2",
         "begin1 responder keep params1 head1 aborted1 begin2 responder keep params2 head2 end2 idle"},
        {"aborted in its parameters", REQ, "B1 1k|P1 HTTP_HOST=h|A1|B1 1k|P1|I1",
         "begin1 responder keep aborted1 begin1 responder keep params1 head1 end1 idle"},
        {"aborted in a pair", REQ, "B1 1k|P1 HTTP_HOST=h|R 01040001000200 00 0905|A1+2 x|B1 1k|P1 A=b|P1|I1",
         "begin1 responder keep aborted1 begin1 responder keep params1 head1 end1 idle"},
        {"another one is aborted", REQ, "B1 1k|P1|B2 1k|A1|A9|P2|I2",
         "begin1 responder keep params1 head1 begin2 responder keep aborted1 params2 head2 end2 idle"},
        {"values asked for", REQ, "G0 FCGI_MAX_CONNS=;FCGI_MPXS_CONNS=|B1 1|P1|G0+2 FCGI_MAX_REQS=|I1",
         "begin1 responder params1 head1 end1 idle"},
        {"input of a request that is not open", REQ, "B1 1k|P1|I1|I1 a|D5 b|I1|I9|A9",
         "begin1 responder keep params1 head1 end1 idle"},

        /* No requests. */
        {"version 0", REQ, "R 00010001000800000001000000000000", " LOST"},
        {"version 2", REQ, "B1 1|R 02040001000000", "begin1 responder LOST"},
        {"type 0", REQ, "B1 1|R 01000001000000", "begin1 responder LOST"},
        {"type 12", REQ, "B1 1|R 010c0001000000", "begin1 responder LOST"},
        {"of the other direction", REQ, "B1 1|P1|O1 Status: 200\r\n", "begin1 responder params1 head1 LOST"},
        {"role 0", REQ, "B1 0", " LOST"},
        {"role 4", REQ, "B1 4", " LOST"},
        {"role 257", REQ, "R 01010001000800000101000000000000", " LOST"},
        {"id 0", REQ, "B0 1", " LOST"},
        {"parameters of id 0", REQ, "B1 1|P0", "begin1 responder LOST"},
        {"values of an id", REQ, "G1 A=", " LOST"},
        {"a short beginning", REQ, "R 0101000100070000000100000000", " LOST"},
        {"a long beginning", REQ, "R 010100010009000000010000000000", " LOST"},
        {"parameters of none", REQ, "P1 A=b", " LOST"},
        {"parameters of another", REQ, "B1 1|P2 A=b", "begin1 responder LOST"},
        {"parameters after their end", REQ, "B1 1|P1|P1 A=b", "begin1 responder params1 head1 LOST"},
        {"a second beginning in the parameters", REQ, "B1 1|P1 A=b|B2 1", "begin1 responder LOST"},
        {"input before the parameters' end", REQ, "B1 1|P1 A=b|I1", "begin1 responder LOST"},
        {"data before the parameters' end", REQ, "B1 1|D1 x", "begin1 responder LOST"},
        {"the end within a name's length", REQ, "B1 1|R 010400010002000 0 8000|P1", "begin1 responder LOST"},
        {"the end behind a name's length", REQ, "B1 1|R 010400010001000005|P1", "begin1 responder LOST"},
        {"the end within a name", REQ, "B1 1|R 0104000100040000 05006161|P1", "begin1 responder LOST"},
        {"the end within a value", REQ, "B1 1|R 0104000100040000 01026161|P1", "begin1 responder LOST"},
        {"a longest name", REQ, "B1 1|R 0104000100080000 ffffffff 00000000", "begin1 responder LOST"},
        {"a longest value", REQ, "B1 1|R 0104000100050000 01 ffffffff", "begin1 responder LOST"},
        {"a name over the limit", REQ, "B1 1|R 0104000100050000 80040001 00", "begin1 responder LOST"},
        {"a name at the limit", REQ, "B1 1|R 0104000100050000 80040000 00", "begin1 responder busy"},
        {"a long value of interest", REQ,
         "B1 1|R 0104000100150000 0b 80040000 524551554553545f555249 2f616263", "begin1 responder busy"},

        /* Responses. */
        {"answered", RSP, "O1 Status: 404 Not Found\r\n\r\nbody|O1|X1 0",
         "status1=404 answered1 app=0 outcome=0 idle"},
        {"no status", RSP, "O1 Content-Type: a\r\n\r\n|O1|E1|X1 0",
         "status1=200 answered1 app=0 outcome=0 idle"},
        {"status at the end", RSP, "O1 A: b\r\nC: Status: 500\r\nstatus:201\r\n\r\n|X1 0",
         "status1=201 answered1 app=0 outcome=0 idle"},
        {"bare LF", RSP, "O1 STATUS: \t302\nLocation: /\n\nStatus: 404\n\n|X1 0",
         "status1=302 answered1 app=0 outcome=0 idle"},
        {"a location alone", RSP, "O1 Location: /x\r\n\r\n|X1 0",
         "status1=302 answered1 app=0 outcome=0 idle"},
        {"a location beside a status", RSP, "O1 Location: /x\r\nStatus: 201 Created\r\n\r\n|X1 0",
         "status1=201 answered1 app=0 outcome=0 idle"},
        {"an empty head", RSP, "O1 \r\nx|X1 0", "status1=200 answered1 app=0 outcome=0 idle"},
        {"the same status twice", RSP, "O1 Status: 404\r\nStatus: 404 x\r\n\r\n|X1 0",
         "status1=404 answered1 app=0 outcome=0 idle"},
        {"two statuses", RSP, "O1 Status: 404\r\nStatus: 200\r\n\r\n|X1 0",
         "status1=0 answered1 app=0 outcome=0 idle"},
        {"no number", RSP, "O1 Status: OK\r\n\r\n|X1 0", "status1=0 answered1 app=0 outcome=0 idle"},
        {"no number at all", RSP, "O1 Status:\r\n\r\n|X1 0", "status1=0 answered1 app=0 outcome=0 idle"},
        {"two digits", RSP, "O1 Status: 20\r\n\r\n|X1 0", "status1=0 answered1 app=0 outcome=0 idle"},
        {"four digits", RSP, "O1 Status: 2000\r\n\r\n|X1 0", "status1=0 answered1 app=0 outcome=0 idle"},
        {"digits and more", RSP, "O1 Status: 200x\r\n\r\n|X1 0", "status1=0 answered1 app=0 outcome=0 idle"},
        {"a small number", RSP, "O1 Status: 099\r\n\r\n|X1 0", "status1=0 answered1 app=0 outcome=0 idle"},
        {"names that only look alike", RSP,
         "O1 Statu: 404\r\nStatuss: 404\r\nX-Status: 404\r\nStatus : 404\r\n\r\n|X1 0",
         "status1=200 answered1 app=0 outcome=0 idle"},
        {"a line without a name", RSP, "O1 HTTP/1.1 200 OK\r\n\r\n|X1 0",
         "status1=0 answered1 app=0 outcome=0 idle"},
        {"a continued line", RSP, "O1 A: b\r\n Status: 404\r\n\r\n|X1 0",
         "status1=200 answered1 app=0 outcome=0 idle"},
        {"a CR alone", RSP, "O1 A: b\r\n\rStatus: 404\r\n\r\n|X1 0",
         "status1=0 answered1 app=0 outcome=0 idle"},
        {"a head over records", RSP, "O1+3/1 Status: 503\r\n\r\nbody|O1+1|X1+8 0,7",
         "status1=503 answered1 app=7 outcome=0 idle"},
        {"errors beside it", RSP, "E1+2 PHP message|O1 Status: 2|E1 more|E1|O1 04\r\n\r\n|X1 0,4294967295",
         "status1=204 answered1 app=4294967295 outcome=0 stderr=15 idle"},
        {"a head that does not end", RSP, "O1 Status: 404\r\n|O1|X1 0,1",
         "answered1 app=1 outcome=0 headless idle"},
        {"no answer at all", RSP, "X1 0", "answered1 app=0 outcome=0 headless idle"},
        {"refused: no multiplexing", RSP, "X2 1", "answered2 app=0 outcome=1 headless idle"},
        {"refused: overloaded", RSP, "X1 2,9", "answered1 app=9 outcome=2 headless idle"},
        {"refused: role", RSP, "X1 3", "answered1 app=0 outcome=3 headless idle"},
        {"an outcome of the future", RSP, "X1 9", "answered1 app=0 outcome=9 headless idle"},
        {"interleaved", RSP,
         "O1 Status: 4|O2 Stat|E3 x|O1 04\r\n|O2 us: 503\r\n\r\nbody|X2 0|O3 \r\n|O1 \r\n|X3 0|O1 body|X1 0",
         "status2=503 answered2 app=0 outcome=0 status3=200 status1=404 answered3 app=0 outcome=0 stderr=1 "
         "answered1 app=0 outcome=0 idle"},
        {"one id after the other", RSP, "O1 Status: 404\r\n\r\n|X1 0|O1 \r\n|X1 0",
         "status1=404 answered1 app=0 outcome=0 status1=200 answered1 app=0 outcome=0 idle"},
        {"of no interest", RSP, "O99 Status: 404\r\n\r\n|E99 x|X99 0,5", "answered99 app=5 outcome=0 idle"},
        {"management records", RSP, "g0 FCGI_MAX_CONNS=1|u0 12|O1 \r\n|u0 13|X1 0",
         "status1=200 answered1 app=0 outcome=0 idle"},
        {"a response that is not complete", RSP, "O1 \r\nbody", "status1=200 idle"},

        /* No responses. */
        {"a request", RSP, "B1 1", " LOST"},
        {"a parameter", RSP, "O1 \r\n|P1", "status1=200 LOST"},
        {"a short end", RSP, "R 010300010007000000000000000000", " LOST"},
        {"an unknown type's answer of an id", RSP, "u1 12", " LOST"},
        {"an unknown type's answer that is short", RSP, "R 010b000000040000", " LOST"},
        {"output of id 0", RSP, "O0 \r\n", " LOST"},
        {"version 3", RSP, "O1 \r\n|R 030600010000", "status1=200 LOST"},
};
