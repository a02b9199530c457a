// SPDX-License-Identifier: Apache-2.0
// What git says when it fails, as an error code and one line for a condition. git's texts are English because its
// environment says LC_ALL=C. The server's words are kept (people search for them), secrets are not.
#include "vcs/internal.h"

#include "base/limits.h"

struct git_symptom {
    const char *text; // lower case
    enum err_code code;
    const char *advice;
};

#define ADVICE_LOGIN                                                                             \
    "check user name and password, token or key in the repository's Secret (argocd.argoproj.io/" \
    "secret-type: repository or repo-creds)"
#define ADVICE_HOST "add the host's key to the ConfigMap argocd-ssh-known-hosts-cm"
#define ADVICE_TLS "add the server's CA to the ConfigMap argocd-tls-certs-cm"
#define ADVICE_URL "check repoURL"
#define ADVICE_NET "check the host name, the network and the proxy; it is tried again"

// The first that occurs decides, so what is more specific stands first.
static const struct git_symptom symptoms[] = {
    {"host key verification failed", ERR_FORBIDDEN, ADVICE_HOST},
    {"remote host identification has changed", ERR_FORBIDDEN, ADVICE_HOST},
    {"no matching host key", ERR_FORBIDDEN, "the server offers only key types that ssh refuses"},
    {"dubious ownership", ERR_FORBIDDEN,
     "the folder belongs to another user; run skiff as that user or change the owner"},
    {"is not owned by current user", ERR_FORBIDDEN,
     "the folder belongs to another user; run skiff as that user or change the owner"},
    {"does not support shallow", ERR_UNSUPPORTED, "the server cannot send a part of the history"},
    {"mismatched algorithms", ERR_UNSUPPORTED, "SHA-256 repositories are not supported"},
    {"no space left on device", ERR_FULL, "make room where the mirrors are kept"},
    {"error in object", ERR_INVALID, "the repository holds a malformed object (git fsck names it)"},
    {"fsck error", ERR_INVALID, "the repository holds a malformed object (git fsck names it)"},
    {"permission denied (", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"permission denied, please try again", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"load key", ERR_UNAUTHORIZED, "sshPrivateKey is no key that OpenSSH reads"},
    {"authentication failed", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"invalid username or", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"access denied", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"could not read username", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"could not read password", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"unable to read askpass response", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"terminal prompts disabled", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"returned error: 401", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"returned error: 403", ERR_UNAUTHORIZED, ADVICE_LOGIN},
    {"returned error: 429", ERR_UNAVAILABLE, "the server limits requests; it is tried again"},
    {"returned error: 5", ERR_UNAVAILABLE, "the server failed; it is tried again"},
    {"returned error: 404", ERR_NOT_FOUND, ADVICE_URL},
    {"repository not found", ERR_NOT_FOUND, ADVICE_URL},
    {"does not appear to be a git repository", ERR_NOT_FOUND, ADVICE_URL},
    {"not a git repository", ERR_NOT_FOUND, ADVICE_URL},
    {"no such file or directory", ERR_NOT_FOUND, ADVICE_URL},
    {"' not found", ERR_NOT_FOUND, ADVICE_URL},
    {"could not be found", ERR_NOT_FOUND, ADVICE_URL},
    {"server certificate verification failed", ERR_FORBIDDEN, ADVICE_TLS},
    {"ssl certificate problem", ERR_FORBIDDEN, ADVICE_TLS},
    {"certificate verif", ERR_FORBIDDEN, ADVICE_TLS},
    {"certificate is not trusted", ERR_FORBIDDEN, ADVICE_TLS},
    {"does not match target host name", ERR_FORBIDDEN, ADVICE_TLS},
    {"error reading ca cert file", ERR_FORBIDDEN, ADVICE_TLS},
    {"cafile", ERR_FORBIDDEN, ADVICE_TLS},
    {"gnutls_handshake() failed", ERR_UNAVAILABLE, "the TLS handshake failed"},
    {"could not resolve", ERR_UNAVAILABLE, ADVICE_NET},
    {"timed out", ERR_TIMEOUT, ADVICE_NET},
    {"connection refused", ERR_UNAVAILABLE, ADVICE_NET},
    {"failed to connect", ERR_UNAVAILABLE, ADVICE_NET},
    {"network is unreachable", ERR_UNAVAILABLE, ADVICE_NET},
    {"no route to host", ERR_UNAVAILABLE, ADVICE_NET},
    {"couldn't find remote ref", ERR_NOT_FOUND, "check targetRevision"},
    {"not our ref", ERR_NOT_FOUND, "check targetRevision"},
    {"unadvertised object", ERR_NOT_FOUND, "check targetRevision"},
    {"could not read from remote repository", ERR_UNAVAILABLE, ADVICE_NET},
};

