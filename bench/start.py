#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start-up time, idle memory and size of the program: bench/start.py SKIFF [--starts 20]

`version` is from the start of the process to its end; `first start` from the start with an empty data folder to the first answer
of the API (certificates are made, CRDs and the project written); `next start` the same over that folder. Medians."""
import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port, context):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as plain, context.wrap_socket(plain) as conn:
            conn.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return conn.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start(skiff, data, context, rest):
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen([skiff, "up", "--data", data, "--listen", f"127.0.0.1:{port}", "--api-listen", "", "--log-level", "warn"],
                               stdout=subprocess.DEVNULL)
    while not answers(port, context):
        if process.poll() is not None or time.monotonic() - began > 30:
            raise SystemExit("skiff did not start")
        time.sleep(0.001)
    took = time.monotonic() - began
    time.sleep(rest)
    status = open(f"/proc/{process.pid}/status", encoding="utf-8").read()
    memory = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return took * 1000, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skiff")
    parser.add_argument("--starts", type=int, default=20)
    args = parser.parse_args()
    context = ssl._create_unverified_context()  # a loopback server of this run
    work = tempfile.mkdtemp(prefix="skiff-start-")
    try:
        version, first, later, memory = [], [], [], []
        for i in range(args.starts):
            began = time.monotonic()
            subprocess.run([args.skiff, "version", "--client"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            version.append((time.monotonic() - began) * 1000)
            data = f"{work}/{i}"
            first.append(start(args.skiff, data, context, 0.2)[0])
            took, rss = start(args.skiff, data, context, 1)
            later.append(took)
            memory.append(rss)
        stripped = work + "/stripped"
        subprocess.run(["strip", "-o", stripped, args.skiff], check=True)
        print(f"version: {statistics.median(version):.1f} ms; first start: {statistics.median(first):.0f} ms; next start: "
              f"{statistics.median(later):.0f} ms; idle memory {statistics.median(memory):.1f} MiB; "
              f"binary, stripped: {os.path.getsize(stripped) / 1048576:.2f} MiB")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
