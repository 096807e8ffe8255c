# SPDX-License-Identifier: Apache-2.0
"""A gRPC server without messages of its own; prints the traceparent of every call. usage: grpc_server.py PORT
[CERTIFICATE KEY]"""
import signal
import sys
import time
from concurrent import futures

import grpc


def seen(context):
    values = [value for key, value in context.invocation_metadata() if key == 'traceparent']
    print(*values, flush=True)


def unary(request, context):
    seen(context)
    if request == b'fail':
        context.abort(grpc.StatusCode.NOT_FOUND, 'no such thing')
    if request == b'crash':
        raise RuntimeError('on purpose')
    if request == b'sleep':
        time.sleep(1)
    return request * 2


def stream(requests, context):
    seen(context)
    for request in requests:
        yield request


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    handlers = {'Unary': grpc.unary_unary_rpc_method_handler(unary),
                'Stream': grpc.stream_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('test.Echo', handlers),))
    if sys.argv[2:]:
        certificate, key = (open(path, 'rb').read() for path in sys.argv[2:])
        server.add_secure_port('127.0.0.1:' + sys.argv[1], grpc.ssl_server_credentials([(key, certificate)]))
    else:
        server.add_insecure_port('127.0.0.1:' + sys.argv[1])
    server.start()
    signal.sigwait([signal.SIGTERM])
    server.stop(0)


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
main()
