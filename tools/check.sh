#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Style and structure, in seconds: licence lines, file sizes, banned functions, layers, one file per library, formatting, headers
# that stand alone. Prints what is wrong; ends with 1 if anything is.
set -u
cd "$(dirname "$0")/.."
python3 tools/check.py || exit 1
if command -v clang-format-14 >/dev/null; then
    git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror 2>&1 | head -n 20 | grep . && { echo "run: make format"; exit 1; }
else
    echo "skipped: formatting (no clang-format-14)"
fi
exit 0