static bool has_nocase(struct str text, const char *needle) {
    size_t n = strlen(needle);
    for (size_t i = 0; i + n <= text.n; i++) {
        if (str_eq_nocase((struct str){text.p + i, n}, (struct str){needle, n})) {
            return true;
        }
    }
    return false;
}

static bool is_noise(struct str line) {
    static const char *const noise[] = {
        "hint:",
        "error: unable to read askpass response",
        "warning:",
        "Cloning into",
        "Please make sure you have the correct access",
        "and the repository exists",
        "remote: Enumerating",
        "remote: Counting",
        "remote: Compressing",
        "remote: Total",
        "@@@",
    };
    for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
        if (str_starts(line, str_from(noise[i]))) {
            return true;
        }
    }
    return false;
}

// Up to three telling lines joined to one, without control characters.
static void pick_lines(struct str errout, struct buf *out) {
    struct str line;
    int count = 0;
    for (struct str rest = errout; count < 3 && str_next(&rest, '\n', &line);) {
        line = str_trim(line);
        if (line.n == 0 || is_noise(line)) {
            continue;
        }
        if (count++ > 0) {
            buf_add_c(out, "; ");
        }
        line = str_first(line, 300);
        for (size_t i = 0; i < line.n; i++) {
            unsigned char c = (unsigned char)line.p[i];
            buf_add_char(out, c < 0x20 || c == 0x7f ? ' ' : line.p[i]);
        }
    }
}

static void replace_all(struct buf *buf, struct str secret) {
    if (secret.n < 3) {
        return; // hiding "a" everywhere would hide nothing and spoil the text
    }
    struct buf out;
    buf_init(&out, buf->max);
    struct str rest = buf_str(buf);
    for (size_t at; (at = str_find(rest, secret)) != STR_NPOS;) {
        buf_add_str(&out, str_first(rest, at));
        buf_add_c(&out, "***");
        rest = str_skip(rest, at + secret.n);
    }
    buf_add_str(&out, rest);
    buf_fini(buf);
    *buf = out;
}

// "scheme://user:password@host" anywhere in the text, also of URLs that are not ours (redirects).
static void scrub_userinfo(struct buf *buf) {
    struct buf out;
    buf_init(&out, buf->max);
    struct str rest = buf_str(buf);
    for (size_t at; (at = str_find(rest, STR("://"))) != STR_NPOS;) {
        buf_add_str(&out, str_first(rest, at + 3));
        rest = str_skip(rest, at + 3);
        size_t end = 0;
        size_t sign = STR_NPOS;
        while (end < rest.n && !strchr("/ '\"\t", rest.p[end])) {
            sign = rest.p[end] == '@' ? end : sign;
            end++;
        }
        if (sign != STR_NPOS && str_find_char(str_first(rest, sign), ':') != STR_NPOS) {
            buf_add_c(&out, "***");
            rest = str_skip(rest, sign);
        }
    }
    buf_add_str(&out, rest);
    buf_fini(buf);
    *buf = out;
}

static void hide_secrets(struct buf *buf, const struct git_url *url,
                         const struct git_access *access) {
    scrub_userinfo(buf);
    replace_all(buf, url->password);
    if (access) {
        const struct vcs_access *a = &access->access;
        replace_all(buf, a->password);
        replace_all(buf, a->bearer_token);
        size_t at = str_rfind_char(a->proxy, '@');
        if (at != STR_NPOS) {
            replace_all(buf, str_first(a->proxy, at));
        }
    }
}

void git_classify_error(struct str errout, int status, const struct git_url *url,
                        const struct git_access *access, struct err *err) {
    errout = str_first(errout, 16 * KIB);
    struct buf text;
    buf_init(&text, 64 * KIB);
    pick_lines(errout, &text);
    hide_secrets(&text, url, access);
    enum err_code code = ERR_UNAVAILABLE;
    const char *advice = NULL;
    for (size_t i = 0; i < ARRAY_LEN(symptoms); i++) {
        if (has_nocase(errout, symptoms[i].text)) {
            code = symptoms[i].code;
            advice = symptoms[i].advice;
            break;
        }
    }
    struct str shown = str_first(buf_str(&text), 600);
    if (shown.n == 0) {
        err_set(err, code, "git ended with status %d", status);
    } else if (advice) {
        err_set(err, code, "%.*s (%s)", STR_ARG(shown), advice);
    } else {
        err_set(err, code, "%.*s", STR_ARG(shown));
    }
    buf_fini(&text);
}
