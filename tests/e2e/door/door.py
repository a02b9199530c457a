#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile and careless clients at the front door of the API: door.py KUBECONFIG PID [--idle N]

Each check says whether the bad client was answered as it should be, and after each one a good client has to be served at once. Prints
"ok NAME", "not ok NAME: why" and "skipped NAME: why" lines. PID is the server's process, for its memory."""
import argparse
import base64
import json
import re
import resource
import socket
import ssl
import sys
import threading
import time

CONTEXT = ssl._create_unverified_context()  # a loopback server of this run
failures = 0


def say(good, name, why=""):
    global failures
    if good:
        print(f"ok {name}", flush=True)
    else:
        failures += 1
        print(f"not ok {name}: {why}", flush=True)


class Server:
    def __init__(self, kubeconfig, pid):
        text = open(kubeconfig, encoding="utf-8").read()
        host, port = re.search(r"server: *\"?https://\[?([^\s\"\]]+?)\]?:(\d+)", text).groups()
        self.address, self.pid = (host, int(port)), pid
        self.token = re.search(r"token: *\"?([^\s\"}]+)", text).group(1)

    def connect(self, timeout=30):
        return CONTEXT.wrap_socket(socket.create_connection(self.address, timeout=timeout))

    def send(self, data, timeout=30):
        """The whole answer to some bytes: (status or None, body)."""
        with self.connect(timeout) as conn:
            try:
                conn.sendall(data)
            except OSError:
                pass  # it has closed already, perhaps with an answer
            return read_reply(conn)

    def request(self, method, path, body=b"", headers=(), token=None):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        if token != "":
            lines.append("Authorization: Bearer " + (token or self.token))
        if body:
            lines.append(f"Content-Length: {len(body)}")
            if not any(h.lower().startswith("content-type") for h in headers):
                lines.append("Content-Type: application/json")
        lines += headers
        return self.send("\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)

    def is_well(self):
        status, body = self.request("GET", "/api/v1/namespaces/default")
        return status == 200 and json.loads(body)["metadata"]["name"] == "default"

    def memory_mib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.pid}/status", encoding="utf-8").read()).group(1)) / 1024


def read_reply(conn):
    data = b""
    try:
        while True:
            piece = conn.recv(65536)
            if not piece:
                break
            data += piece
            head, mark, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            if mark and length and len(body) >= int(length.group(1)):
                break
    except OSError as error:
        if not data and "timed out" in str(error):
            return "time-out", b""
    match = re.match(rb"HTTP/1\.[01] (\d{3})", data)
    head, _, body = data.partition(b"\r\n\r\n")
    if re.search(rb"(?i)transfer-encoding: *chunked", head):
        body = b"".join(re.findall(rb"[0-9a-fA-F]+\r\n(.*?)\r\n(?=[0-9a-fA-F]+\r\n)", body, re.S))
    return (int(match.group(1)) if match else None), body


def expect(server, name, got, wanted, contains=None):
    status, body = got
    text = body.decode("utf-8", "replace")
    good = status in wanted and (contains is None or contains in text)
    say(good, name, f"got {status} {text[:200]!r}, expected {wanted}" + (f" with {contains!r}" if contains else ""))
    if not server.is_well():
        say(False, name, "afterwards a good client is not served")


def config_map(name, size=0, **more):
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": "x" * size}}
    value.update(more)
    return json.dumps(value).encode()


MAPS = "/api/v1/namespaces/default/configmaps"


