#!/bin/sh
# Makes .venv with the locked dependencies and the package itself. Does nothing when that has been done for this very
# requirements.lock and pyproject.toml. PYTHON names the interpreter; unset, the newest suitable one is taken.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
fail() { printf 'Error: %s\n' "$*" >&2; exit 1; }

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or newer."
        printf '%s' "$PYTHON"
        return
    fi
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if suits "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found; install it, or name it: make PYTHON=/path/to/python3."
}

digest() { .venv/bin/python -c 'import hashlib, sys
print(hashlib.sha256(b"".join(open(name, "rb").read() for name in sys.argv[1:])).hexdigest())' "$@"; }

stamped() { [ -f ".venv/$1.stamp" ] && [ "$(cat ".venv/$1.stamp")" = "$2" ]; }

if ! suits .venv/bin/python; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv."
    say "Making .venv with $("$python" -V)"
    "$python" -m venv --clear .venv
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
lock=$(digest requirements.lock)
if ! stamped lock "$lock"; then
    say "Installing the dependencies (a minute or two the first time)"
    .venv/bin/python -m pip install -qq --require-hashes --requirement requirements.lock ||
        fail "the dependencies could not be installed; the lines above say why. Is the network there?"
    printf '%s\n' "$lock" > .venv/lock.stamp
fi

package=$(digest requirements.lock pyproject.toml)
if ! stamped package "$package"; then
    say "Installing quntedge"
    .venv/bin/python -m pip install -qq --no-deps --no-build-isolation --editable . ||
        fail "the package itself could not be installed; the lines above say why."
    printf '%s\n' "$package" > .venv/package.stamp
fi
