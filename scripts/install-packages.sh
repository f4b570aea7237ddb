#!/bin/bash
# Installs the Debian packages named that are missing, through apt; with sudo when not root.
# Prints the list and stops where it can't. Does nothing on systems without dpkg.
set -u
command -v dpkg-query >/dev/null || exit 0

missing=()
for package in "$@"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)
    [[ $state == installed* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

give_up() {
    echo "VOLT needs these Debian packages: ${missing[*]}" >&2
    echo "$1 Install them with: apt-get install ${missing[*]}" >&2
    exit 1
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "This user is not root and sudo is not there."
    # Without a terminal sudo cannot ask for a password.
    [ -t 0 ] || sudo -n true 2>/dev/null || give_up "sudo needs a password."
    as_root=(sudo)
fi
command -v apt-get >/dev/null || give_up "apt-get is not there."

echo "installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Acquire::Retries=3)
"${apt[@]}" update </dev/null || echo "apt-get update failed; trying with the lists at hand" >&2
"${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null ||
    give_up "apt-get install failed."