def malformed(server):
    head = f"Authorization: Bearer {server.token}\r\nHost: localhost\r\nConnection: close\r\n"
    refused = (400, 404, 405, 411, 413, 414, 431, 501, 505, None)
    expect(server, "bytes that are no HTTP", server.send(b"\x00\xff\x80garbage\r\n\r\n" * 20, timeout=3), refused + ("time-out",))
    expect(server, "a method that does not exist", server.send(f"BREW {MAPS} HTTP/1.1\r\n{head}\r\n".encode()), refused)
    expect(server, "a version that does not exist", server.send(f"GET {MAPS} HTTP/9.9\r\n{head}\r\n".encode()), refused)
    expect(server, "a header line without a colon", server.send(f"GET {MAPS} HTTP/1.1\r\n{head}nonsense\r\n\r\n".encode()), refused + (200,))
    expect(server, "headers of a megabyte", server.send(f"GET {MAPS} HTTP/1.1\r\n{head}X-Long: ".encode() + b"a" * (1 << 20) + b"\r\n\r\n"), refused)
    expect(server, "ten thousand headers", server.send(f"GET {MAPS} HTTP/1.1\r\n{head}".encode() + b"X-A: b\r\n" * 10000 + b"\r\n"), refused)
    expect(server, "a request line of 100 KiB", server.send(f"GET {MAPS}?a={'b' * 102400} HTTP/1.1\r\n{head}\r\n".encode()), refused)
    expect(server, "a negative length", server.send(f"POST {MAPS} HTTP/1.1\r\n{head}Content-Length: -5\r\n\r\n".encode()), refused)
    expect(server, "a length that is no number", server.send(f"POST {MAPS} HTTP/1.1\r\n{head}Content-Length: many\r\n\r\n".encode()), refused)
    expect(server, "chunks with a wrong size",
           server.send(f"POST {MAPS} HTTP/1.1\r\n{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n".encode()),
           refused)
    expect(server, "two lengths",
           server.send(f"POST {MAPS} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{{}}".encode(),
                       timeout=5), refused + (422, "time-out"))


def bodies(server):
    status, body = server.request("POST", MAPS, config_map("door-large", 900 * 1024))
    say(status == 201, "an object of 900 KiB is taken", f"{status} {body[:200]!r}")
    expect(server, "data over Kubernetes' limit of a ConfigMap", server.request("POST", MAPS, config_map("door-big", (1 << 20) + 1)), (422,), "Too long")
    expect(server, "an object over the limit of the store", server.request("POST", MAPS, config_map("door-vast", 2900 << 10)), (413, 422))
    expect(server, "a body over the limit of requests", server.request("POST", MAPS, config_map("door-vast", 40 << 20)), (413, None))
    deep = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"door-deep"},"data":' + b'{"a":' * 20000 + b"1" + b"}" * 20000 + b"}"
    expect(server, "JSON nested 20,000 deep", server.request("POST", MAPS, deep), (400, 422))
    expect(server, "YAML that grows (aliases)", server.request(
        "POST", MAPS, b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9)),
        ["Content-Type: application/yaml"]), (400, 413, 422))
    expect(server, "a JSON patch of 20,000 operations", server.request(
        "PATCH", MAPS + "/door-large", json.dumps([{"op": "add", "path": "/metadata/labels", "value": {}}] * 20000).encode(),
        ["Content-Type: application/json-patch+json"]), (400, 413, 422))
    expect(server, "a body in no known form", server.request("POST", MAPS, b"<xml/>", ["Content-Type: text/xml"]), (415,))
    expect(server, "a body cut off in the middle", server.request("POST", MAPS, config_map("door-cut")[:40]), (400,))
    expect(server, "an empty body", server.request("POST", MAPS, b" "), (400,))


def texts(server):
    broken = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"door-utf8"},"data":{"a":"\xff\xfe\x80"}}'
    expect(server, "a text that is not UTF-8", server.request("POST", MAPS, broken), (400, 422))
    nul = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"door\\u0000nul"},"data":{"a":"b"}}'
    expect(server, "a NUL in a name", server.request("POST", MAPS, nul), (400, 422))
    status, _ = server.request("POST", MAPS, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"door-half"},"data":{"a":"\\ud800"}}')
    status2, body = server.request("GET", MAPS + "/door-half")
    say(status in (400, 422) or (status2 == 200 and "\ud800" not in json.loads(body)["data"]["a"]), "half a surrogate pair", f"{status} {status2}")
    for name, path in (("encoded slash", "/api/v1/namespaces/default%2fconfigmaps"), ("encoded NUL", MAPS + "/a%00b"),
                       ("two dots", "/api/v1/namespaces/default/../../../etc/passwd"), ("encoded dots", MAPS + "/%2e%2e/%2e%2e"),
                       ("broken escape", MAPS + "/%zz"), ("double slashes", "//api//v1//namespaces//default"), ("bad UTF-8 in a path", MAPS + "/%ff%fe"),
                       ("a backslash", "/api\\v1"), ("a path of 8,000 parts", "/a" * 4000)):
        expect(server, f"path: {name}", server.request("GET", path), (301, 308, 400, 404, 414, 431))
    expect(server, "query: 5,000 parameters", server.request("GET", MAPS + "?" + "&".join(f"a{i}=b" for i in range(5000))), (200, 400, 414, 431))
    expect(server, "query: a broken selector", server.request("GET", MAPS + "?labelSelector=%21%21%3D%2C%28"), (400,))
    expect(server, "query: a negative limit", server.request("GET", MAPS + "?limit=-5"), (200, 400, 422))
    expect(server, "query: a made-up continue token", server.request("GET", MAPS + "?limit=1&continue=" + base64.b64encode(b'{"v":1}').decode()), (400, 410))


