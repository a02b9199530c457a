#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random points under load, again and again, over one data folder.

  tests/kill/kill9.py SKIFF [--rounds 20] [--seed N] [--clients 4] [--apps 4] [--watchers 3]

Clients create, update and delete ConfigMaps and small Deployments and note each request before it is sent and each answer
after it arrived. `skiff up` is killed after a random time. After each restart:
  - every object has the state of the last acknowledged write, or of the one write that was under way at the kill;
  - what was acknowledged as deleted is not back, and nothing is there that nobody wrote;
  - `PRAGMA integrity_check` says ok;
  - no resourceVersion is lower than the highest one ever seen;
  - watchers that go on from the last version they saw (or list again after 410) end with what the server has, and no event
    comes out of order.
At the end the Applications, whose repository changes all the time, have to be Synced to its last commit and Healthy, and their
objects have to hold its last text. Prints one line a check and ends with an exit code."""
import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

NS = "kill"
CONFIG_MAPS = f"/api/v1/namespaces/{NS}/configmaps"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NS}/deployments"
APPS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"


class Down(Exception):
    """No answer: the request may or may not have been carried out."""


class Api:
    def __init__(self, kubeconfig):
        text = open(kubeconfig, encoding="utf-8").read()
        self.url = urllib.parse.urlparse(re.search(r"server: *\"?(https://[^\s\"}]+)", text).group(1))
        self.token = re.search(r"token: *\"?([^\s\"}]+)", text).group(1)
        self.context = ssl._create_unverified_context()  # a loopback server of this run
        self.conn = None

    def call(self, method, path, body=None, content="application/json"):
        try:
            if not self.conn:
                self.conn = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.context, timeout=30)
            self.conn.request(method, path, body=json.dumps(body) if body is not None else None,
                              headers={"Authorization": "Bearer " + self.token, "Content-Type": content})
            reply = self.conn.getresponse()
            data = reply.read()
            return reply.status, json.loads(data) if data else None
        except (http.client.HTTPException, OSError, ValueError) as error:
            if self.conn:
                self.conn.close()
            self.conn = None
            raise Down(str(error)) from error


class Book:
    """What one client knows of its objects: the acknowledged value, and the value of a write without an answer."""

    def __init__(self):
        self.sure = {}   # (kind, name) -> value, None: deleted or never there
        self.maybe = {}  # (kind, name) -> list of values of writes without an answer, the newest last
        self.version = 0  # the highest resourceVersion seen
        self.writes = 0


def body_of(kind, name, value):
    meta = {"name": name, "namespace": NS, "labels": {"kill": "yes"}}
    if kind == "cm":
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": value}}
    meta["annotations"] = {"value": value}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "c", "image": "registry.example.com/c:1"}]}}}}


def value_of(kind, item):
    return item["data"]["value"] if kind == "cm" else item["metadata"]["annotations"]["value"]


def path_of(kind, name=None):
    base = CONFIG_MAPS if kind == "cm" else DEPLOYMENTS
    return base if name is None else f"{base}/{name}"


class Client(threading.Thread):
    def __init__(self, number, kubeconfig, book, dice, errors):
        super().__init__(daemon=True)
        self.number, self.api, self.book, self.dice, self.errors = number, Api(kubeconfig), book, dice, errors
        self.stop = False

    def run(self):
        try:
            while not self.stop:
                self.one()
        except Down:
            pass  # the server was killed
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(f"client {self.number}: {error!r}")

    def one(self):
        book, dice = self.book, self.dice
        kind = "cm" if dice.random() < 0.85 else "deploy"
        name = f"{kind}-{self.number}-{dice.randrange(40 if kind == 'cm' else 4)}"
        key = (kind, name)
        value = f"{self.number}.{dice.getrandbits(48):x}" + "x" * dice.choice((0, 0, 10, 1000, 20000))
        if book.sure.get(key) is None:
            verb, want = "create", value
        elif dice.random() < 0.25:
            verb, want = "delete", None
        else:
            verb, want = "update", value
        book.maybe.setdefault(key, []).append(want)
        if verb == "create":
            status, reply = self.api.call("POST", path_of(kind), body_of(kind, name, value))
        elif verb == "delete":
            status, reply = self.api.call("DELETE", path_of(kind, name))
        else:
            patch = {"data": {"value": value}} if kind == "cm" else {"metadata": {"annotations": {"value": value}}}
            status, reply = self.api.call("PATCH", path_of(kind, name), patch, "application/merge-patch+json")
        if status not in (200, 201):
            raise RuntimeError(f"{verb} {name}: {status} {reply}")
        book.sure[key] = want
        book.maybe.pop(key, None)
        book.writes += 1
        version = (reply.get("metadata") or {}).get("resourceVersion")
        if version:
            book.version = max(book.version, int(version))


class Watcher(threading.Thread):
    """Follows the ConfigMaps through all kills, as an informer does: list, watch from there, go on from the last version seen."""

    def __init__(self, kubeconfig):
        super().__init__(daemon=True)
        self.kubeconfig, self.stop, self.lock = kubeconfig, False, threading.Lock()
        self.state, self.version, self.wrong = {}, None, []
        self.lists = self.resumed = self.events = 0

    def run(self):
        while not self.stop:
            try:
                api = Api(self.kubeconfig)
                if self.version is None:
                    self.list(api)
                self.watch(api)
            except (Down, OSError, ValueError, AttributeError, http.client.HTTPException):
                time.sleep(0.02)  # the server is being started again

    def list(self, api):
        status, reply = api.call("GET", CONFIG_MAPS + "?labelSelector=kill%3Dyes")
        if status != 200:
            raise Down(str(status))
        with self.lock:
            self.state = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in reply["items"]}
            self.version = int(reply["metadata"]["resourceVersion"])
            self.lists += 1

    def watch(self, api):
        conn = http.client.HTTPSConnection(api.url.hostname, api.url.port, context=api.context, timeout=60)
        conn.request("GET", f"{CONFIG_MAPS}?labelSelector=kill%3Dyes&watch=1&allowWatchBookmarks=true&resourceVersion={self.version}",
                     headers={"Authorization": "Bearer " + api.token})
        reply = conn.getresponse()
        if reply.status == 410:
            self.version = None
            return
        if reply.status != 200:
            raise Down(str(reply.status))
        self.resumed += 1
        for line in reply:
            if line.endswith(b"\n") and not self.take(json.loads(line)):
                return

    def take(self, event):
        item = event["object"]
        if event["type"] == "ERROR":
            self.version = None
            return False
        version = int(item["metadata"]["resourceVersion"])
        with self.lock:
            if version <= self.version and event["type"] != "BOOKMARK":
                self.wrong.append(f"a watch told of {version} after {self.version}")
            name = item["metadata"].get("name")
            known = name in self.state
            if event["type"] == "ADDED" and known or event["type"] in ("MODIFIED", "DELETED") and not known:
                self.wrong.append(f"{event['type']} of {name}, which was {'there' if known else 'not there'}")
            if event["type"] == "DELETED":
                self.state.pop(name, None)
            elif event["type"] != "BOOKMARK":
                self.state[name] = str(version)
            self.version = max(version, self.version)
            self.events += 1
        return True

    def check(self, api):
        """What is wrong, once the watcher had time to catch up with the server, where nobody writes ConfigMaps now."""
        _, reply = api.call("GET", CONFIG_MAPS + "?labelSelector=kill%3Dyes")
        have = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in reply["items"]}
        end = time.monotonic() + 20
        while True:
            with self.lock:
                wrong, self.wrong = self.wrong, []
                if self.state == have:
                    return wrong
                if wrong or time.monotonic() > end:
                    missing = [n for n in have if self.state.get(n) != have[n]] + [n for n in self.state if n not in have]
                    return wrong + [f"a watcher has a gap: {missing[:3]} of {len(missing)}, at version {self.version}"]
            time.sleep(0.02)


class Repository:
    def __init__(self, folder, count):
        self.work, self.bare, self.count, self.number = folder + "/work", folder + "/repo.git", count, 0
        git("init", "-q", "-b", "main", self.work)
        self.write()
        git("clone", "-q", "--bare", self.work, self.bare)

    def write(self):
        self.number += 1
        for i in range(self.count):
            os.makedirs(f"{self.work}/app-{i}", exist_ok=True)
            with open(f"{self.work}/app-{i}/all.yaml", "w", encoding="utf-8") as file:
                file.write(f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-git-{i}\ndata:\n  round: \"{self.number}\"\n")
                file.write(f"---\napiVersion: v1\nkind: Service\nmetadata:\n  name: from-git-{i}\nspec:\n  selector: {{app: none}}\n"
                           "  ports: [{port: 80}]\n")
        git("add", "-A", cwd=self.work)
        git("-c", "user.name=kill", "-c", "user.email=kill@example.com", "commit", "-qm", f"round {self.number}", cwd=self.work)

    def push(self):
        self.write()
        git("push", "-q", self.bare, "main", cwd=self.work)

    def head(self):
        return subprocess.run(["git", "rev-parse", "HEAD"], cwd=self.work, check=True, capture_output=True, text=True).stdout.strip()


def git(*args, cwd=None):
    subprocess.run(("git",) + args, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Run:
    def __init__(self, args):
        self.args = args
        self.folder = tempfile.mkdtemp(prefix="skiff-kill-")
        self.data = self.folder + "/data"
        self.dice = random.Random(args.seed)
        self.books = [Book() for _ in range(args.clients)]
        self.watchers = [Watcher(self.data + "/kubeconfig") for _ in range(args.watchers)]
        self.log = open(self.folder + "/skiff.log", "ab")
        self.process = None
        self.version = 0
        self.slowest_start = 0.0

    def start(self):
        port = free_port()
        began = time.monotonic()
        self.process = subprocess.Popen([self.args.skiff, "up", "--data", self.data, "--listen", f"127.0.0.1:{port}", "--api-listen", "",
                                         "--log-level", "warn"], stdout=self.log, stderr=self.log)
        for _ in range(1200):
            if self.process.poll() is not None:
                raise SystemExit(f"skiff ended by itself with {self.process.returncode}; log in {self.folder}")
            try:
                text = open(self.data + "/kubeconfig", encoding="utf-8").read()
                if f":{port}" in text:
                    status, _ = Api(self.data + "/kubeconfig").call("GET", "/api/v1/namespaces/default")
                    if status == 200:
                        self.slowest_start = max(self.slowest_start, time.monotonic() - began)
                        return
            except (OSError, Down):
                pass
            time.sleep(0.02)
        raise SystemExit(f"skiff did not start within 24 s; log in {self.folder}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def check_database(self):
        # A copy: the real files are left as the kill left them, so that the program's own recovery is what is tested.
        copy = self.folder + "/copy"
        os.makedirs(copy, exist_ok=True)
        for name in os.listdir(copy):
            os.unlink(f"{copy}/{name}")
        for name in ("state.db", "state.db-wal"):
            if os.path.exists(f"{self.data}/{name}"):
                shutil.copyfile(f"{self.data}/{name}", f"{copy}/{name}")
        with sqlite3.connect(copy + "/state.db") as db:
            said = db.execute("PRAGMA integrity_check").fetchall()
        db.close()
        return [] if said == [("ok",)] else [f"integrity_check: {said[:3]}"]

    def check_objects(self):
        api, wrong, seen = Api(self.data + "/kubeconfig"), [], {}
        highest = max(book.version for book in self.books)
        for kind in ("cm", "deploy"):
            status, reply = api.call("GET", path_of(kind) + "?labelSelector=kill%3Dyes")
            if status != 200:
                return [f"list of {kind}: {status} {reply}"]
            version = int(reply["metadata"]["resourceVersion"])
            if version < max(highest, self.version):
                wrong.append(f"resourceVersion went back from {max(highest, self.version)} to {version}")
            self.version = max(self.version, version, highest)
            for item in reply["items"]:
                if "deletionTimestamp" not in item["metadata"]:
                    seen[(kind, item["metadata"]["name"])] = value_of(kind, item)
        known = set()
        for book in self.books:
            for key in set(book.sure) | set(book.maybe):
                known.add(key)
                have = seen.get(key)
                allowed = [book.sure.get(key)] + book.maybe.get(key, [])
                if have not in allowed:
                    wrong.append(f"{key[1]}: has {str(have)[:30]}, acknowledged was {str(allowed[0])[:30]}, {len(allowed) - 1} open")
                book.sure[key] = have
            book.maybe.clear()
        wrong += [f"{key[1]}: nobody wrote this" for key in seen if key not in known]
        return wrong

    def round(self, number, repository):
        errors = []
        clients = [Client(i, self.data + "/kubeconfig", book, random.Random(self.dice.getrandbits(64)), errors)
                   for i, book in enumerate(self.books)]
        for client in clients:
            client.start()
        if number % 3 == 0:
            repository.push()
        time.sleep(self.dice.uniform(0.02, 0.8))
        self.kill()
        for client in clients:
            client.stop = True
            client.join(60)
        errors += self.check_database()
        self.start()
        errors += self.check_objects()
        api = Api(self.data + "/kubeconfig")
        for watcher in self.watchers:
            errors += watcher.check(api)
        writes = sum(book.writes for book in self.books)
        if errors or number % self.args.every == 0 or number == self.args.rounds:
            print(f"{'not ok' if errors else 'ok'} - kill {number}: {writes} acknowledged writes so far, revision {self.version}", flush=True)
        for error in errors:
            print("#   " + error, flush=True)
        return not errors

    def converge(self, repository):
        api, head = Api(self.data + "/kubeconfig"), repository.head()
        deadline = time.monotonic() + 120
        while True:
            status, reply = api.call("GET", APPS)
            items = reply["items"] if status == 200 else []
            good = [a for a in items if a.get("status", {}).get("sync", {}).get("status") == "Synced"
                    and a["status"]["sync"].get("revision") == head and a["status"].get("health", {}).get("status") == "Healthy"]
            if len(good) == self.args.apps:
                break
            if time.monotonic() > deadline:
                print(f"not ok - {len(good)} of {self.args.apps} applications are Synced to the last commit and Healthy")
                return False
            time.sleep(0.2)
        for i in range(self.args.apps):
            _, item = api.call("GET", f"/api/v1/namespaces/{NS}/configmaps/from-git-{i}")
            if item.get("data", {}).get("round") != str(repository.number):
                print(f"not ok - from-git-{i} has {item.get('data')}, the repository {repository.number}")
                return False
        print(f"ok - {self.args.apps} applications are Synced to the last commit and Healthy", flush=True)
        return True

    def all(self):
        repository = Repository(self.folder, self.args.apps)
        self.start()
        api = Api(self.data + "/kubeconfig")
        api.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})
        for i in range(self.args.apps):
            status, reply = api.call("POST", APPS, {
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": f"app-{i}", "namespace": "argocd"},
                "spec": {"project": "default", "source": {"repoURL": "file://" + repository.bare, "path": f"app-{i}",
                                                          "targetRevision": "main"},
                         "destination": {"server": "https://kubernetes.default.svc", "namespace": NS},
                         "syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}})
            if status != 201:
                raise SystemExit(f"creating an Application: {status} {reply}")
        good = True
        for watcher in self.watchers:
            watcher.start()
        for number in range(1, self.args.rounds + 1):
            good = self.round(number, repository) and good
        good = self.converge(repository) and good
        writes = sum(book.writes for book in self.books)
        for watcher in self.watchers:
            watcher.stop = True
        print(f"{'ok' if good else 'not ok'} - {self.args.rounds} kills, {writes} acknowledged writes, "
              f"{sum(w.events for w in self.watchers)} events to {len(self.watchers)} watchers ({sum(w.resumed for w in self.watchers)} watches, "
              f"{sum(w.lists for w in self.watchers)} lists), slowest restart "
              f"{self.slowest_start * 1000:.0f} ms, seed {self.args.seed}", flush=True)
        return good

    def end(self, good):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()
        if good:
            shutil.rmtree(self.folder)
        else:
            print(f"# data and log are left in {self.folder}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skiff")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--apps", type=int, default=4)
    parser.add_argument("--watchers", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="print one line every so many kills")
    args = parser.parse_args()
    run, good = Run(args), False
    try:
        good = run.all()
    finally:
        run.end(good)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
