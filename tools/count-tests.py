#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what a Meson test log (one JSON object a line) says: each cmocka test counts, other programs count as one."""
import json
import re
import sys

passed = failed = skipped = 0
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    text = test.get("stdout", "") + test.get("stderr", "")
    ok = [int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", text)]
    bad = [int(n) for n in re.findall(r"\[  FAILED  \] (?:tests: )?(\d+) test", text)]
    left = [int(n) for n in re.findall(r"\[  SKIPPED \] (?:tests: )?(\d+) test", text)]
    if test["result"] in ("OK", "EXPECTEDFAIL"):
        passed += sum(ok) if ok else 1
        skipped += sum(left)
        for reason in re.findall(r"^skipped[: ].*$", text, re.M):
            print(f"   {test['name']}: {reason}")
    elif test["result"] == "SKIP":
        skipped += 1
        print(f"   skipped: {test['name']}")
    else:
        passed += sum(ok)
        failed += sum(bad) or 1
        print(f"   FAILED: {test['name']} ({test['result']})")
print(f"   {passed} passed, {failed} failed, {skipped} skipped")
