"""What the native code of a process opens, changes and asks of the network, which Python's audit hooks do not see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Loaded before the C library, each function writes a line and calls the one that it hides.
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void told(const char *what, const char *path) {
    static int (*real)(const char *, int, ...);
    const char *log = getenv("WATCHED_NATIVE");
    char folder[4096] = "", line[9000];
    if (log == NULL || path == NULL) return;
    if (real == NULL) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    if (path[0] != '/' && strcmp(what, "network") != 0 && getcwd(folder, sizeof folder - 1)) strcat(folder, "/");
    int length = snprintf(line, sizeof line, "%s\t%s%s\n", what, folder, path);
    int file = real(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file >= 0) { if (write(file, line, length) < 0) abort(); close(file); }
}
#define CHANGES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)
#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
    told(flags & CHANGES ? "change" : "open", path); \
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); }
OPEN(open)
OPEN(open64)
#define FOPEN(name) FILE *name(const char *path, const char *mode) { \
    told(strpbrk(mode, "wa+") ? "change" : "open", path); \
    return ((FILE *(*)(const char *, const char *))dlsym(RTLD_NEXT, #name))(path, mode); }
FOPEN(fopen)
FOPEN(fopen64)
int mkdir(const char *path, mode_t mode) {
    told("change", path);
    return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(path, mode);
}
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    told("network", host);
    return ((int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
        RTLD_NEXT, "getaddrinfo"))(host, service, hints, found);
}
int connect(int socket, const struct sockaddr *address, socklen_t length) {
    told("network", "a connection");
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(socket, address, length);
}
"""
# ONNX Runtime does not report where one of these is set, as it is where tests often run.
CI = (
    *("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL", "TRAVIS", "CIRCLECI", "APPVEYOR", "TEAMCITY_VERSION"),
    *("CODEBUILD_BUILD_ID", "BUILD_ID", "GITLAB_CI"),
)


@dataclass(frozen=True)
class NativeWatch:
    """A library that logs what a process and its children do."""

    library: Path

    def environment(self, log: Path) -> dict[str, str]:
        """The variables that load it, and let it write to `log`."""
        return {"LD_PRELOAD": str(self.library), "WATCHED_NATIVE": str(log)}

    def seen(self, log: Path) -> list[tuple[str, str]]:
        """Kind ("open", "change" or "network") and the whole path, or the host, of each line."""
        lines = [line.split("\t", 1) for line in log.read_text(errors="replace").splitlines()]
        return [(kind, what if kind == "network" else os.path.normpath(what)) for kind, what in lines]


def native_watch(folder: Path) -> NativeWatch | None:
    """Compile the library into `folder`; None without a C compiler, or with another loader than Linux's."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    source, library = folder / "watch.c", folder / "watch.so"
    source.write_text(_SOURCE)
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return NativeWatch(library)
