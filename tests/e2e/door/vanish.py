#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A watcher whose machine disappears: vanish.py KUBECONFIG HOST. Opens watches and says "watching"; the caller then cuts its network."""
import socket
import ssl
import sys
import time
import re

text = open(sys.argv[1], encoding="utf-8").read()
port = int(re.search(r"server: *\"?https://[^\s\"]+?:(\d+)", text).group(1))
token = re.search(r"token: *\"?([^\s\"}]+)", text).group(1)
context = ssl._create_unverified_context()  # a server of this run
held = []
for _ in range(20):
    conn = context.wrap_socket(socket.create_connection((sys.argv[2], port), timeout=30))
    conn.sendall(f"GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    conn.recv(65536)
    held.append(conn)
print("watching", flush=True)
time.sleep(600)
