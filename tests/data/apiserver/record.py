#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes down what a running kube-apiserver answers to the requests of the cases in managed/ and patch/.

  KUBECONFIG=... tests/data/apiserver/record.py [--compare] FILE...

A case is a JSON object with "steps"; a step has "do" ("PATCH /api/v1/namespaces/NS/configmaps/a?fieldManager=x"), "type"
(of the body; application/json without), "body" (JSON, or a string that is sent as it is), "agent" (the User-Agent). The
script adds "status" and "answer" to each step, with what changes from run to run masked: uids, versions and addresses go,
times become the number of the step that set them. NS is a namespace of the case's own. "ignore" of a
case are paths that other parts of the cluster fill. Steps with "cleanup" are run, not compared. Steps are more than a second apart,
because the order of managers follows from their times. With --compare nothing is written: answers that differ from those of
the file are printed, for a run against another server. _crds.json holds the definitions that cases may use."""
import concurrent.futures
import http.client
import json
import os
import re
import ssl
import sys
import time
import uuid

CONTROLLERS = ('kube-controller-manager', 'kube-scheduler', 'kwok', 'kube-apiserver')
HERE = os.path.dirname(os.path.abspath(__file__))


def server():
    text = open(os.environ['KUBECONFIG']).read()
    url = re.search(r'server: "?(https?)://([^"\s,}]+)', text)
    token = re.search(r'token: "?([^"\s}]+)', text)
    return url.group(1), url.group(2), token.group(1)


SCHEME, HOST, TOKEN = server()


def call(step, ns):
    if SCHEME == 'https':
        conn = http.client.HTTPSConnection(HOST, context=ssl._create_unverified_context(), timeout=60)
    else:
        conn = http.client.HTTPConnection(HOST, timeout=60)
    method, path = step['do'].replace('NS', ns).split(' ', 1)
    body = step.get('body')
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    headers = {'Authorization': 'Bearer ' + TOKEN, 'Content-Type': step.get('type', 'application/json'),
               'User-Agent': step.get('agent', 'record/1'), 'Accept': 'application/json'}
    conn.request(method, path, body.replace('NS', ns).encode() if body is not None else None, headers)
    reply = conn.getresponse()
    text = reply.read().decode()
    warnings = [v for k, v in reply.getheaders() if k.lower() == 'warning']
    try:
        answer = json.loads(text)
    except ValueError:
        answer = text
    return reply.status, answer, warnings


def seconds(text):
    return time.mktime(time.strptime(text, '%Y-%m-%dT%H:%M:%SZ'))


class Mask:
    """Times become "step N": the newest step that began at or before them."""

    def __init__(self, ns):
        self.ns, self.starts, self.uids = ns, [], {}

    def text(self, s):
        s = s.replace(self.ns, 'NS')
        for uid, name in self.uids.items():
            s = s.replace(uid, name)
        return s

    def time(self, text):
        at = seconds(text)
        return f'step {max([i for i, s in enumerate(self.starts) if s <= at], default=0)}'

    def answer(self, v, ignore):
        if isinstance(v, dict):
            uid = v.get('metadata', {}).get('uid')
            if uid:
                self.uids.setdefault(uid, f'uid{len(self.uids)}')
            causes = (v.get('details') or {}).get('causes')
            if causes and causes[0].get('reason') == 'FieldManagerConflict':
                causes.sort(key=lambda c: (c['message'], c['field']))
        v = self.value(v)
        for path in ignore:
            at, keys = v, path.split('.')
            for k in keys[:-1]:
                at = at.get(k, {}) if isinstance(at, dict) else {}
            if isinstance(at, dict) and v.get('kind') != 'Status':
                at.pop(keys[-1], None)
        return v

    def value(self, v, key=None, managed=False):
        if isinstance(v, dict):
            out = {}
            for k, x in v.items():
                if k in ('resourceVersion', 'creationTimestamp', 'clusterIP', 'clusterIPs', 'nodePort', 'selfLink') and not managed:
                    if k != 'creationTimestamp' or x:
                        continue
                if k == 'uid' and isinstance(x, str) and re.fullmatch('[0-9a-f-]{36}', x):
                    self.uids.setdefault(x, f'uid{len(self.uids)}')
                if k == 'time' and isinstance(x, str):
                    out[k] = self.time(x)
                else:
                    out[self.text(k)] = self.value(x, k, managed or k == 'fieldsV1')
            return out
        if isinstance(v, list):
            # The controllers of the real cluster are at work too.
            if key == 'managedFields':
                v = [x for x in v if not isinstance(x, dict) or x.get('manager') not in CONTROLLERS]
            return [self.value(x, key, managed) for x in v]
        if isinstance(v, str):
            return self.text(v)
        return v


def simple(method, path, body=None):
    return call({'do': f'{method} {path}', 'body': body}, '')


def run(path, compare):
    case = json.load(open(path))
    ns = 'rec-' + uuid.uuid4().hex[:8]
    simple('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': ns}})
    mask = Mask(ns)
    problems = []
    known = {}
    for number, step in enumerate(case['steps']):
        if number:
            time.sleep(0.02 if '/patch/' in os.path.abspath(path) else 1.05)
        mask.starts.append(float(int(time.mktime(time.gmtime()))))
        sent = dict(step)
        text = json.dumps(step.get('body')) if 'body' in step else None
        if text:
            for uid, name in mask.uids.items():
                text = text.replace(name, uid)
            sent['body'] = json.loads(text)
        status, answer, warnings = call(sent, ns)
        if step.get('cleanup'):
            continue
        answer = mask.answer(answer, case.get('ignore', []))
        warnings = [mask.text(w) for w in warnings]
        if compare:
            if (status, answer) != (step.get('status'), step.get('answer')) or warnings != step.get('warnings', []):
                problems.append((number, step, status, answer, warnings))
        step['status'], step['answer'] = status, answer
        step.pop('warnings', None)
        if warnings:
            step['warnings'] = warnings
    call({'do': f'PATCH /api/v1/namespaces/{ns}/configmaps/x', 'type': 'application/merge-patch+json',
          'body': {'metadata': {'finalizers': None}}}, ns)
    simple('DELETE', '/api/v1/namespaces/' + ns)
    if not compare:
        with open(path, 'w') as f:
            f.write(show(case))
    return problems


def show(case):
    """One line for a step's parts, so that cases stay short and differences readable."""
    out = ['{']
    for key, value in case.items():
        if key != 'steps':
            out.append(f'  {json.dumps(key)}: {json.dumps(value)},')
    out.append('  "steps": [')
    steps = []
    for step in case['steps']:
        lines = [f'    {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}' for k, v in step.items()]
        steps.append('  {\n' + ',\n'.join(lines) + '\n  }')
    out.append(',\n'.join(steps) + '\n  ]\n}')
    return '\n'.join(out) + '\n'


