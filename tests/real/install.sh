#!/bin/sh
# Install what packages.txt, or another list that is given, names and this machine lacks; without the right to, say
# what is missing and fail.
# Nothing that gets installed is started, now or at boot: the tests start their own servers.
set -eu

packages=${1:-$(dirname "$0")/packages.txt}
missing=
for package in $(sed 's/#.*//' "$packages"); do
    # Node's own packages hold npm, too, and conflict with Debian's.
    [ "$package" = npm ] && command -v npm >/dev/null && continue
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "$packages names Debian packages, and this is no Debian. Missing:$missing" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "$packages names Debian packages that are not installed:$missing" >&2
    echo "Install them as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# 101 is "action forbidden by policy" to invoke-rc.d, which package scripts start services with.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of names
apt-get -qq install --yes --no-install-recommends $missing
for service in nginx munge ssh postgresql redis-server slurmctld slurmd; do
    package=$service
    [ "$service" = ssh ] && package=openssh-server
    case "$missing " in
    *" $package "*) update-rc.d "$service" disable ;;
    esac
done
