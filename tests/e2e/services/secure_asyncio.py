# SPDX-License-Identifier: Apache-2.0
"""HTTPS by aiohttp, whose TLS goes through memory: secure_asyncio.py PORT CERTIFICATE KEY FOLDER"""
import ssl
import sys

from aiohttp import web

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
app = web.Application()
app.router.add_static("/", sys.argv[4])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), ssl_context=context, print=None)
