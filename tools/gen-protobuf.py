#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints src/apiserver/protobuf_data.c: the field numbers of the built-in kinds in protobuf, as text the decoder reads.

usage: gen-protobuf.py GO_MODULE_CACHE/k8s.io/api@VERSION GO_MODULE_CACHE/k8s.io/apimachinery@VERSION
The facts come from the struct tags of types.go; nothing else of those files is used.
"""
import re
import sys

PACKAGES = {  # folder of k8s.io/api: apiVersion
    'core/v1': 'v1', 'apps/v1': 'apps/v1', 'batch/v1': 'batch/v1', 'autoscaling/v1': 'autoscaling/v1',
    'autoscaling/v2': 'autoscaling/v2', 'networking/v1': 'networking.k8s.io/v1', 'policy/v1': 'policy/v1',
    'rbac/v1': 'rbac.authorization.k8s.io/v1', 'coordination/v1': 'coordination.k8s.io/v1',
    'events/v1': 'events.k8s.io/v1', 'authorization/v1': 'authorization.k8s.io/v1',
    'authentication/v1': 'authentication.k8s.io/v1', 'scheduling/v1': 'scheduling.k8s.io/v1',
    'certificates/v1': 'certificates.k8s.io/v1', 'flowcontrol/v1': 'flowcontrol.apiserver.k8s.io/v1',
    'admissionregistration/v1': 'admissionregistration.k8s.io/v1',
    'storage/v1': 'storage.k8s.io/v1', 'discovery/v1': 'discovery.k8s.io/v1', 'node/v1': 'node.k8s.io/v1',
}
META = 'meta.k8s.io/v1'
ROOTS = ['meta.k8s.io/v1.DeleteOptions']
SPECIAL = {'resource.Quantity': 'Q', 'intstr.IntOrString': 'I', 'runtime.RawExtension': 'R', 'types.UID': 's',
           'types.NodeName': 's', 'metav1.Time': 'T', 'metav1.MicroTime': 'M', 'metav1.FieldsV1': 'F',
           'metav1.Duration': 'D', 'metav1.ConditionStatus': 's'}
BASIC = {'string': 's', 'bool': 't', 'int32': 'i', 'int64': 'i', 'int': 'i', 'uint32': 'i', 'uint64': 'i',
         'float64': 'd', 'byte': 'i'}

structs, aliases = {}, {}


def read(path, version):
    text = open(path).read()
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    text = re.sub(r'^\s*//.*$', '', text, flags=re.M)
    for match in re.finditer(r'^type (\w+) struct \{\n(.*?)^\}', text, re.S | re.M):
        structs[version + '.' + match[1]] = match[2]
    for match in re.finditer(r'^type (\w+) ([^\s{]+)$', text, re.M):
        if match[2] != 'struct':
            aliases[version + '.' + match[1]] = match[2]
    imports = dict(re.findall(r'^\s*(\w+) "k8s.io/(?:api|apimachinery)/(\S+)"$', text, re.M))
    return imports


def resolve(version, go_type):
    """(flags, kind, message) of a Go type as a field of a struct of this version."""
    pointer = go_type.startswith('*')
    go_type = go_type.lstrip('*')
    if go_type == '[]byte':
        return pointer, '', 'b', ''
    if go_type.startswith('[]'):
        _, flags, kind, message = resolve(version, go_type[2:])
        return True, '*', kind, message
    if go_type.startswith('map[string]') or re.match(r'map\[\w+\]', go_type):
        _, flags, kind, message = resolve(version, go_type[go_type.index(']') + 1:])
        return True, '%', 'L' if flags == '*' else kind, message
    if version == META and go_type in ('Time', 'MicroTime', 'FieldsV1', 'Duration'):
        go_type = 'metav1.' + go_type
    if go_type in SPECIAL:
        return pointer, '', SPECIAL[go_type], ''
    if go_type in BASIC:
        return pointer, '', BASIC[go_type], ''
    name = version + '.' + go_type
    if '.' in go_type:
        package, _, base = go_type.partition('.')
        name = {'metav1': META, 'v1': 'v1', 'corev1': 'v1', 'core': 'v1', 'apiv1': 'v1'}[package] + '.' + base
    if name in structs:
        return pointer, '', 'm', name
    alias = aliases[name]
    if alias.startswith('[]') and 'ExtraValue' in name:
        return True, '', 'L', ''
    return (pointer,) + resolve(name.rpartition('.')[0], alias)[1:] if not pointer and not alias.startswith(
        ('[]', 'map')) else resolve(name.rpartition('.')[0], alias)


def fields(name):
    version = name.rpartition('.')[0]
    out = []
    for line in structs[name].splitlines():
        match = re.match(r'\s*(?:(\w+)\s+)?([\[\]*\w.]+)\s+`(.*)`', line)
        if not match or 'protobuf:"' not in match[3]:
            continue
        json = re.search(r'json:"([^"]*)"', match[3])[1].split(',')
        number = int(re.search(r'protobuf:"\w+,(\d+)', match[3])[1])
        keep, flags, kind, message = resolve(version, match[2])
        if 'inline' in json:
            flags = '<'
        elif 'omitempty' in json and not keep:
            flags = '?' + flags
        elif kind == 'm' and not keep:
            flags = '?' + flags  # a struct by value is always sent; an empty one says nothing
        elif kind in 'TM' and not keep:
            flags = '?' + flags
        out.append((number, json[0] or '-', flags + kind, message))
    return sorted(out)


def main():
    api, machinery = sys.argv[1:3]
    read(machinery + '/pkg/apis/meta/v1/types.go', META)
    for folder, version in PACKAGES.items():
        read(api + '/' + folder + '/types.go', version)
    wanted = ROOTS + [n for n in structs if not n.startswith(META) and not n.endswith('List') and 'TypeMeta' in structs[n]]
    done = {}
    while wanted:
        name = wanted.pop()
        if name in done:
            continue
        done[name] = fields(name)
        wanted += [m for _, _, _, m in done[name] if m]
    print('// SPDX-License-Identifier: Apache-2.0')
    print('// Made by tools/gen-protobuf.py; see protobuf.c for the notation.')
    print('// clang-format off')
    print('#include "apiserver/protobuf.h"\n')
    print('const struct protobuf_message protobuf_messages[] = {')
    for name in sorted(done, key=lambda n: n.encode()):
        version = name.rpartition('.')[0]
        text = ''
        for number, json, code, message in done[name]:
            if message.startswith(version + '.') and message.rpartition('.')[0] == version:
                message = message[len(version) + 1:]
            text += '%s%d %s %s%s' % (',' if text else '', number, json, code, ' ' + message if message else '')
        print('    {"%s", "%s"},' % (name, text))
    print('};')
    print('const size_t protobuf_message_count = sizeof protobuf_messages / sizeof protobuf_messages[0];')


main()
