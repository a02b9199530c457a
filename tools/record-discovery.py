#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/apiserver/discovery/real from a running kube-apiserver (through `kubectl proxy`).

  kubectl proxy --port 8001 &
  tools/record-discovery.py http://127.0.0.1:8001 tests/data/apiserver/discovery/real

The definitions in crds.json must be installed; other custom groups are left out."""
import json
import os
import sys
import urllib.request

AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'


def get(url, accept='application/json'):
    with urllib.request.urlopen(urllib.request.Request(url, headers={'Accept': accept})) as reply:
        return json.load(reply)


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


main()