def difference(want, got, path=''):
    if isinstance(want, dict) and isinstance(got, dict):
        for k in list(want) + [k for k in got if k not in want]:
            if want.get(k) != got.get(k) or (k in want) != (k in got):
                yield from difference(want.get(k, '(none)'), got.get(k, '(none)'), f'{path}.{k}')
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, (a, b) in enumerate(zip(want, got)):
            if a != b:
                yield from difference(a, b, f'{path}[{i}]')
    elif want != got:
        yield f'{path}: want {json.dumps(want)[:1500]} got {json.dumps(got)[:1500]}'


def main():
    files = [a for a in sys.argv[1:] if not a.startswith('--')]
    compare = '--compare' in sys.argv
    crds = json.load(open(os.path.join(HERE, '_crds.json')))
    for crd in crds:
        simple('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
    time.sleep(2)
    failed = steps = 0
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for path, problems in zip(files, pool.map(lambda p: run(p, compare), files)):
            steps += len(json.load(open(path))['steps'])
            failed += len(problems)
            for number, step, status, answer, warnings in problems:
                print(f'{os.path.basename(path)} step {number}: {step["do"]}')
                if status != step.get('want_status', step['status']):
                    pass
                want = json.load(open(path))['steps'][number]
                if want['status'] != status:
                    print(f'    status: want {want["status"]} got {status}')
                for line in difference(want['answer'], answer):
                    print('    ' + line)
                if want.get('warnings', []) != warnings:
                    print(f'    warnings: want {want.get("warnings", [])} got {warnings}')
    print(f'{len(files)} cases, {steps} steps, {failed} differ' if compare else f'{len(files)} cases, {steps} steps recorded')


main()
