# shellcheck shell=bash
# Shared by the scripts of this repository: sourced, never run.

repo_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
export repo_root

# The packages in growing order of dependencies.
# shellcheck disable=SC2034 # used by the scripts that source this file
packages=(Multiaddr PeerID Libp2pTLS NetStream QuicTransport Host)

# say TEXT…: one line for the person, on standard error, so that standard output stays for results.
say() { printf '%s\n' "$*" >&2; }

# heading TEXT…: a line that stands out.
heading() { printf '\n== %s\n' "$*" >&2; }

# die TEXT…: one clear line and exit 1.
die() {
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit 1
}

# usage_error TEXT…: one clear line and exit 2.
usage_error() {
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit 2
}

# show_help: prints the comment block at the top of the calling script.
show_help() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$0"; }

# as_root COMMAND…: as it is for root, through sudo otherwise.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -- "$@"
    else
        die "this needs root: run it as root, or install sudo (wanted: $*)"
    fi
}

# version_at_least HAVE WANT: true when the dotted number HAVE is not below WANT.
version_at_least() {
    printf '%s\n%s\n' "$2" "$1" | sort -V -C
}

# contains_line LINE TEXT: true when one line of TEXT is LINE. Not `… | grep -q`: that ends at the first match, and under
# pipefail the writer's broken pipe then looks like no match.
contains_line() { grep -qxF -e "$1" <<<"$2"; }

# require_swift_command: there is a swift on the path, or the script ends and says how to get one.
require_swift_command() {
    command -v swift >/dev/null 2>&1 ||
        die "no Swift toolchain on the PATH. Get Swift 6.2 or later from https://www.swift.org/install/linux/" \
            "(the swiftly installer, or a tarball whose usr/bin you add to PATH), then run this again"
}

# require_swift: a Swift of at least 6.2 that starts, or the script ends and says what to do.
require_swift() {
    require_swift_command
    local text version
    text=$(swift --version 2>&1) || die "swift is on the PATH but does not start (scripts/setup may help): $text"
    version=$(printf '%s\n' "$text" | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p')
    version=${version%%$'\n'*}
    [ -n "$version" ] || die "cannot read the version of $(command -v swift)"
    version_at_least "$version" 6.2 ||
        die "Swift $version is too old: 6.2 or later is needed (https://www.swift.org/install/linux/)"
    swift_version=$version
    export swift_version
}

# elapsed START: seconds since START (a value of $SECONDS), as 1m05s.
elapsed() { printf '%dm%02ds' $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60)); }

# example_binary NAME: builds the example in release (output on standard error) and prints its path.
example_binary() {
    local name=$1 bin
    swift build --package-path "$repo_root/Examples" -c release --product "$name" >&2 || return 1
    bin=$(swift build --package-path "$repo_root/Examples" -c release --show-bin-path) || return 1
    printf '%s/%s\n' "$bin" "$name"
}

# What run_each_target keeps to; all of them if there is none.
chosen_targets=()

# The names of the umbrella's test targets, one a line.
test_targets() {
    swift package --package-path "$repo_root" dump-package | python3 -c '
import json, sys
print("\n".join(target["name"] for target in json.load(sys.stdin)["targets"] if target["type"] == "test"))'
}

# run_each_target OPTION…: runs the umbrella's tests, which are built, with these options of `swift test`, and leaves the
# names of the targets that failed in failed_targets. Only those of chosen_targets, if it names some. One process for each
# target, and one for the loads: tests with deadlines have to share the machine with their own kind only.
run_each_target() {
    local target targets
    failed_targets=()
    mapfile -t targets < <(test_targets)
    [ "${#targets[@]}" -gt 0 ] || die "the umbrella has no test targets"
    if [ "${#chosen_targets[@]}" -gt 0 ]; then
        for target in "${chosen_targets[@]}"; do
            contains_line "$target" "$(printf '%s\n' "${targets[@]}")" ||
                usage_error "no test target '$target'; there are: ${targets[*]}"
            swift test --skip-build "$@" --filter "^$target\\." || failed_targets+=("$target")
        done
        return
    fi
    for target in "${targets[@]}"; do
        swift test --skip-build "$@" --filter "^$target\\." --skip LoadTests || failed_targets+=("$target")
    done
    swift test --skip-build "$@" --filter LoadTests || failed_targets+=("load tests")
}
