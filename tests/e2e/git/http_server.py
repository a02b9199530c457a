#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Git server over HTTP(S) for tests: `git http-backend` behind a small front.

Prints "PORT n" once it listens. Every request is logged to --log as "METHOD PATH auth=yes|no".
Paths: /<repo>            the repository, with basic or bearer authentication when set
       /v0/<repo>         the same without protocol version 2 (as old servers)
       /slow/<repo>       answers after five seconds
       /status/<n>/<repo> answers with that status
       /redirect/<url>    redirects to that URL (percent-encoded)
"""
import argparse
import base64
import gzip
import http.server
import os
import ssl
import subprocess
import sys
import time
import urllib.parse

OPTIONS = None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        if OPTIONS.log:
            with open(OPTIONS.log, "a", encoding="utf-8") as log:
                log.write("%s %s auth=%s\n" % (
                    self.command, self.path, "yes" if self.headers.get("Authorization") else "no"))

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def authorized(self):
        wanted = []
        if OPTIONS.user:
            wanted.append("Basic " + base64.b64encode(OPTIONS.user.encode()).decode())
        if OPTIONS.bearer:
            wanted.append("Bearer " + OPTIONS.bearer)
        return not wanted or self.headers.get("Authorization") in wanted

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body

    def handle_git(self):
        self.note()
        body = self.read_body()
        url = urllib.parse.urlsplit(self.path)
        path = url.path
        protocol = self.headers.get("Git-Protocol", "")
        if path.startswith("/redirect/"):
            target = urllib.parse.unquote(path[len("/redirect/"):].split("/")[0])
            rest = path[len("/redirect/"):].partition("/")[2]
            self.reply(302, headers=[("Location", target + "/" + rest + "?" + url.query)])
            return
        if path.startswith("/status/"):
            self.reply(int(path.split("/")[2]))
            return
        if path.startswith("/slow/"):
            time.sleep(5)
            path = path[len("/slow"):]
        if path.startswith("/v0/"):
            protocol = ""
            path = path[len("/v0"):]
        if not self.authorized():
            self.reply(401, headers=[("WWW-Authenticate", 'Basic realm="git"')])
            return
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": OPTIONS.root, "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": protocol, "REMOTE_ADDR": self.client_address[0],
        }
        out = subprocess.run(["git", "http-backend"], input=body, env=env, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        self.reply(status, content, headers)

    do_GET = handle_git
    do_POST = handle_git


def main():
    global OPTIONS
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True, help="folder of the repositories")
    parser.add_argument("--user", help="USER:PASSWORD for basic authentication")
    parser.add_argument("--bearer", help="token that is accepted too")
    parser.add_argument("--cert", help="PEM file; serves HTTPS")
    parser.add_argument("--key", help="PEM file")
    parser.add_argument("--client-ca", help="PEM file; clients must have a certificate of this CA")
    parser.add_argument("--log")
    OPTIONS = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if OPTIONS.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(OPTIONS.cert, OPTIONS.key)
        if OPTIONS.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(OPTIONS.client_ca)
        # The handshake belongs to the connection's thread, not to the accepting one.
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    print("PORT %d" % server.server_port)
    sys.stdout.flush()
    server.serve_forever()


main()
