# SPDX-License-Identifier: Apache-2.0
"""Calls of every kind to grpc_server.py; prints what comes back. usage: grpc_client.py PORT [CA]"""
import sys

import grpc


def outcome(call, request, **options):
    try:
        return call(request, **options)
    except grpc.RpcError as error:
        return error.code().name


def open_channel(port, ca=None):
    if not ca:
        return grpc.insecure_channel('127.0.0.1:' + port)
    with open(ca, 'rb') as file:
        return grpc.secure_channel('127.0.0.1:' + port, grpc.ssl_channel_credentials(file.read()))


def main():
    with open_channel(*sys.argv[1:]) as channel:
        unary = channel.unary_unary('/test.Echo/Unary')
        stream = channel.stream_stream('/test.Echo/Stream')
        print(outcome(unary, b'one'))
        print(outcome(unary, b'x' * 100000) == b'x' * 200000)
        print(outcome(unary, b'fail'))
        print(outcome(unary, b'crash'))
        print(outcome(channel.unary_unary('/test.Echo/Nothing'), b''))
        print(list(stream(iter([b'a', b'b', b'c']))))
        print(outcome(unary, b'sleep', timeout=0.2))


main()
