# Sourced by the other scripts: goes to the project's root, and makes or refreshes `.venv` there.
# `environment runtime` installs what the library needs; `environment dev` what its tests need too.
# Versions come from requirements.lock. Nothing happens when neither it nor pyproject.toml has changed.
# Set PYTHON to choose the interpreter of a new `.venv`.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
venv=$root/.venv

_find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    printf 'Homing Router needs Python 3.11 or newer. None of these is: %s\n' \
        "${PYTHON:+$PYTHON, }python3 ($(python3 -V 2>&1 || true)), python3.11 to python3.14." >&2
    printf 'Install one, or name it: PYTHON=/path/to/python3 bash %s\n' "$0" >&2
    return 1
}

_make_venv() {
    local python
    python=$(_find_python)
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        printf '%s lacks the module venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv\n' "$python" >&2
        return 1
    fi
    printf 'Making %s with %s (%s)\n' "$venv" "$python" "$("$python" -V)"
    "$python" -m venv --clear "$venv"
}

# What an installation depends on, as one line.
_fingerprint() {
    printf '%s ' "$1" "$venv"
    cat pyproject.toml requirements.lock | "$venv/bin/python" -c \
        'import hashlib, sys; print(sys.version.split()[0], hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

environment() {
    local kind=$1 stamp wanted
    "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || _make_venv
    for stamp in dev "$kind"; do # what tests need includes what the library needs
        wanted=$(_fingerprint "$stamp")
        if [ "$(cat "$venv/.installed-$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    done
    printf 'Installing into %s\n' "$venv"
    rm -f "$venv"/.installed-*
    if [ "$kind" = dev ]; then
        "$venv/bin/python" -m pip install --quiet --no-compile --requirement requirements.lock # what is used is compiled then
        "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
    else
        "$venv/bin/python" -m pip install --quiet --constraint requirements.lock --editable .
    fi
    printf '%s\n' "$wanted" >"$venv/.installed-$kind"
}
