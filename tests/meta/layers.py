#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Who may call whom, read from the symbols of the built archives. Usage: layers.py BUILD-FOLDER

Each module may reference symbols of the modules named beside it, the C library and the libraries listed; every global
symbol carries its module's prefix; the client library exports ocellus_* alone; the daemon's program links no image
decoder.
"""
import pathlib
import re
import subprocess
import sys

# archive: (prefix of its global symbols, modules it may call)
MODULES = {
    "engine/kernel/libkernel.a": ("kernel_", set()),
    "engine/image/libimage.a": ("image_", set()),
    "engine/gradient/libgradient.a": ("gradient_", {"kernel"}),
    "engine/network/libnetwork.a": ("network_", {"kernel"}),
    "engine/train/libtrain.a": ("train_", {"kernel", "network"}),
    "engine/store/libstore.a": ("store_", set()),
    "proto/libproto.a": (r"(proto|varlink|http|base64|json|request)_", set()),
    "config/libconfig.a": ("config_", set()),
}
# What no engine, proto or config archive may reach for: the network, the loop, logs, files, processes, threads.
FORBIDDEN = re.compile(
    r"^(uv_|socket$|accept4?$|bind$|listen$|connect$|send(msg|to)?$|recv(msg|from)?$|v?f?printf$|puts$|__v?f?printf_chk$"
    r"|syslog|sd_|open(64)?$|fopen(64)?$|fork$|exec|pthread_create$)")
FORBIDDEN_EXCEPT = {"config/libconfig.a": re.compile(r"^(fopen|open)(64)?$")}  # it reads the files it is told to
DECODERS = re.compile(r"lib(jpeg|turbojpeg|raw)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(archive):
    """Global symbols defined in, and symbols wanted from outside by, one archive."""
    defined, wanted = set(), set()
    for line in run("nm", "-g", str(archive)).splitlines():
        fields = line.split()
        if len(fields) < 2 or line.endswith(":"):
            continue
        kind, name = fields[-2], fields[-1]
        if kind in "Uvw":
            wanted.add(name)
        else:
            defined.add(name)
    return defined, wanted - defined


def outgoing(archive):
    """Nothing leaves the machine: only listen.c may connect, to see whether a socket file of its own is stale."""
    member = None
    for line in run("nm", "-u", str(archive)).splitlines():
        if line.endswith(":"):
            member = line[:-1]
        symbol = line.split()[-1] if line.strip() else ""
        if re.match(r"(uv_(tcp|pipe)_connect2?|uv_getaddrinfo|getaddrinfo|sendto)$", symbol):
            yield f"{archive.name}: {member} reaches for {symbol}"
        if symbol == "connect" and not member.endswith("listen.c.o"):
            yield f"{archive.name}: {member} connects to somebody"


def main():
    build = pathlib.Path(sys.argv[1])
    problems, table = [], {}
    for name in MODULES:
        if (build / name).exists():
            table[name] = symbols(build / name)
    # The files of an instruction set are archives of their own but belong to their module.
    for module in ("kernel", "train"):
        for archive in sorted((build / "engine" / module).glob(f"lib{module}_*.a")):
            table[str(archive.relative_to(build))] = symbols(archive)
    owner = {}
    for name, (defined, _) in table.items():
        for symbol in defined:
            owner[symbol] = name.split("/")[-2]
    if len(table) < 6:
        problems.append(f"only {len(table)} archives found in {build}")
    for name, (defined, wanted) in table.items():
        module = name.split("/")[-2]
        prefix, allowed = MODULES.get(name, MODULES.get(f"engine/{module}/lib{module}.a"))
        for symbol in sorted(defined):
            if not re.match(prefix, symbol):
                problems.append(f"{name}: exports {symbol} without its prefix {prefix}")
        for symbol in sorted(wanted):
            if owner.get(symbol, module) not in allowed | {module}:
                problems.append(f"{name}: calls {symbol} of {owner[symbol]}")
            exception = FORBIDDEN_EXCEPT.get(name)
            if FORBIDDEN.match(symbol) and not (exception and exception.match(symbol)):
                problems.append(f"{name}: reaches for {symbol}")
    client = build / "clients/libocellus-client.so"
    for line in run("nm", "-D", "--defined-only", str(client)).splitlines():
        if not line.split()[-1].startswith("ocellus_"):
            problems.append(f"{client.name}: exports {line.split()[-1]}")
    if re.search(r"NEEDED.*lib(uv|systemd|seccomp|jpeg|raw)", run("readelf", "-d", str(client))):
        problems.append(f"{client.name}: needs more than JSON and the C library")
    daemon = build / "daemon/ocellusd"
    problems += outgoing(build / "daemon/libdaemon.a")
    needed = run("readelf", "-d", str(daemon))
    if DECODERS.search(needed) or re.search(r" T image_decode$", run("nm", str(daemon)), re.M):
        problems.append("daemon/ocellusd links an image decoder")
    print("\n".join(problems) or f"{len(table)} archives keep to their layers")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
