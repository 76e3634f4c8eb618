# Debian's packages, for .ci/setup, which sources this file. They come from the machine's own package sources and, on
# Debian 12, from its backports at the same address. The machine's sources and package lists are read, never changed.
# It expects of it: $scratch, a folder of its own, and the function say.
# shellcheck shell=bash disable=SC2154

# The backports of a Debian release as a one-line entry, at the address (and with the key) of the machine's own entry
# for that release. Prints nothing if FILES have no such entry, or have the backports already.
backports_entry() {  # RELEASE FILE...
    local release=$1
    shift
    awk -v release="$release" '
        function entry(options, address, suites) {
            if (index(" " suites " ", " " release "-backports ")) present = 1
            if (index(" " suites " ", " " release " ") && found == "") found = options address
        }
        # A deb822 stanza ends at an empty line, at the next file or at the end.
        function end_of_stanza() {
            if (index(" " types " ", " deb ") && enabled != "no") {
                gsub(/[ ,]+/, ",", key)
                entry(key ~ /^\// ? "[signed-by=" key "] " : "", address, suites)
            }
            types = enabled = key = address = suites = ""
        }
        FNR == 1 || /^[ \t]*$/ { end_of_stanza() }
        /^[ \t]*#/ { next }
        /^[ \t]*deb[ \t]/ {
            options = ""
            if (match($0, /\[[^]]*\]/)) {
                options = substr($0, RSTART, RLENGTH) " "
                $0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
            }
            entry(options, $2, $3)
            next
        }
        { field = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
        field == "types:" { types = value }
        field == "enabled:" { enabled = tolower(value) }
        field == "uris:" { address = $2 }
        field == "suites:" { suites = value }
        field == "signed-by:" { key = value }
        END {
            end_of_stanza()
            if (found != "" && !present) print "deb " found " " release "-backports main"
        }
    ' "$@" </dev/null
}

# Packages can be installed: as root, or through a sudo that asks no password (then $as_root says so).
as_root=
can_install() {
    [ "$(id -u)" != 0 ] || return 0
    sudo -n true 2>/dev/null || return 1
    as_root=sudo
}

# apt-get with sources and lists of our own, under $scratch.
own_apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dir::Etc::SourceList="$scratch/apt/sources.list" \
        -o Dir::State::lists="$scratch/apt/lists" -o Dir::Cache="$scratch/apt/cache" \
        -o APT::Install-Recommends=false -o Acquire::Languages=none "$@"
}

on_bookworm() {
    grep -qsx 'VERSION_CODENAME=bookworm' /etc/os-release
}

prepare_apt() {
    [ ! -d "$scratch/apt" ] || return 0
    mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/cache/archives/partial"
    chmod 755 "$scratch" # apt downloads as a user of its own
    local files=() file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ ! -r "$file" ] || files+=("$file")
    done
    [ ! -r /etc/apt/sources.list ] || cat /etc/apt/sources.list >"$scratch/apt/sources.list"
    ! on_bookworm || backports_entry bookworm "${files[@]}" >>"$scratch/apt/sources.list"
    say "Reading the package lists of this machine's Debian sources."
    own_apt update || say "apt-get update complained (see above); going on with the lists it has."
}

install_packages() {  # PACKAGE...
    prepare_apt
    own_apt install -y "$@" >/dev/null
}

# Without root: the packages, and what they need that the machine lacks, unpacked under .local.
unpack_packages() {  # PACKAGE...
    prepare_apt
    local wanted folder="$scratch/packages" package
    mapfile -t wanted < <(own_apt -s install "$@" | sed -nE 's/^Inst ([^ ]+)( \[[^]]*\])? \(([^ ]+).*/\1=\3/p')
    [ ${#wanted[@]} -gt 0 ] || return 1
    mkdir "$folder"
    (cd "$folder" && own_apt download "${wanted[@]}") || return 1
    for package in "$folder"/*.deb; do
        dpkg -x "$package" .local || return 1
    done
    rm -r "$folder"
}

# The folder's name is one that an unpacked ngspice can be started from: it and the dynamic linker read others as
# several names, or as commands.
plain_folder() {  # FOLDER
    case $1 in *[[:space:][:cntrl:]\;\:\`\$\'\"\\\(\)\{\}\<\>\&\|\*\?\!\~\#\=\,]*) return 1 ;; esac
}

# The unpacked ngspice looks for its libraries and start-up files under /usr: lead it to those unpacked beside it.
redirect_unpacked_ngspice() {
    mkdir -p .local/usr/libexec
    mv .local/usr/bin/ngspice .local/usr/libexec/ngspice
    sed -i "s|codemodel /usr/|codemodel $PWD/.local/usr/|" .local/usr/share/ngspice/scripts/spinit
    cat >.local/usr/bin/ngspice <<'END'
#!/bin/sh
# ngspice as unpacked by .ci/setup, with the libraries and start-up files unpacked beside it.
root=$(cd "$(dirname "$0")/../.." && pwd)
for folder in "$root"/lib/*-linux-gnu* "$root"/usr/lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
export SPICE_LIB_DIR="$root/usr/share/ngspice"
exec "$root/usr/libexec/ngspice" "$@"
END
    chmod +x .local/usr/bin/ngspice
}
