#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes src/schema/data_*.c from the OpenAPI documents of a running kube-apiserver.

  kubectl get --raw /openapi/v2 > openapi.json
  mkdir v3; for p in $(kubectl get --raw /openapi/v3 | jq -r '.paths|keys[]'); do
      kubectl get --raw /openapi/v3/$p > v3/$(echo $p | tr / _).json; done
  tools/gen-schema.py openapi.json v3 src/schema

Only facts are kept: field names, types, merge keys, list types, patch strategies, values and defaults; no
descriptions."""
import glob
import json
import os
import re
import subprocess
import sys

SCALARS = {
    ('string', None): 'STRING', ('string', 'byte'): 'BYTES', ('string', 'int-or-string'): 'INT_OR_STRING',
    ('string', 'date-time'): 'TIME', ('boolean', None): 'BOOL', ('integer', 'int32'): 'INT32',
    ('integer', 'int64'): 'INT64', ('number', 'double'): 'DOUBLE', ('integer', None): 'INT64', ('number', None): 'DOUBLE',
}
SPECIAL = {
    'io.k8s.apimachinery.pkg.api.resource.Quantity': 'QUANTITY',
    'io.k8s.apimachinery.pkg.util.intstr.IntOrString': 'INT_OR_STRING',
    'io.k8s.apimachinery.pkg.apis.meta.v1.Time': 'TIME',
    'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': 'MICRO_TIME',
}


META_ROOTS = ['APIGroup', 'APIGroupList', 'APIResourceList', 'APIVersions', 'DeleteOptions', 'ListMeta', 'Status',
              'WatchEvent']
ZERO = ('', 0, False, {})


def c_name(definition):
    if definition.startswith('io.k8s.apimachinery.pkg.apis.meta.'):
        return 'meta_' + '_'.join(definition.split('.')[-2:])
    if definition.startswith('io.k8s.apimachinery.pkg.'):
        return 'runtime_' + '_'.join(definition.split('.')[-2:])
    return '_'.join(definition.split('.')[-3:])


def file_of(definition):
    return c_name(definition).split('_')[0]


def shape_of(schema, definitions):
    """(outer shapes, scalar, definition, name of a definition without fields) of a value."""
    shapes = []
    while True:
        ref = schema.get('$ref')
        if ref:
            name = ref.rsplit('/', 1)[1]
            if name in SPECIAL:
                return shapes, SPECIAL[name], None, None
            target = definitions[name]
            if 'properties' in target:
                return shapes, 'OBJECT', name, None
            schema = {k: v for k, v in target.items() if k != 'description'}
            if 'type' not in schema or schema.get('type') == 'object':
                return shapes, 'ANY', None, short_name(name)
            continue
        if schema.get('type') == 'array':
            shapes.append('LIST')
            schema = schema['items']
        elif schema.get('type') == 'object' and 'additionalProperties' in schema:
            shapes.append('MAP')
            schema = schema['additionalProperties']
        elif schema.get('type') in ('object', None):
            return shapes, 'ANY', None, None
        else:
            return shapes, SCALARS[(schema['type'], schema.get('format'))], None, None


def short_name(definition):
    return '.'.join(definition.split('.')[-3:])


def innermost(schema):
    while True:
        inner = schema.get('items', schema.get('additionalProperties'))
        if not isinstance(inner, dict):
            return schema
        schema = inner


def note_of(schema, newer, ref):
    """What few fields have, as members of a JSON object: values, a default that is not zero, a definition."""
    note = {}
    if ref:
        note['$ref'] = ref
    if newer.get('default', '') not in ZERO:
        note['default'] = newer['default']
    if 'enum' in innermost(schema):
        note['enum'] = innermost(schema)['enum']
    if schema.get('x-kubernetes-map-type') == 'granular':
        note['x-kubernetes-map-type'] = 'granular'
    return json.dumps(note, separators=(',', ':')) if note else None


def field_line(name, schema, newer, definitions, required, queue):
    shapes, scalar, definition, _ = shape_of(schema, definitions)
    if definition:
        queue.append(definition)
    if len(shapes) > 2:
        raise SystemExit(f'{name}: nested too deeply: {shapes}')
    flags = []
    strategies = [s for s in schema.get('x-kubernetes-patch-strategy', '').split(',') if s]
    for strategy in strategies:
        flags.append({'merge': 'PATCH_MERGE', 'retainKeys': 'PATCH_RETAIN_KEYS', 'replace': 'PATCH_REPLACE'}[strategy])
    list_type = schema.get('x-kubernetes-list-type')
    if list_type:
        flags.append({'atomic': 'LIST_ATOMIC', 'set': 'LIST_SET', 'map': 'LIST_MAP'}[list_type])
    if schema.get('x-kubernetes-map-type') == 'atomic':
        flags.append('MAP_ATOMIC')
    if required:
        flags.append('REQUIRED')
    if newer.get('default') is not None and newer['default'] in ZERO:
        flags.append('DEFAULT_ZERO')
    merge_key = schema.get('x-kubernetes-patch-merge-key')
    keys = schema.get('x-kubernetes-list-map-keys', [])
    if merge_key:
        keys = [merge_key] + [k for k in keys if k != merge_key]
    parts = [json.dumps(name), 'SCHEMA_' + scalar]
    shapes = ['SCHEMA_' + s for s in shapes] + ['0'] * (2 - len(shapes))
    parts += shapes
    parts.append(' | '.join('SCHEMA_' + f for f in flags) or '0')
    parts.append(json.dumps(' '.join(keys)) if keys else 'NULL')
    parts.append('&schema_' + c_name(definition) if definition else 'NULL')
    return '    {' + ', '.join(parts) + '},'


def main():
    document = json.load(open(sys.argv[1]))
    folder = sys.argv[3]
    newer = {}
    for path in sorted(glob.glob(os.path.join(sys.argv[2], '*.json'))):
        for name, schema in json.load(open(path)).get('components', {}).get('schemas', {}).items():
            if 'properties' in schema:
                newer[name] = schema['properties']
    definitions = document['definitions']
    version = document['info']['version']
    kinds = {}
    for name, definition in definitions.items():
        if '.meta.v1.' in name or name.endswith('List'):
            continue
        for gvk in definition.get('x-kubernetes-group-version-kind', []):
            kinds[(gvk['group'], gvk['version'], gvk['kind'])] = name
    meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.'
    queue, done, files = sorted(set(kinds.values())) + [meta + n for n in META_ROOTS], {}, {}
    while queue:
        name = queue.pop(0)
        if name in done:
            continue
        definition = definitions[name]
        required = set(definition.get('required', []))
        lines, notes = [], []
        for field, schema in sorted(definition['properties'].items()):
            later = newer.get(name, {}).get(field, {})
            lines.append(field_line(field, schema, later, definitions, field in required, queue))
            note = note_of(schema, later, shape_of(schema, definitions)[3])
            if note:
                notes.append(f'{field} {note}\n')
        if 'x-kubernetes-unions' in definition:
            unions = json.dumps(definition['x-kubernetes-unions'], separators=(',', ':'))
            notes.append(f' {{"x-kubernetes-unions":{unions}}}\n')
        atomic = definition.get('x-kubernetes-map-type') == 'atomic'
        done[name] = True
        files.setdefault(file_of(name), []).append((c_name(name), name, lines, atomic, notes))
    names = sorted(n for types in files.values() for n, *_ in types)
    if len(set(names)) != len(names):
        raise SystemExit('two definitions with one name')
    banner = ('// SPDX-License-Identifier: Apache-2.0\n'
              f'// Generated by tools/gen-schema.py from the API of Kubernetes {version}; do not edit.\n')
    written = []
    for group, types in sorted(files.items()):
        out = [banner + '#include "schema/data.h"\n']
        for c, name, lines, atomic, notes in sorted(types):
            short = short_name(name)
            text = '\n'.join(json.dumps(note) for note in notes)
            text = ',\n' + text if text else ''
            out.append(f'static const struct schema_field fields_{c}[] = {{')
            out += lines
            out.append('};')
            out.append(f'const struct schema_type schema_{c} = {{"{short}", fields_{c}, {len(lines)}, {str(atomic).lower()}{text}}};\n')
        written.append((f'data_{group}.c', '\n'.join(out).rstrip('\n') + '\n'))
    header = [banner + '#ifndef SKIFF_SCHEMA_DATA_H\n#define SKIFF_SCHEMA_DATA_H\n\n#include "schema/schema_internal.h"\n']
    header += [f'extern const struct schema_type schema_{n};' for n in names]
    header.append('\n#endif\n')
    written.append(('data.h', '\n'.join(header)))
    out = [banner + '#include "schema/data.h"\n', '// In byte order of group, version and kind.',
           'const struct schema_kind schema_kinds[] = {']
    for (group, version, kind), name in sorted(kinds.items()):
        out.append(f'    {{"{group}", "{version}", "{kind}", &schema_{c_name(name)}}},')
    out += ['};', 'const size_t schema_kind_count = sizeof schema_kinds / sizeof schema_kinds[0];\n']
    written.append(('data_kinds.c', '\n'.join(out)))
    for name, text in written:
        path = os.path.join(folder, name)
        with open(path, 'w') as f:
            f.write(text)
        subprocess.run(['clang-format-14', '-i', path], check=True)
    print(len(names), 'types,', len(kinds), 'kinds:', ' '.join(n for n, _ in written))


main()
