#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Applications at scale against the embedded API or a real one: from the creation of N Applications of four objects to all Synced
and Healthy, again from one push that changes them all, and the time from a push of one changed file to the live object.

  bench/scale.py SKIFF [--apps 1000] [--single 50] [--kubeconfig FILE]
  bench/scale.py SKIFF --apps 10000 --extra 3 --namespaces 20 --no-push --single 0 --idle 360 [--poll 20s]

The second one looks at many applications at rest: CPU, memory, and writes other than renewals of Leases. Without --kubeconfig it runs `skiff up` (node delays 0, empty data folder); with it `skiff controller` against that cluster. Figures: wall
seconds, CPU seconds of the process and its children, peak resident memory (VmHWM, from the kernel)."""
import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

FOLDER = """apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  selector: {{app: {name}}}
  ports:
  - {{name: http, port: 9898, protocol: TCP, targetPort: http}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
spec:
  rules:
  - host: {name}.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {{service: {{name: {name}, port: {{number: 9898}}}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
  annotations: {{round: "{round}"}}
spec:
  replicas: 1
  minReadySeconds: 0
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 60
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
      annotations: {{prometheus.io/scrape: "true", prometheus.io/port: "9797"}}
    spec:
      serviceAccountName: {name}
      containers:
      - name: app
        image: registry.example.com/app:6.{round}.0
        imagePullPolicy: IfNotPresent
        ports:
        - {{name: http, containerPort: 9898, protocol: TCP}}
        - {{name: metrics, containerPort: 9797, protocol: TCP}}
        command: [./app, --port=9898, --port-metrics=9797, --level=info, --random-delay=false, --random-error=false]
        env:
        - {{name: COLOR, value: "#34577c"}}
        readinessProbe:
          httpGet: {{path: /readyz, port: 9898}}
          initialDelaySeconds: 5
          timeoutSeconds: 5
        livenessProbe:
          httpGet: {{path: /healthz, port: 9898}}
          initialDelaySeconds: 5
          timeoutSeconds: 5
        resources:
          limits: {{cpu: 2000m, memory: 512Mi}}
          requests: {{cpu: 100m, memory: 64Mi}}
"""


def run(*args, cwd=None):
    subprocess.run(args, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


class Api:
    def __init__(self, kubeconfig):
        text = open(kubeconfig, encoding="utf-8").read()
        self.url = urllib.parse.urlparse(re.search(r"server: *\"?(https://[^\s\"}]+)", text).group(1).rstrip('",'))
        self.token = re.search(r"token: *\"?([^\s\"}]+)", text).group(1)
        self.context = ssl._create_unverified_context()  # a loopback server of this run
        self.local = threading.local()

    def connect(self):
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.context, timeout=600)

    def call(self, method, path, body=None, content="application/json"):
        for attempt in (0, 1):
            if not getattr(self.local, "conn", None):
                self.local.conn = self.connect()
            try:
                self.local.conn.request(method, path, body=json.dumps(body) if body is not None else None,
                                        headers={"Authorization": "Bearer " + self.token, "Content-Type": content})
                reply = self.local.conn.getresponse()
                data = reply.read()
                return reply.status, json.loads(data) if data else None
            except (http.client.HTTPException, OSError):
                self.local.conn = None
                if attempt:
                    raise

    def watch(self, path):
        conn = self.connect()
        conn.request("GET", path, headers={"Authorization": "Bearer " + self.token})
        reply = conn.getresponse()
        while True:
            line = reply.readline()
            if not line:
                return
            yield json.loads(line)


EXTRA = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}-{i}
data:
  colour: "#34577c"
  level: info
"""

APPS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
NAMESPACES = ["bench"]
LISTS = [APPS] + ["/api/v1/" + kind for kind in ("configmaps", "endpoints", "events", "namespaces", "pods", "secrets", "serviceaccounts",
                                                 "services")] + \
    ["/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/apis/discovery.k8s.io/v1/endpointslices",
     "/apis/networking.k8s.io/v1/ingresses"]


def namespace_of(name):
    return NAMESPACES[int(name[-5:]) % len(NAMESPACES)]


def application(name, repo):
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"project": "default", "source": {"repoURL": repo, "path": "apps/" + name, "targetRevision": "main"},
                     "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace_of(name)},
                     "syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}}


class Progress(threading.Thread):
    """Follows all Applications and remembers which are Synced to a revision and Healthy."""

    def __init__(self, api):
        super().__init__(daemon=True)
        self.api, self.state, self.changed = api, {}, threading.Condition()

    def run(self):
        version = "0"
        while True:
            try:
                for event in self.api.watch(f"{APPS}?watch=1&allowWatchBookmarks=true&resourceVersion={version}"):
                    if event["type"] not in ("ADDED", "MODIFIED"):
                        continue
                    status = event["object"].get("status") or {}
                    ok = status.get("sync", {}).get("status") == "Synced" and status.get("health", {}).get("status") == "Healthy" \
                        and status.get("operationState", {}).get("phase") == "Succeeded"
                    with self.changed:
                        self.state[event["object"]["metadata"]["name"]] = status["sync"].get("revision") if ok else None
                        self.changed.notify_all()
            except (http.client.HTTPException, OSError):
                time.sleep(0.2)

    def wait(self, names, revision, timeout):
        deadline = time.monotonic() + timeout
        with self.changed:
            while not all(self.state.get(name) == revision for name in names):
                left = deadline - time.monotonic()
                if left <= 0:
                    bad = [name for name in names if self.state.get(name) != revision]
                    raise SystemExit(f"timed out: {len(bad)} of {len(names)} not there, e.g. {bad[:3]}")
                self.changed.wait(left)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def usage(pid):
    fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()
    cpu = sum(int(x) for x in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    status = open(f"/proc/{pid}/status", encoding="utf-8").read()
    return cpu, int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024, int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def write_round(repo, names, number, extra=0):
    for name in names:
        os.makedirs(f"{repo}/apps/{name}", exist_ok=True)
        with open(f"{repo}/apps/{name}/all.yaml", "w", encoding="utf-8") as file:
            file.write(FOLDER.format(name=name, round=number) + "".join(EXTRA.format(name=name, i=i) for i in range(extra)))
    run("git", "add", "-A", cwd=repo)
    run("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "-qm", f"round {number}", cwd=repo)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=repo, check=True, capture_output=True, text=True).stdout.strip()


def create_all(api, names, repo):
    def some(part):
        for name in part:
            status, reply = api.call("POST", APPS, application(name, repo))
            if status not in (200, 201):
                raise SystemExit(f"creating {name}: {status} {reply}")
    threads = [threading.Thread(target=some, args=(names[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def single_edits(api, repo, bare, names, count):
    """One changed file a push; the clock runs from the end of the push to the watch event of the live object."""
    samples = []
    events = {}
    arrived = threading.Condition()

    def follow():
        for event in api.watch("/apis/apps/v1/namespaces/bench/deployments?watch=1&resourceVersion=0"):
            if event["type"] in ("ADDED", "MODIFIED"):
                with arrived:
                    meta = event["object"]["metadata"]
                    events.setdefault((meta["name"], meta.get("annotations", {}).get("round")), time.monotonic())
                    arrived.notify_all()
    threading.Thread(target=follow, daemon=True).start()
    time.sleep(1)
    for i in range(count):
        name, number = names[(i * 37) % len(names)], str(1000 + i)
        with open(f"{repo}/apps/{name}/all.yaml", "w", encoding="utf-8") as file:
            file.write(FOLDER.format(name=name, round=number))
        run("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "-qam", "one", cwd=repo)
        run("git", "push", "-q", bare, "main", cwd=repo)
        start = time.monotonic()
        with arrived:
            if not arrived.wait_for(lambda: (name, number) in events, 60):
                raise SystemExit(f"the change of {name} did not arrive within 60 s")
        samples.append((events[(name, number)] - start) * 1000)
        time.sleep(0.05)
    samples.sort()
    return statistics.median(samples), samples[min(len(samples) - 1, int(len(samples) * 0.99))]


def count_objects(api):
    total = 0
    for path in LISTS:
        status, reply = api.call("GET", path + "?limit=1")
        if status == 200:
            total += len(reply["items"]) + reply["metadata"].get("remainingItemCount", 0)
    return total


class Leases(threading.Thread):
    """Counts the renewals of Leases, which are allowed at rest."""

    def __init__(self, api):
        super().__init__(daemon=True)
        self.api, self.count = api, 0

    def run(self):
        version = self.api.call("GET", "/apis/coordination.k8s.io/v1/leases?limit=1")[1]["metadata"]["resourceVersion"]
        for _ in self.api.watch(f"/apis/coordination.k8s.io/v1/leases?watch=1&resourceVersion={version}"):
            self.count += 1


def at_rest(api, process, seconds):
    def version():
        return int(api.call("GET", "/api/v1/namespaces?limit=1")[1]["metadata"]["resourceVersion"])
    objects = count_objects(api)
    time.sleep(10)  # the last status writes
    leases = Leases(api)
    leases.start()
    time.sleep(1)
    before, began, first, renewed = usage(process.pid)[0], time.monotonic(), version(), leases.count
    time.sleep(seconds)
    cpu, peak, rss = usage(process.pid)
    wall = time.monotonic() - began
    writes, renewals = version() - first, leases.count - renewed
    print(f"at rest with {objects} objects for {wall:.0f} s: {100 * (cpu - before) / wall:.2f} % of a core with children, "
          f"{rss:.1f} MiB (peak while loading {peak:.1f}), {writes - renewals} writes besides {renewals} renewals of Leases", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skiff")
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--single", type=int, default=50)
    parser.add_argument("--timeout", type=int, default=900)
    parser.add_argument("--kubeconfig")
    parser.add_argument("--idle", type=int, default=0, help="seconds to measure at rest at the end")
    parser.add_argument("--poll", help="timeout.reconciliation for the run, e.g. 20s; the jitter is 0 then")
    parser.add_argument("--extra", type=int, default=0, help="ConfigMaps beside the four objects of an application")
    parser.add_argument("--namespaces", type=int, default=1)
    parser.add_argument("--no-push", action="store_true")
    args = parser.parse_args()
    NAMESPACES[:] = ["bench"] if args.namespaces == 1 else [f"bench-{i}" for i in range(args.namespaces)]
    work = tempfile.mkdtemp(prefix="skiff-bench-")
    repo, bare, data = work + "/work", work + "/repo.git", work + "/data"
    names = [f"app-{i:05d}" for i in range(args.apps)]
    run("git", "init", "-q", "-b", "main", repo)
    first = write_round(repo, names, 1, args.extra)
    run("git", "clone", "-q", "--bare", repo, bare)
    ports = free_ports(2)
    if args.kubeconfig:
        command = [args.skiff, "controller", "--kubeconfig", args.kubeconfig, "--cache", data, "--kube-qps", "0", "--allow-local-repos"]
    else:
        command = [args.skiff, "up", "--data", data, "--listen", f"127.0.0.1:{ports[0]}"]
    log = open(work + "/skiff.log", "w", encoding="utf-8")
    process = subprocess.Popen(command + ["--api-listen", f"127.0.0.1:{ports[1]}", "--log-level", "warn"], stdout=log, stderr=log)
    try:
        kubeconfig = args.kubeconfig or data + "/kubeconfig"
        for _ in range(200):
            if os.path.exists(kubeconfig):
                break
            time.sleep(0.05)
        time.sleep(1 if not args.kubeconfig else 5)
        api = Api(kubeconfig)
        for name in NAMESPACES:
            api.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        if args.poll:
            settings = {"timeout.reconciliation": args.poll, "timeout.reconciliation.jitter": "0s"}
            path, about = "/api/v1/namespaces/argocd/configmaps", {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}}
            api.call("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {}})
            status, reply = api.call("PATCH", path + "/argocd-cm", {"data": settings}, "application/merge-patch+json")
            if status != 200:
                raise SystemExit(f"argocd-cm: {status} {reply}")
        progress = Progress(api)
        progress.start()
        idle_cpu, _, idle_rss = usage(process.pid)
        print(f"idle after start: {idle_rss:.1f} MiB", flush=True)
        start = time.monotonic()
        create_all(api, names, "file://" + bare)
        progress.wait(names, first, args.timeout)
        wall = time.monotonic() - start
        cpu, peak, _ = usage(process.pid)
        print(f"{args.apps} applications, creation to Synced and Healthy: {wall:.2f} s, {cpu - idle_cpu:.2f} CPU-s, peak {peak:.1f} MiB", flush=True)
        if not args.no_push:
            second = write_round(repo, names, 2)
            start = time.monotonic()
            run("git", "push", "-q", bare, "main", cwd=repo)
            progress.wait(names, second, args.timeout)
            wall = time.monotonic() - start
            before, (cpu, peak, _) = cpu, usage(process.pid)
            print(f"one push that changes all: {wall:.2f} s, {cpu - before:.2f} CPU-s, peak {peak:.1f} MiB", flush=True)
        if args.single:
            median, p99 = single_edits(api, repo, bare, names, args.single)
            print(f"one changed file to the live object: median {median:.0f} ms, p99 {p99:.0f} ms ({args.single} pushes)", flush=True)
        if args.idle:
            at_rest(api, process, args.idle)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()
        tail = open(work + "/skiff.log", encoding="utf-8").read()[-2000:]
        if tail.count("\n") > 3:
            print(tail, file=sys.stderr)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
