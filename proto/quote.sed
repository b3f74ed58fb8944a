# SPDX-License-Identifier: Apache-2.0
# Each line of a text becomes a C string literal. (In a file: meson changes backslashes in commands.)
s/[\\"]/\\&/g
s/.*/"&\\n"/
