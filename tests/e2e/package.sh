#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Debian package: it is built from a copy of what Git knows, lintian has nothing against it, and what the units start runs as
# somebody without rights. Only in ./test --full.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
[ "${SKIFF_TEST_FULL:-}" ] || { skip "the Debian package" "only in ./test --full"; exit 0; }
for program in dpkg-buildpackage dh; do
    command -v $program >/dev/null || { skip "the Debian package" "no $program (Debian: dpkg-dev, debhelper)"; exit 0; }
done
git rev-parse HEAD >/dev/null 2>&1 || { skip "the Debian package" "not a clone"; exit 0; }
mkdir "$work/build"
git ls-files -zco --exclude-standard | xargs -0 tar -cf - | tar -xf - -C "$work/build"
check "dpkg-buildpackage" sh -c "cd '$work/build' && dpkg-buildpackage -us -uc -b >'$work/build.log' 2>&1 || { tail -n 20 '$work/build.log'; exit 1; }"
package=$(ls "$work"/skiff_*.deb 2>/dev/null)
[ "$package" ] || finish
if command -v lintian >/dev/null; then
    lintian --fail-on error,warning "$package" >"$work/lintian" 2>&1 # being root is not the package's fault
    check "lintian" sh -c "! grep -E '^[EW]:' '$work/lintian'"
else
    skip lintian "not installed"
fi
dpkg-deb -x "$package" "$work/root"
dpkg-deb -e "$package" "$work/root/DEBIAN"
equal "the settings are a conffile" /etc/default/skiff "$(cat "$work/root/DEBIAN/conffiles")"
for file in usr/bin/skiff usr/share/man/man1/skiff.1.gz usr/share/bash-completion/completions/skiff usr/share/zsh/vendor-completions/_skiff \
    usr/share/fish/vendor_completions.d/skiff.fish lib/systemd/system/skiff.service lib/systemd/system/skiff-controller.service; do
    check "$file" test -s "$work/root/$file"
done
check "bash takes the completion" bash -c ". '$work/root/usr/share/bash-completion/completions/skiff' && complete -p skiff"
if command -v systemd-analyze >/dev/null; then
    sed -i "s#/usr/bin/skiff#$work/root/usr/bin/skiff#" "$work"/root/lib/systemd/system/*.service
    check "the units are understood" sh -c "! systemd-analyze verify --man=no '$work'/root/lib/systemd/system/*.service 2>&1 | grep skiff"
    check "the units are hardened" systemd-analyze security --offline=yes --threshold=20 --no-pager "$work/root/lib/systemd/system/skiff.service"
    sed -i "s#$work/root/usr/bin/skiff#/usr/bin/skiff#" "$work"/root/lib/systemd/system/*.service
else
    skip "the units are understood" "no systemd-analyze"
fi
# The unit's own command line, with what systemd would put into it.
STATE_DIRECTORY=$work/state
mkdir -m 0700 "$STATE_DIRECTORY"
command_line=$(sed -n "s#^ExecStart=/usr#$work/root/usr#p" "$work/root/lib/systemd/system/skiff.service" |
    sed "s#\${STATE_DIRECTORY}#$STATE_DIRECTORY#; s#\$SKIFF_UP_OPTIONS#--listen 127.0.0.1:0 --api-listen 127.0.0.1:0#")
as_nobody=
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$work"
    chown nobody "$STATE_DIRECTORY"
    as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all"
fi
# shellcheck disable=SC2086
env -i PATH=/usr/bin:/bin $as_nobody $command_line >"$work/unit.log" 2>&1 &
skiff_pid=$!
eventually "skiff.service: what it starts runs" 20 yes sh -c "grep -q 'skiff is up' '$work/unit.log' && echo yes"
check "skiff.service: its API answers" "$work/root/usr/bin/skiff" kube --kubeconfig "$STATE_DIRECTORY/kubeconfig" get namespace argocd
equal "skiff.service: its key is nobody else's to read" 600 "$(stat -c %a "$STATE_DIRECTORY/ca.key")"
stop_skiff
finish
