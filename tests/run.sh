#!/bin/sh
# Set up everything the tests need, and run them all: `sh tests/run.sh [pytest arguments]`.
#
# Needs python3 with its venv module. C compilers, sources of two kernels and what it takes to build them, two shells,
# patch and the emulator Bochs are installed where that is possible (as root, or with sudo that asks for no password);
# where it is not, the tests that need them are skipped with the reason. With CI=true a skip is a failure. Kernels that
# were prepared for tests stay in ~/.cache/vmcsc-kernels (VMCSC_KERNELS names another folder).
set -eu
cd "$(dirname "$0")/.."

missing=""
command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v g++ >/dev/null 2>&1 || missing="$missing g++"
command -v clang >/dev/null 2>&1 || missing="$missing clang"
command -v zsh >/dev/null 2>&1 || missing="$missing zsh"
command -v fish >/dev/null 2>&1 || missing="$missing fish"
command -v patch >/dev/null 2>&1 || missing="$missing patch"
command -v git >/dev/null 2>&1 || missing="$missing git"
command -v bochs >/dev/null 2>&1 || missing="$missing bochs"
command -v nasm >/dev/null 2>&1 || missing="$missing nasm"
command -v make >/dev/null 2>&1 || missing="$missing make"
ls /usr/share/bochs/BIOS-bochs-latest >/dev/null 2>&1 || missing="$missing bochsbios"
ls /usr/share/vgabios/vgabios.bin >/dev/null 2>&1 || missing="$missing vgabios"
ls /usr/src/linux-source-6.1.tar.* >/dev/null 2>&1 || missing="$missing linux-source-6.1 xz-utils"
ls /usr/src/linux-source-6.12.tar.* >/dev/null 2>&1 || missing="$missing linux-source-6.12"
command -v flex >/dev/null 2>&1 || missing="$missing flex"
command -v bison >/dev/null 2>&1 || missing="$missing bison"
command -v bc >/dev/null 2>&1 || missing="$missing bc"
ls /usr/include/gelf.h >/dev/null 2>&1 || missing="$missing libelf-dev"
ls /usr/include/openssl/evp.h >/dev/null 2>&1 || missing="$missing libssl-dev"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        as_root="none"
    fi
    if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "not installed, so some tests will be skipped:$missing (no apt-get, or neither root nor sudo)"
    else
        export DEBIAN_FRONTEND=noninteractive
        $as_root apt-get -qq update || true
        for package in $missing; do
            $as_root apt-get -qq install -y --no-install-recommends "$package" >/dev/null ||
                echo "not installed, so some tests will be skipped: $package (apt-get could not install it)"
        done
    fi
fi

if [ ! -x .venv/bin/python ]; then
    python3 -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'

.venv/bin/ruff check .
.venv/bin/ruff format --check --quiet .
.venv/bin/mypy
.venv/bin/python tests/sizes.py
exec .venv/bin/python -m pytest -n auto --dist loadfile "$@"
