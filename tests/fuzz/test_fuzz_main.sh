#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks that fuzz_main.c hands every file whole to its target, and that it fails when it cannot.
set -eu
probe=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

expect() { # WHAT WANTED ARGUMENT...
    what=$1 wanted=$2
    shift 2
    got=$("$probe" "$@" 2>"$dir/errors") || fail "$what: exit status $?: $(cat "$dir/errors")"
    [ "$got" = "$wanted" ] || fail "$what: got '$got', wanted '$wanted'"
}

refuse() { # WHAT TEXT-IN-THE-MESSAGE ARGUMENT...
    what=$1 text=$2
    shift 2
    if "$probe" "$@" >/dev/null 2>"$dir/errors"; then
        fail "$what: exit status 0"
    fi
    grep -q "$text" "$dir/errors" || fail "$what: no '$text' in: $(cat "$dir/errors")"
}

mkdir "$dir/corpus" "$dir/empty"
: >"$dir/corpus/a"
printf 'A' >"$dir/corpus/b"
head -c 10000 /dev/zero | tr '\0' '\001' >"$dir/corpus/c"

expect 'an empty file' "0 0
1 inputs run" "$dir/corpus/a"
expect 'one byte' "1 65
1 inputs run" "$dir/corpus/b"
expect 'many bytes' "10000 10000
1 inputs run" "$dir/corpus/c"
expect 'a directory' "0 0
1 65
10000 10000
3 inputs run" "$dir/corpus"

refuse 'a missing file' 'No such file' "$dir/missing"
refuse 'a missing file among good ones' 'No such file' "$dir/corpus" "$dir/missing" "$dir/corpus/b"
# Root reads files of any mode; a read at address 0 of one's own memory fails for everybody.
refuse 'an unreadable file' 'Input/output error' /proc/self/mem
refuse 'a directory where a file should be' 'Is a directory' "$dir"
refuse 'an empty directory' 'no input' "$dir/empty"
refuse 'nothing at all' 'no input'
