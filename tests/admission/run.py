#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends odd and minimal objects to an API server and compares what it makes of them, or how it refuses them, with what
a real kube-apiserver 1.36 said.

  run.py record http://127.0.0.1:8001      (kubectl proxy of a real server) writes expected.json
  run.py check http://127.0.0.1:8001       (kubectl proxy of the embedded one) compares; -v shows the differences

A case is a YAML document in cases/*.yaml, sent as it is with dryRun=All. A document that begins with "# update" is sent
as an update of the one before it, which is created first. Nothing stays. Titles in the file "differences" may differ, for the reason
given there; that they still do is checked too."""
import difflib
import glob
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
NAMESPACE = f'admission-{os.getpid()}'  # in the cases and in what is expected: admission-cases
DROP = ('uid', 'creationTimestamp', 'resourceVersion', 'managedFields', 'selfLink')


def call(method, url, body=None, content_type='application/yaml'):
    request = urllib.request.Request(url, method=method, data=body and body.encode(), headers={'Content-Type': content_type, 'Accept': 'application/json'})
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply), reply.headers.get_all('Warning') or []
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        try:
            return error.code, json.loads(text), error.headers.get_all('Warning') or []
        except ValueError:
            return error.code, {'message': text}, []


def mask(value, path=()):
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            if path == ('metadata',) and key in DROP or key in ('lastTransitionTime', 'nodePort', 'healthCheckNodePort'):
                continue
            if key in ('clusterIP', 'clusterIPs') and inner not in ('None', '', ['None']):
                inner = 'ADDRESS'
            out[key] = mask(inner, path + (key,))
        return out
    if isinstance(value, list):
        return [mask(item, path + ('*',)) for item in value]
    if isinstance(value, str):
        value = value.replace(NAMESPACE, 'admission-cases')
        value = re.sub(r'\n@@ .*?(\n$|\n(?=, )|$)', '', value, flags=re.S)  # a difference of Go structures
        value = re.sub(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'UID', value)
        return re.sub(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', 'TIME', value)
    return value


class Server:
    def __init__(self, base):
        self.base, self.kinds = base, {}

    def resource(self, api_version, kind):
        if api_version not in self.kinds:
            path = '/api/v1' if api_version == 'v1' else '/apis/' + api_version
            _, listing, _ = call('GET', self.base + path)
            self.kinds[api_version] = {r['kind']: r for r in listing.get('resources', []) if '/' not in r['name']}
        return self.kinds[api_version].get(kind)

    def url(self, text):
        def find(pattern):
            match = re.search(pattern, text, re.M)
            return match.group(1).strip('"\'') if match else ''
        api_version, kind = find(r'^apiVersion: *(\S+)'), find(r'^kind: *(\S+)')
        name = find(r'^metadata:.*?\bname: *([^,}\s]+)') or find(r'^metadata:\s*\n(?:  .*\n)*?  name: *(\S+)')
        resource = self.resource(api_version, kind)
        if not resource:
            return None, name
        prefix = '/api/v1' if api_version == 'v1' else '/apis/' + api_version
        space = f'/namespaces/{NAMESPACE}' if resource['namespaced'] else ''
        return f'{self.base}{prefix}{space}/{resource["name"]}', name

    def run(self, text, before):
        text = text.replace('namespace: admission-cases', f'namespace: {NAMESPACE}')
        url, name = self.url(text)
        if not url:
            return {'code': 0, 'body': 'not served'}
        if before is None:
            code, body, warnings = call('POST', url + '?dryRun=All&fieldValidation=Strict', text)
        else:
            code, body, warnings = call('POST', url, before)
            if code == 201:
                code, body, warnings = call('PUT', f'{url}/{name}?dryRun=All&fieldValidation=Strict', text)
                call('DELETE', f'{url}/{name}?gracePeriodSeconds=0&propagationPolicy=Background')
            else:
                body = {'message': 'the object to update was refused: ' + body.get('message', '')}
        result = {'code': code, 'body': mask(body)}
        if warnings:
            result['warnings'] = sorted(warnings)
        return result


def cases():
    for path in sorted(glob.glob(os.path.join(HERE, 'cases', '*.yaml'))):
        before, stem = None, os.path.basename(path)[:-5]
        for i, text in enumerate(re.split(r'^---\n', open(path).read(), flags=re.M)):
            if not text.strip():
                continue
            title = re.match(r'# (.*)', text)
            title = title.group(1) if title else str(i)
            update = title.startswith('update')
            yield f'{stem}: {title}', text, before if update else None
            if not update:
                before = text


def main():
    mode, server = sys.argv[1], Server(sys.argv[2])
    wanted = [a for a in sys.argv[3:] if not a.startswith('-')]
    expected_path = os.path.join(HERE, 'expected.json')
    expected = json.load(open(expected_path)) if os.path.exists(expected_path) else {}
    space = f'{server.base}/api/v1/namespaces'
    for _ in range(60):  # one that is on its way out takes no objects
        call('POST', space, f'apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n')
        if call('GET', f'{space}/{NAMESPACE}')[1].get('status', {}).get('phase') == 'Active':
            break
        time.sleep(1)
    got, failed = {}, []
    for title, text, before in cases():
        if wanted and not any(w in title for w in wanted):
            continue
        got[title] = server.run(text, before)
        if mode == 'check' and got[title] != expected.get(title):
            failed.append(title)
    if mode == 'record':
        expected = {**expected, **got} if wanted else got
        with open(expected_path, 'w') as f:
            f.write('{\n' + ',\n'.join(json.dumps(k) + ': ' + json.dumps(v, sort_keys=True, separators=(',', ':')) for k, v in sorted(expected.items())) + '\n}\n')
        call('DELETE', f'{space}/{NAMESPACE}')
        print(len(got), 'cases recorded')
        return 0
    known = dict(line.rstrip('\n').split(' | ', 1) for line in open(os.path.join(HERE, 'differences')) if ' | ' in line)
    for title in sorted(set(known) & set(got) - set(failed)):
        print('no longer differs:', title)
    for title in failed:
        print('differs, as is known:' if title in known else 'differs:', title)
        if '-v' in sys.argv:
            a, b = (json.dumps(x, indent=1, sort_keys=True).splitlines() for x in (expected.get(title), got[title]))
            lines = [line for line in difflib.unified_diff(a, b, 'real', 'embedded', lineterm='', n=1)]
            print('\n'.join('    ' + line for line in lines[2:40]))
    print(f'{len(got) - len(failed)} of {len(got)} cases are equal')
    return 1 if set(failed) - set(known) else 0


sys.exit(main())
