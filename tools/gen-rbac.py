#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/apiserver/authz_data.c: the default roles and bindings, read from a running real API server.

usage: KUBECONFIG=... tools/gen-rbac.py [KUBECTL] > src/apiserver/authz_data.c

Only what the server itself keeps (label kubernetes.io/bootstrapping=rbac-defaults) is taken. A rule is
"verbs|groups|resources|names|paths" with spaces between items and "-" for the core group; rules end in ";".
"""
import json
import subprocess
import sys

KUBECTL = sys.argv[1] if len(sys.argv) > 1 else "kubectl"
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def get(kind):
    text = subprocess.run([KUBECTL, "get", kind, "-A", "-l", "kubernetes.io/bootstrapping=rbac-defaults",
                           "-o", "json"], check=True, capture_output=True, text=True).stdout
    return sorted(json.loads(text)["items"], key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))


def words(items):
    out = [item or "-" for item in items or []]
    assert not any(set(word) & set(" |;\"\\") for word in out), out
    return " ".join(out)


def rule(r):
    return "|".join(words(r.get(key)) for key in ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"))


def quoted(text, indent):
    """A C string in pieces of at most 96 columns."""
    width, pieces = 96 - indent, []
    while len(text) > width:
        cut = max(text.rfind(" ", 0, width), text.rfind(";", 0, width)) + 1 or width
        pieces.append(text[:cut])
        text = text[cut:]
    pieces.append(text)
    return ("\n" + " " * indent).join('"%s"' % piece for piece in pieces)


def subject(s, own):
    if s["kind"] == "ServiceAccount":
        return "S%s:%s" % (s.get("namespace", own), s["name"])
    return s["kind"][0] + s["name"]


def main():
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// The default roles and bindings, as data. Made by tools/gen-rbac.py from a running API server; do not edit.")
    print('#include "apiserver/authz_internal.h"\n')
    print("// clang-format off")
    print("const struct authz_default_role authz_default_roles[] = {")
    for kind in ("clusterroles", "roles"):
        for o in get(kind):
            meta = o["metadata"]
            labels = [k[len(AGGREGATE):] for k in meta.get("labels", {}) if k.startswith(AGGREGATE)]
            made_of = [k[len(AGGREGATE):] for s in o.get("aggregationRule", {}).get("clusterRoleSelectors", [])
                       for k in s.get("matchLabels", {})]
            assert len(labels) < 2 and len(made_of) < 2
            rules = [] if made_of else o.get("rules") or []
            print('    {"%s", "%s", "%s", "%s",\n     %s},' % (
                meta.get("namespace", ""), meta["name"], "".join(labels), "".join(made_of),
                quoted(";".join(rule(r) for r in rules), 5)))
    print("};\nconst size_t authz_default_role_count = ARRAY_LEN(authz_default_roles);\n")
    print("const struct authz_default_binding authz_default_bindings[] = {")
    for kind in ("clusterrolebindings", "rolebindings"):
        for o in get(kind):
            meta = o["metadata"]
            own = meta.get("namespace", "")
            print('    {"%s", "%s", "%s", "%s",\n     %s},' % (
                own, meta["name"], o["roleRef"]["kind"], o["roleRef"]["name"],
                quoted(" ".join(subject(s, own) for s in o.get("subjects") or []), 5)))
    print("};\nconst size_t authz_default_binding_count = ARRAY_LEN(authz_default_bindings);")
    print("// clang-format on")


main()