def slow(server, patient):
    """Clients that send a byte now and then hold nobody up, and are let go in the end."""
    held = [server.connect(400) for _ in range(50)]
    for conn in held:
        conn.sendall(f"POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\nContent-".encode())
    good = all(server.is_well() for _ in range(20))
    say(good, "50 clients that never finish their headers hold nobody up")
    bodies_held = [server.connect(400) for _ in range(50)]
    for conn in bodies_held:
        conn.sendall(f"POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
                     "Content-Length: 100000\r\n\r\n{".encode())
    good = all(server.is_well() for _ in range(20))
    say(good, "50 clients that never finish their bodies hold nobody up")
    if patient:
        let_go(held + bodies_held)
    for conn in held + bodies_held:
        conn.close()


def let_go(held):
    ended = 0
    began = time.monotonic()
    for conn in held:
        try:
            while conn.recv(4096):
                pass
            ended += 1
        except socket.timeout:
            break
        except OSError:
            ended += 1
    say(ended == len(held), "they are let go in the end", f"{len(held) - ended} of {len(held)} are still there")
    print(f"# the last one after {time.monotonic() - began:.0f} s", flush=True)


def readers(server):
    """Watchers and readers that do not read: the server's memory is bounded and it goes on."""
    for i in range(30):
        server.request("POST", MAPS, config_map(f"door-fill-{i}", 300 * 1024))
    before = server.memory_mib()
    stuck = []
    for i in range(60):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(30)
        raw.connect(server.address)
        conn = CONTEXT.wrap_socket(raw)
        query = "" if i % 2 else "?watch=1"
        conn.sendall(f"GET {MAPS}{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode())
        stuck.append(conn)
    for i in range(30):
        server.request("PATCH", f"{MAPS}/door-fill-{i}", b'{"data":{"more":"y"}}', ["Content-Type: application/merge-patch+json"])
    good = all(server.is_well() for _ in range(20))
    grown = server.memory_mib() - before
    say(good and grown < 256, "60 clients that ask for megabytes and read nothing", f"well: {good}, memory grew by {grown:.0f} MiB")
    for conn in stuck:
        conn.close()
    for i in range(30):
        server.request("DELETE", f"{MAPS}/door-fill-{i}")


def idle(server, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < count + 100:
        print(f"skipped {count} idle connections: this shell may open {hard} files", flush=True)
        return
    held, lock = [], threading.Lock()

    def dial(n):
        for _ in range(n):
            try:
                conn = server.connect(60)
            except OSError as error:
                with lock:
                    held.append(error)
                return
            with lock:
                held.append(conn)

    before = server.memory_mib()
    threads = [threading.Thread(target=dial, args=(count // 8,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [str(h) for h in held if isinstance(h, OSError)]
    memory = server.memory_mib()
    well = server.is_well()
    say(not errors and well and memory <= 256, f"{count} idle connections, others are served",
        f"errors {errors[:1]}, well {well}, memory {memory:.0f} MiB")
    print(f"# memory {before:.0f} MiB before, {memory:.0f} MiB with {len(held)} idle connections", flush=True)
    for conn in held:
        if not isinstance(conn, OSError):
            conn.close()
    say(server.is_well(), "after they all left")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kubeconfig")
    parser.add_argument("pid", type=int)
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--patient", action="store_true", help="wait until slow clients are let go: some minutes")
    parser.add_argument("--only", default="malformed,bodies,texts,readers,slow,idle")
    args = parser.parse_args()
    server = Server(args.kubeconfig, args.pid)
    for part in args.only.split(","):
        if part == "idle":
            idle(server, args.idle)
        elif part == "slow":
            slow(server, args.patient)
        else:
            globals()[part](server)
    print(f"# memory at the end {server.memory_mib():.0f} MiB")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
