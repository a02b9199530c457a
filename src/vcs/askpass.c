// SPDX-License-Identifier: Apache-2.0
// The other side of git's password question. git starts this program through a link called git-askpass in the private
// folder of its run, with the prompt as argument ("Password for 'https://user@host': "); the file "secret" beside the link has
// the answer. Another origin, which only a redirect can have brought about, gets none.
#include "vcs/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"

static struct str base_name(struct str path) {
    size_t slash = str_rfind_char(path, '/');
    return slash == STR_NPOS ? path : str_skip(path, slash + 1);
}

bool vcs_is_askpass(int argc, char *const *argv) {
    return argc == 2 && str_eq_c(base_name(str_from(argv[0])), "git-askpass");
}

// The prompt names "scheme://[user@]host[:port][/path]" between quotes.
static bool prompt_is_for(struct str prompt, struct str origin) {
    size_t open = str_find_char(prompt, '\'');
    size_t close = str_rfind_char(prompt, '\'');
    size_t scheme = str_find(origin, STR("://"));
    if (open == STR_NPOS || close <= open || scheme == STR_NPOS) {
        return false;
    }
    struct str url = {prompt.p + open + 1, close - open - 1};
    struct str prefix = str_first(origin, scheme + 3);
    if (!str_starts(url, prefix)) {
        return false;
    }
    url = str_skip(url, prefix.n);
    size_t slash = str_find_char(url, '/');
    struct str authority = slash == STR_NPOS ? url : str_first(url, slash);
    size_t at = str_rfind_char(authority, '@');
    return str_eq_nocase(at == STR_NPOS ? authority : str_skip(authority, at + 1),
                         str_skip(origin, prefix.n));
}

static bool write_all(struct str s) {
    while (s.n > 0) {
        ssize_t n = write(STDOUT_FILENO, s.p, s.n);
        if (n <= 0) {
            return false;
        }
        s = str_skip(s, (size_t)n);
    }
    return true;
}

int vcs_askpass_main(int argc, char *const *argv) {
    char path[4096];
    char secret[64 * KIB];
    if (argc != 2 || strlen(argv[0]) > sizeof path - 16) {
        return 1;
    }
    struct str self = str_from(argv[0]);
    struct str folder = str_first(self, self.n - base_name(self).n);
    snprintf(path, sizeof path, "%.*ssecret", STR_ARG(folder));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, secret, sizeof secret - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return 1;
    }
    struct str rest = {secret, (size_t)n};
    struct str origin;
    struct str user;
    struct str password;
    str_next(&rest, '\0', &origin);
    str_next(&rest, '\0', &user);
    password = (struct str){rest.p, rest.n > 0 ? rest.n - 1 : 0};
    struct str prompt = str_from(argv[1]);
    if (!prompt_is_for(prompt, origin)) {
        return 1;
    }
    bool wants_user = str_starts(prompt, STR("Username"));
    return write_all(wants_user ? user : password) && write_all(STR("\n")) ? 0 : 1;
}
