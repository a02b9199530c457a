#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The embedded API beside etcd and a real kube-apiserver, under one load generator, in one run.

  bench/peers.py BUILD [--count 20000] [--watchers 1000] [--many 100000] [--rounds 1] [--only skiff,etcd,kube]

BUILD is a folder that Meson built. etcd is Debian's (package etcd-server), through its JSON gateway; kube-apiserver comes from
tests/kubernetes/start (with the etcd it brings), over TLS, as Skiff. Where a peer is missing it is skipped, with the reason.
  create   200 clients create ConfigMaps of 2 KiB, each answered when it is durable
  list     10,000 of them, uncompressed, to the last byte; the client has the other core
  watch    1,000 watchers see what one client creates: nothing may be missing or out of order
  many     100,000 objects stored: memory, and the time of a restart to the first answer (Skiff only)"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
CONTEXT = ssl._create_unverified_context()  # loopback servers of this run


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for one in socks:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in socks]
    for one in socks:
        one.close()
    return ports


def wait_for(url, token=None, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token} if token else {})
            with urllib.request.urlopen(request, context=CONTEXT, timeout=5) as reply:
                if reply.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.002)
    raise SystemExit(f"{url} did not answer within {seconds} s")


def memory_mib(pid, field="VmHWM"):
    return int(re.search(field + r":\s+(\d+)", open(f"/proc/{pid}/status", encoding="utf-8").read()).group(1)) / 1024


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """One peer: its processes, and what the load generator needs to reach it."""
    pids, load = (), ()

    def memory(self, field="VmHWM"):
        return sum(memory_mib(pid, field) for pid in self.pids)

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in self.pids)


class Skiff(Server):
    name = "skiff"

    def __init__(self, build, work):
        self.skiff, self.data = os.path.join(build, "src", "skiff"), os.path.join(work, "skiff")
        self.port = free_ports(1)[0]
        self.start()
        self.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "load"}})

    def start(self):
        self.process = subprocess.Popen([self.skiff, "up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                                         "--api-listen", "", "--log-level", "warn"], stdout=subprocess.DEVNULL)
        config = os.path.join(self.data, "kubeconfig")
        while not os.path.exists(config):
            if self.process.poll() is not None:
                raise SystemExit("skiff did not start")
            time.sleep(0.001)
        wait_for(f"https://127.0.0.1:{self.port}/readyz")
        self.token = re.search(r'token: *"?([^\s"}]+)', open(config, encoding="utf-8").read()).group(1)
        self.pids, self.load = (self.process.pid,), ("--kube", str(self.port), "--tls", "--token", self.token)

    def post(self, path, value):
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data=json.dumps(value).encode(), method="POST",
                                         headers={"Authorization": "Bearer " + self.token, "Content-Type": "application/json"})
        urllib.request.urlopen(request, context=CONTEXT, timeout=30).read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Etcd(Server):
    name = "etcd"

    def __init__(self, _build, work):
        etcd = next((p for p in ("/usr/bin/etcd", "/usr/local/bin/etcd") if os.path.exists(p)), None)
        if not etcd:
            raise LookupError("Debian's etcd-server is not installed")
        client, peer = free_ports(2)
        self.process = subprocess.Popen(
            [etcd, "--data-dir", os.path.join(work, "etcd"), "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls",
             f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls",
             f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}", "--quota-backend-bytes", str(8 << 30)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(f"http://127.0.0.1:{client}/health")
        self.pids, self.load = (self.process.pid,), ("--etcd", str(client))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Kube(Skiff):
    name = "kube-apiserver"

    def __init__(self, _build, work):
        self.dir = os.path.join(work, "kube")
        self.script = os.path.join(HERE, "..", "tests", "kubernetes", "start")
        made = subprocess.run(["sh", self.script, self.dir], env={**os.environ, "NODES": "0"}, capture_output=True, text=True)
        if made.returncode:
            raise LookupError((made.stdout + made.stderr).strip().splitlines()[-1])
        text = open(os.path.join(self.dir, "kubeconfig"), encoding="utf-8").read()
        self.port = int(re.search(r"server: *\"?https://[^:]+:(\d+)", text).group(1))
        self.token = re.search(r'token: *"?([^\s"}]+)', text).group(1)
        self.pids = [int(open(os.path.join(self.dir, f"{part}.pid"), encoding="utf-8").read()) for part in ("etcd", "kube-apiserver")]
        self.load = ("--kube", str(self.port), "--tls", "--token", self.token)
        self.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "load"}})

    def stop(self):
        subprocess.run(["sh", self.script, "--stop", self.dir], capture_output=True)


