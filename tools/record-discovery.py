#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/apiserver/discovery/real and tests/data/apiserver/openapi/shapes.json from a running
kube-apiserver (through `kubectl proxy`). The latter has a hash of each shape of OpenAPI version 3, without its
descriptions.

  kubectl proxy --port 8001 &
  tools/record-discovery.py http://127.0.0.1:8001 tests/data/apiserver/discovery/real

The definitions in crds.json must be installed; other custom groups are left out."""
import hashlib
import json
import os
import sys
import urllib.request

AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'


def get(url, accept='application/json'):
    with urllib.request.urlopen(urllib.request.Request(url, headers={'Accept': accept})) as reply:
        return json.load(reply)


def bare(value):
    """A shape without descriptions; a lone reference in allOf is that reference, and the order of names is none."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {k: bare(v) for k, v in value.items() if not (k == 'description' and isinstance(v, str))}
    if isinstance(out.get('required'), list):
        out['required'].sort()
    return out['allOf'][0] if set(out) == {'allOf'} and len(out['allOf']) == 1 else out


def write_shapes(base, path, ours):
    shapes = {}
    for key in get(base + '/openapi/v3')['paths']:
        group = key.split('/')[1] if key.startswith('apis/') else ''
        if '.' in group and not group.endswith('.k8s.io') and group not in ours:
            continue
        for name, shape in get(f'{base}/openapi/v3/{key}').get('components', {}).get('schemas', {}).items():
            text = json.dumps(bare(shape), sort_keys=True, separators=(',', ':'), ensure_ascii=False)
            if not name.endswith('.DeleteOptions'):  # names the group of its document
                shapes[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    with open(path, 'w') as f:
        f.write('{\n' + ',\n'.join(f'{json.dumps(k)}:"{v}"' for k, v in sorted(shapes.items())) + '\n}\n')


def main():
    base, folder = sys.argv[1], sys.argv[2]
    crds = json.load(open(os.path.join(folder, '..', 'crds.json')))
    ours = {crd['spec']['group'] for crd in crds}

    def served(group):
        builtin = group.endswith('.k8s.io') or '.' not in group
        return builtin or group in ours

    def write(name, value):
        with open(os.path.join(folder, name + '.json'), 'w') as f:
            json.dump(value, f, separators=(',', ':'))
            f.write('\n')

    write('api', get(base + '/api'))
    write('api_v1', get(base + '/api/v1'))
    write('aggregated_api', get(base + '/api', AGGREGATED))
    groups = get(base + '/apis')
    groups['groups'] = [g for g in groups['groups'] if served(g['name'])]
    write('apis', groups)
    for group in groups['groups']:
        write('apis_' + group['name'], get(base + '/apis/' + group['name']))
        for version in group['versions']:
            resources = get(base + '/apis/' + version['groupVersion'])
            if group['name'] in ours:  # their order is a matter of chance
                resources['resources'].sort(key=lambda r: r['name'].split('/')[0])
            write('apis_' + version['groupVersion'].replace('/', '_'), resources)
    all_groups = get(base + '/apis', AGGREGATED)
    all_groups['items'] = [g for g in all_groups['items'] if served(g['metadata']['name'])]
    write('aggregated_apis', all_groups)
    write_shapes(base, os.path.join(folder, '..', '..', 'openapi', 'shapes.json'), ours)


main()
