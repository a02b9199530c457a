# SPDX-License-Identifier: Apache-2.0
"""The part of front.sh that needs sockets. usage: front.py KUBECONFIG PID DATA AUDIT; exit code: failures."""
import base64
import gzip
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

CONFIG, PID, DATA, AUDIT = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
text = open(CONFIG).read()
PORT = int(re.search(r"server: https://[^:]+:(\d+)", text).group(1))
TOKEN = re.search(r'token: "?([^"\n]+)', text).group(1)
failures = 0
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE


def check(name, good, why=""):
    global failures
    print("ok " + name if good else "not ok %s: %s" % (name, why), flush=True)
    failures += not good


def connect(context=tls, timeout=20):
    sock = socket.create_connection(("127.0.0.1", PORT), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock)


def read_reply(sock, has_body=True):
    """Status, headers and body; status 0 when the server closed without a word."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return 0, {}, data
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        want = int(headers.get("content-length", 0))
        while has_body and len(body) < want:
            more = sock.recv(65536)
            if not more:
                break
            body += more
        return int(lines[0].split()[1]), headers, body
    except (ConnectionError, ssl.SSLError, socket.timeout):
        return 0, {}, data


def raw(request):
    sock = connect()
    try:
        sock.sendall(request)
    except (ConnectionError, ssl.SSLError):
        pass  # it may answer before it has read everything
    reply = read_reply(sock)
    sock.close()
    return reply


def call(method, path, body=b"", token=TOKEN, headers="", context=tls):
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    auth = "Authorization: Bearer %s\r\n" % token if token else ""
    head = "%s %s HTTP/1.1\r\nHost: x\r\n%s%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        method, path, auth, headers, len(body))
    sock = connect(context)
    try:
        sock.sendall(head.encode("latin1") + body)
    except (ConnectionError, ssl.SSLError):
        pass
    reply = read_reply(sock, method != "HEAD")
    sock.close()
    return reply


def alive():
    return call("GET", "/readyz")[0] == 200


def rss():
    for line in open("/proc/%d/status" % PID):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def status_of(reply):
    try:
        return json.loads(reply[2])
    except ValueError:
        return {}


# ---- Requests that are none ----
def overload():
    """Large replies that nobody reads: from some point on there is no room for more, and it comes back."""
    url = "/api/v1/namespaces/default/configmaps"
    for i in range(6):
        call("POST", url, {"metadata": {"name": "huge%d" % i, "labels": {"huge": "1"}}, "data": {"a": "x" * 900000}})
    request = ("GET %s?labelSelector=huge HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (url, TOKEN)).encode()
    socks = []
    for _ in range(40):
        sock = connect()
        sock.sendall(request)
        socks.append(sock)
    time.sleep(2)
    reply = call("GET", "/api/v1/namespaces")
    check("too many replies that nobody takes: 429, and when to come again",
          reply[0] == 429 and reply[1].get("retry-after") == "1" and status_of(reply).get("reason") == "TooManyRequests", reply[:2])
    check("health is answered all the same", alive())
    for sock in socks:
        sock.close()
    time.sleep(2)
    check("there is room again", call("GET", "/api/v1/namespaces")[0] == 200)
    for i in range(6):
        call("DELETE", url + "/huge%d" % i)


# ---- Who may enter ----
def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def tokens():
    url = "/api/v1/namespaces/default/serviceaccounts"
    call("POST", url, {"metadata": {"name": "front"}})
    reply = call("POST", url + "/front/token", {"spec": {"expirationSeconds": 600}})
    token = status_of(reply).get("status", {}).get("token", "")
    me = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    user = status_of(call("POST", me, {}, token=token)).get("status", {}).get("userInfo", {})
    check("a token of a service account is believed", user.get("username") == "system:serviceaccount:default:front", user)
    head, claims, signature = token.split(".")
    real = json.loads(base64.urlsafe_b64decode(claims + "=="))
    later = dict(real, exp=real["exp"] + 10 ** 6)
    admin = dict(real, sub="system:serviceaccount:kube-system:admin")
    public = call("GET", "/openid/v1/jwks", token=token)[2].decode()
    forged = {
        "a changed claim": ".".join((head, part(later), signature)), "another subject": ".".join((head, part(admin), signature)),
        "no signature": head + "." + claims + ".", "no algorithm": ".".join((part({"alg": "none"}), claims, "")),
        "a shared secret": ".".join((part({"alg": "HS256"}), claims, base64.urlsafe_b64encode(public.encode()[:32]).decode())),
        "zeros": ".".join((head, claims, "A" * 86)), "a bit less": token[:-4], "a bit more": token + "AAAA",
        "another header": ".".join((part({"alg": "ES256", "kid": "x", "crit": ["exp"]}), claims, signature)),
        "dots": "...", "much": "a." * 5000, "no text": "\x01\x02", "padding": token + "=",
    }
    wrong = [name for name, value in forged.items() if call("GET", "/api", token=value)[0] != 401]
    check("forged tokens are refused", not wrong, wrong)
    check("a wrong token is 401, nobody is 403", call("GET", "/api", token="no")[0] == 401 and call("GET", "/api", token=None)[0] == 403)
    check("what is public is public", all(call("GET", path, token=None)[0] == 200 for path in ("/healthz", "/livez", "/readyz", "/version")))
    reply = call("GET", "/api/v1/secrets", token=token)
    check("it may not do what nobody allowed", reply[0] == 403 and "cannot list resource" in status_of(reply).get("message", ""), reply)
    call("DELETE", url + "/front")
    check("it ends with its account", call("GET", "/api", token=token)[0] == 401)
    expired()


def expired():
    """One that the right key signed, but whose time is over: made with the key of the server."""
    key = os.path.join(DATA, "sa.key")
    check("the key is for its owner only", os.stat(key).st_mode & 0o077 == 0)
    if subprocess.run(["openssl", "version"], capture_output=True).returncode:
        print("skipped expired tokens: needs openssl")
        return
    url = "/api/v1/namespaces/default/serviceaccounts"
    call("POST", url, {"metadata": {"name": "old"}})
    token = status_of(call("POST", url + "/old/token", {"spec": {}}))["status"]["token"]
    head, claims, _ = token.split(".")
    real = json.loads(base64.urlsafe_b64decode(claims + "=="))

    def signed(changes):
        data = (head + "." + part(dict(real, **changes))).encode()
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=data, capture_output=True, check=True).stdout
        numbers, at = [], 2
        for _ in range(2):
            n = der[at + 1]
            numbers.append(int.from_bytes(der[at + 2:at + 2 + n], "big").to_bytes(32, "big"))
            at += 2 + n
        return data.decode() + "." + base64.urlsafe_b64encode(b"".join(numbers)).rstrip(b"=").decode()

    now = int(time.time())
    check("a token of our own making is believed", call("GET", "/api", token=signed({}))[0] == 200)
    check("an expired token is refused", call("GET", "/api", token=signed({"exp": now - 120, "iat": now - 4000, "nbf": now - 4000}))[0] == 401)
    check("a token of the future is refused", call("GET", "/api", token=signed({"nbf": now + 4000}))[0] == 401)
    check("a token for somebody else is refused", call("GET", "/api", token=signed({"aud": ["other"]}))[0] == 401)
    check("a token of another issuer is refused", call("GET", "/api", token=signed({"iss": "https://other"}))[0] == 401)
    call("DELETE", url + "/old")


def certificates():
    """Users by certificates of our authority: CN is the name, O its groups."""
    if subprocess.run(["openssl", "version"], capture_output=True).returncode:
        print("skipped certificates: needs openssl")
        return
    path = os.path.join(DATA, "front")
    me = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    def context(subject, usage, authority=os.path.join(DATA, "ca")):
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path + ".key",
                        "-out", path + ".csr", "-subj", subject], check=True, capture_output=True)
        open(path + ".ext", "w").write("extendedKeyUsage=" + usage + "\n")
        subprocess.run(["openssl", "x509", "-req", "-in", path + ".csr", "-CA", authority + ".crt", "-CAkey", authority + ".key", "-CAcreateserial",
                        "-CAserial", path + ".srl", "-days", "1", "-extfile", path + ".ext", "-out", path + ".crt"], check=True, capture_output=True)
        out = ssl.create_default_context()
        out.check_hostname, out.verify_mode = False, ssl.CERT_NONE
        out.load_cert_chain(path + ".crt", path + ".key")
        return out

    user = status_of(call("POST", me, {}, token=None, context=context("/O=team/O=others/CN=jane", "clientAuth")))
    user = user.get("status", {}).get("userInfo", {})
    check("a client certificate names a user and its groups",
          user == {"username": "jane", "groups": ["team", "others", "system:authenticated"]}, user)
    root = context("/O=system:masters/CN=root", "clientAuth")
    check("one of system:masters may do everything", call("GET", "/api/v1/secrets", token=None, context=root)[0] == 200)
    server = context("/O=system:masters/CN=root", "serverAuth")
    check("a server's certificate is nobody's", call("GET", "/api/v1/secrets", token=None, context=server)[0] in (0, 401, 403))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path + "-ca.key",
                    "-out", path + "-ca.crt", "-subj", "/CN=skiff"], check=True, capture_output=True)
    try:
        stranger = call("GET", "/api/v1/secrets", token=None, context=context("/O=system:masters/CN=root", "clientAuth", path + "-ca"))[0]
    except ssl.SSLError:
        stranger = 0
    check("a stranger's certificate opens nothing", stranger in (0, 401, 403), stranger)


# ---- Replies ----
def replies():
    url = "/api/v1/namespaces/default/configmaps"
    for i in range(4):
        call("POST", url, {"metadata": {"name": "big%d" % i, "labels": {"big": "1"}}, "data": {"a": "x" * 60000}})
    plain = call("GET", url + "?labelSelector=big")
    packed = call("GET", url + "?labelSelector=big", headers="Accept-Encoding: gzip\r\n")
    small = call("GET", url + "/big0", headers="Accept-Encoding: gzip\r\n")
    check("large replies are compressed for who asks", packed[1].get("content-encoding") == "gzip" and "content-encoding" not in plain[1] and
          json.loads(gzip.decompress(packed[2]))["items"] == json.loads(plain[2])["items"], (plain[1], packed[1]))
    check("small ones are not", "content-encoding" not in small[1], small[1])
    check("replies have the headers of kube-apiserver", "audit-id" in plain[1] and "date" in plain[1] and plain[1].get("cache-control") == "no-cache, private", plain[1])
    rows = [("HEAD", url, 405), ("OPTIONS", url, 405), ("TRACE", url, 405), ("BREW", url, 405), ("PUT", url, 405), ("POST", url + "/big0", 405)]
    wrong = [(method, status) for method, path, expected in rows for status in [call(method, path)[0]] if status != expected]
    check("methods that are none are 405", not wrong, wrong)
    accept = [("application/vnd.kubernetes.protobuf,application/json", 200), ("application/vnd.kubernetes.protobuf", 406), ("text/html", 406), ("*/*", 200)]
    wrong = [(kind, status) for kind, expected in accept for status in [call("GET", url, headers="Accept: %s\r\n" % kind)[0]] if status != expected]
    check("what is accepted decides", not wrong, wrong)
    for i in range(4):
        call("DELETE", url + "/big%d" % i)


def audit():
    call("GET", "/api/v1/namespaces/default/secrets/audited", headers="Audit-ID: front-test-1\r\nUser-Agent: front\r\n")
    call("GET", "/api/v1/secrets", token=None, headers="Audit-ID: front-test-2\r\n")
    time.sleep(1)
    lines = [json.loads(line) for line in open(AUDIT)]
    mine = [e for e in lines if e.get("auditID") == "front-test-1"]
    check("the audit log has each request", len(mine) == 1 and mine[0]["user"]["username"] == "admin" and mine[0]["verb"] == "get" and
          mine[0]["objectRef"]["resource"] == "secrets" and mine[0]["responseStatus"]["code"] == 404, mine)
    other = [e for e in lines if e.get("auditID") == "front-test-2"]
    check("also what was refused", len(other) == 1 and other[0]["annotations"]["authorization.k8s.io/decision"] == "forbid", other)

    def burst():
        sock = connect()
        for _ in range(600):
            sock.sendall(("GET /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\nAuthorization: Bearer %s\r\n\r\n" % ("u" * 900, TOKEN)).encode())
            read_reply(sock)
        sock.close()

    threads = [threading.Thread(target=burst) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(1)
    files = [AUDIT] + [AUDIT + ".%d" % i for i in (1, 2, 3)]
    sizes = [os.path.getsize(f) if os.path.exists(f) else None for f in files]
    check("it is renamed when it is full, and bounded", sizes[1] is not None and sizes[3] is None and
          all(size is None or size <= 1100000 for size in sizes), sizes)


for test in (overload, tokens, certificates, replies, audit):
    try:
        test()
    except Exception as error:  # one that fails must not hide the others
        check(test.__name__, False, repr(error))
check("the server is still there", alive())
check("in bounded memory", rss() < int(os.environ.get("MEMORY_MAX", 400)), "%d MiB" % rss())
sys.exit(min(failures, 100))