def load(build, server, mode, *options, core=None):
    before = server.cpu()
    command = [os.path.join(build, "bench", "bench_load"), mode, *server.load, *options]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    made = subprocess.run(command, capture_output=True, text=True)
    if not made.stdout:
        raise SystemExit(f"{server.name} {mode}: {made.stderr.strip()}")
    result = json.loads(made.stdout)
    result["server_cpu_seconds"] = round(server.cpu() - before, 2)
    result["server_peak_mib"] = round(server.memory())
    if made.stderr:
        result["first_error"] = made.stderr.strip()
    return result


def say(server, what, result):
    print(f"{server:15} {what:7} {json.dumps(result)}", flush=True)
    return result


def measure(build, server, args, results):
    mine = results.setdefault(server.name, {})
    mine["create"] = say(server.name, "create", load(build, server, "create", "--count", str(args.count)))
    if server.name == "etcd":
        return
    server.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ten"}})
    load(build, server, "create", "--count", "10000", "--namespace", "ten")
    server.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "seen"}})
    for pid in server.pids:
        os.sched_setaffinity(pid, {0})
    listed = [load(build, server, "list", "--namespace", "ten", "--count", "1", core=1) for _ in range(5)]
    for pid in server.pids:
        os.sched_setaffinity(pid, range(os.cpu_count()))
    mine["list"] = say(server.name, "list", sorted(listed, key=lambda r: r["p50_ms"])[2])
    mine["watch"] = say(server.name, "watch", load(build, server, "watch", "--watchers", str(args.watchers), "--count", "200",
                                                   "--namespace", "seen"))


def many(build, server, count):
    server.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})
    made = load(build, server, "create", "--count", str(count), "--namespace", "many")
    result = {"objects": count, "per_second": made["per_second"], "memory_mib": round(server.memory("VmRSS")), "peak_mib": made["server_peak_mib"]}
    server.stop()
    result["disk_mib"] = round(sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(server.data) for f in names) / 1048576)
    began = time.monotonic()
    server.start()
    result["restart_seconds"] = round(time.monotonic() - began, 2)
    time.sleep(2)
    result["memory_after_restart_mib"] = round(server.memory("VmRSS"))
    say(server.name, "many", result)


def ratios(results):
    ours = results.get("skiff")
    for peer, theirs in results.items():
        if peer == "skiff" or not ours:
            continue
        print(f"skiff beside {peer}: creates a second {ours['create']['per_second'] / theirs['create']['per_second']:.2f} times, "
              f"p99 {ours['create']['p99_ms'] / theirs['create']['p99_ms']:.2f}, CPU a create "
              f"{ours['create']['server_cpu_seconds'] / theirs['create']['server_cpu_seconds']:.2f}, memory "
              f"{ours['create']['server_peak_mib'] / theirs['create']['server_peak_mib']:.2f}")
        if "list" in theirs:
            print(f"    list {ours['list']['p50_ms'] / theirs['list']['p50_ms']:.2f} of the time; deliveries to watchers "
                  f"{ours['watch']['deliveries_per_second'] / theirs['watch']['deliveries_per_second']:.2f} times a second")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--many", type=int, default=100000)
    parser.add_argument("--only", default="skiff,etcd,kube")
    args = parser.parse_args()
    build, results = os.path.realpath(args.build), {}
    for kind in [{"skiff": Skiff, "etcd": Etcd, "kube": Kube}[name] for name in args.only.split(",")]:
        work = tempfile.mkdtemp(prefix="skiff-peers-")
        server = None
        try:
            server = kind(build, work)
            measure(build, server, args, results)
            if kind is Skiff and args.many:
                many(build, server, args.many)
        except LookupError as reason:
            print(f"{kind.name:15} skipped: {reason}")
        finally:
            if server:
                server.stop()
            shutil.rmtree(work, ignore_errors=True)
    ratios(results)


if __name__ == "__main__":
    main()
