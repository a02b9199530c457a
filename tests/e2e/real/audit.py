#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the audit log of an API server: audit.py LOG COMMAND [FROM], where FROM is a place in the file (audit.py LOG end).

  end       the place where it ends now
  refused   requests that were answered with 403, one a line
  missing   kinds of requests that were answered with 403 and never otherwise (a server that starts refuses for a moment)
  writes    requests that changed something, but for Leases and Events
  calls     how many requests of each verb and kind, watches and Leases left out
  watches   how many watches began
  codes     how many answers of each code
  order     writes of a process that did not hold the Lease when it wrote (processes are told apart by their tokens)
"""
import collections
import json
import sys

path, command = sys.argv[1], sys.argv[2]
start = int(sys.argv[3]) if len(sys.argv) > 3 else 0
CHANGES = ("create", "update", "patch", "delete", "deletecollection")


def entries():
    with open(path, "rb") as log:
        log.seek(start)
        for line in log:
            if line.endswith(b"\n"):
                yield json.loads(line)


def kind(entry):
    ref = entry.get("objectRef")
    return ref.get("resource", "") if ref else entry["requestURI"].split("?")[0]


def code(entry):
    return entry.get("responseStatus", {}).get("code", 0)


def is_done(entry):
    return entry["stage"] in ("ResponseComplete", "Panic")


def show(entry):
    ref = entry.get("objectRef") or {}
    name = "/".join(filter(None, (ref.get("namespace"), ref.get("name"))))
    return f'{entry["stageTimestamp"]} {entry["verb"]} {kind(entry)} {name} {code(entry)}'


def changed(entry):
    return is_done(entry) and entry["verb"] in CHANGES and code(entry) < 300 and "dryRun=" not in entry["requestURI"]


def process(entry):
    return entry["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", ["?"])[0]


def order():
    # An entry is written when the answer goes out; the write took place between its two times.
    done = sorted((e for e in entries() if changed(e)), key=lambda e: e["stageTimestamp"])
    taken = []  # (from, process): a Lease write ends at its stageTimestamp, and may have counted since its request
    for e in done:
        if kind(e) == "leases" and (not taken or taken[-1][2] != process(e)):
            taken.append((e["requestReceivedTimestamp"], e["stageTimestamp"], process(e)))
    writes = wrong = 0
    for e in done:
        if kind(e) in ("leases", "events"):
            continue
        writes += 1
        holder = None
        for since, _, who in taken:
            if since <= e["stageTimestamp"]:
                holder = who
        after = [t for t in taken if t[0] > e["requestReceivedTimestamp"]]
        if holder != process(e) and not (after and after[0][2] == process(e)):
            wrong += 1
            print("not the holder:", show(e), file=sys.stderr)
    print(f"{wrong} of {writes} writes by {len(set(t[2] for t in taken))} processes, {len(taken)} terms")


if command == "end":
    with open(path, "rb") as log:
        print(log.seek(0, 2))
elif command == "refused":
    for entry in entries():
        if is_done(entry) and code(entry) == 403:
            print(show(entry))
elif command == "missing":
    good, bad = set(), {}
    for entry in entries():
        what = (entry["verb"], kind(entry), (entry.get("objectRef") or {}).get("namespace"))
        if code(entry) == 403:
            bad[what] = entry
        elif code(entry):
            good.add(what)
    for what, entry in bad.items():
        if what not in good:
            print(show(entry))
elif command == "writes":
    for entry in entries():
        if changed(entry) and kind(entry) not in ("leases", "events"):
            print(show(entry))
elif command == "calls":
    counts = collections.Counter(
        (e["verb"], kind(e)) for e in entries() if is_done(e) and e["verb"] != "watch" and kind(e) != "leases")
    for (verb, what), n in sorted(counts.items()):
        print(n, verb, what)
elif command == "watches":
    print(sum(1 for e in entries() if e["verb"] == "watch" and kind(e) != "leases" and e["stage"] == "ResponseStarted"))
elif command == "codes":
    counts = collections.Counter(code(e) for e in entries() if is_done(e) and e["verb"] != "watch")
    print(" ".join(f"{c}:{n}" for c, n in sorted(counts.items())))
elif command == "order":
    order()
