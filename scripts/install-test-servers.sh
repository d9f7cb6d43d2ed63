#!/bin/sh
# Installs the mail servers that the tests and the demo start privately (Debian 12 or newer).
#
#   scripts/install-test-servers.sh                 Dovecot and Cyrus
#   scripts/install-test-servers.sh --only dovecot  what the demo needs
#   scripts/install-test-servers.sh --only mbsync   another copier, for `make compare`
#   scripts/install-test-servers.sh --check         says what is missing, changes nothing
#
# Nothing is started and nothing is configured: each test runs its own server on a free loopback port. Cyrus' IMAP daemon
# and Dovecot's exclude one another as packages, so Cyrus' is unpacked beside the system, into
# ${MAILHAUL_TEST_SERVERS:-$HOME/.cache/mailhaul/servers}. Running it again does only what is still missing.
set -eu

servers=${MAILHAUL_TEST_SERVERS:-${HOME:-/root}/.cache/mailhaul/servers}
policy=/usr/sbin/policy-rc.d
only=
check=

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0"
}

while [ $# -gt 0 ]; do
    case $1 in
    --only)
        only=${2:-}
        [ "$only" = dovecot ] || [ "$only" = cyrus ] || [ "$only" = mbsync ] ||
            { echo "--only takes dovecot, cyrus or mbsync" >&2; exit 2; }
        shift 2
        ;;
    --check) check=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown argument: $1 (see --help)" >&2; exit 2 ;;
    esac
done

installed() {
    dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

# The packages that are wanted and not there. cyrus-common brings the libraries, the master and the system user.
missing_packages() {
    wanted=openssl
    case $only in
    dovecot) wanted="$wanted dovecot-core dovecot-imapd" ;;
    cyrus) wanted="$wanted cyrus-common" ;;
    mbsync) wanted=isync ;;
    *) wanted="$wanted dovecot-core dovecot-imapd cyrus-common" ;;
    esac
    for package in $wanted; do
        installed "$package" || printf '%s ' "$package"
    done
}

cyrus_missing() {
    [ "$only" != dovecot ] && [ "$only" != mbsync ] && [ ! -x "$servers/cyrus/usr/lib/cyrus/bin/imapd" ]
}

if ! command -v apt-get >/dev/null 2>&1; then
    if command -v dovecot >/dev/null 2>&1 && [ "$only" = dovecot ]; then exit 0; fi
    echo "this script knows Debian only: install Dovecot 2.3 (with its IMAP server) and openssl by your system's own means." >&2
    exit 1
fi

packages=$(missing_packages)
if [ -z "$packages" ] && ! cyrus_missing; then
    echo "test servers: all there"
    exit 0
fi

what=${packages% }
if cyrus_missing; then what="${what:+$what, }cyrus-imapd (unpacked into $servers)"; fi
if [ -n "$check" ]; then
    echo "test servers: missing: $what"
    exit 1
fi

as_root=
if [ -n "$packages" ] && [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=sudo
        echo "test servers: using sudo to install: ${packages% }"
    else
        echo "test servers: neither root nor sudo here; ask somebody who is to run: apt-get install --no-install-recommends ${packages% }" >&2
        exit 1
    fi
fi

# One installation at a time: a second one would lose the policy below when the first has finished.
mkdir -p "$servers"
exec 9>"$servers/.lock"
flock 9
packages=$(missing_packages)

# No package may start its service, now or at the next boot. An existing policy is somebody's decision and stays as it is; if it lets services
# start, so be it.
made_policy=
scratch=
clean_up() {
    status=$?
    if [ -n "$made_policy" ]; then $as_root rm -f "$policy"; fi
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

refuse_service_starts() {
    if [ -e "$policy" ]; then return 0; fi
    made_policy=yes
    printf '#!/bin/sh\n# made by scripts/install-test-servers.sh for the time of one installation\nexit 101\n' |
        $as_root sh -c "cat >'$policy' && chmod 755 '$policy'"
}

# What this installation brought in is not enabled either; what was there before is left as it was.
disable_service() {
    case " $packages" in
    *" $1 "*) if command -v systemctl >/dev/null 2>&1; then $as_root systemctl -q disable $2 >/dev/null 2>&1 || true; fi ;;
    esac
}

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

if [ -n "$packages" ]; then
    echo "test servers: installing ${packages% }"
    refuse_service_starts
    # shellcheck disable=SC2086 # a list of words
    { apt update && apt install --no-install-recommends $packages; } >&2
    disable_service dovecot-core "dovecot.service dovecot.socket"
    disable_service cyrus-common cyrus-imapd.service
fi

if cyrus_missing; then
    echo "test servers: unpacking cyrus-imapd into $servers"
    scratch=$(mktemp -d "$servers/.unpack.XXXXXX")
    # apt-get download drops privileges to a user that may not write here and warns about it; the file arrives all the same.
    (cd "$scratch" && apt-get -q -o Acquire::Retries=3 download cyrus-imapd) >&2
    dpkg -x "$scratch"/cyrus-imapd_*.deb "$scratch/tree"
    rm -rf "$servers/cyrus"
    mv "$scratch/tree" "$servers/cyrus"
fi
echo "test servers: ready"
