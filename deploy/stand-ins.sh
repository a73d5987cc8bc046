#!/usr/bin/env bash
# Stand-ins for the two public images that our files name, for a machine that cannot pull images: made from the local
# Go toolchain, two Debian packages and the Go modules, under the public names, so that no other file knows of them.
#
#   deploy/stand-ins.sh           make what is missing or out of date; a public image of that name is left alone
#   deploy/stand-ins.sh --force   make both, whatever is there
#
# golang: a small root file system with Go, and our dependencies downloaded and compiled: it builds without a network.
# nats:   the server at the version that pkg/go.mod pins, laid out like the public image.
set -euo pipefail
cd "$(dirname "$0")/.."

label=trunkline.stand-in # holds a hash of what the image was made from
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '==> %s\n' "$*"; }
die() { printf 'stand-ins: %s\n' "$*" >&2; exit 1; }
hash() { sha256sum | cut -c1-16; }

force=
case ${1:-} in
  "") ;;
  --force) force=yes ;;
  *) die "usage: stand-ins.sh [--force]" ;;
esac
docker info >/dev/null 2>&1 || die "no Docker engine answers: run deploy/install-docker.sh"

# wanted IMAGE HASH: is it to be made?
wanted() {
  local have
  [ -z "$force" ] || return 0
  have=$(docker image inspect -f "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null) || return 0
  case $have in
    "$2") say "$1: up to date" ;;
    "") say "$1: not one of ours, left alone (--force replaces it)" ;;
    *) return 0 ;;
  esac
  return 1
}

# import IMAGE HASH DIRECTORY CHANGE...: the directory becomes the image.
import() {
  local image=$1 sum=$2 root=$3 old change
  local changes=(-c "LABEL $label=$sum")
  shift 3
  for change in "$@"; do changes+=(-c "$change"); done
  old=$(docker image inspect -f '{{.Id}}' "$image" 2>/dev/null || true)
  tar -C "$root" --owner=0 --group=0 -c . | docker import "${changes[@]}" - "$image" >/dev/null
  # What it replaces goes, if it has no other name and nothing was built on it.
  if [ -n "$old" ] && [ "$(docker image inspect -f '{{len .RepoTags}}' "$old" 2>/dev/null)" = 0 ]; then
    docker image rm "$old" >/dev/null 2>&1 || true
  fi
  say "$image: made ($(du -sh "$root" | cut -f1))"
}

make_golang() {
  local root=$work/golang goroot modcache deps
  goroot=$(go env GOROOT)
  mkdir -p "$root"/{bin,etc/ssl/certs,root,go,tmp,usr/local/go}
  chmod 1777 "$root/tmp"

  say "$1: busybox and certificates from Debian"
  # Unpacked, not installed: the machine stays as it is.
  mkdir "$work/debs"
  (
    cd "$work/debs"
    fetch() { apt-get download -qq busybox-static ca-certificates 2>/dev/null; }
    fetch || { apt-get update -qq && fetch; } # a bare machine has no package lists, an old one outdated ones
  ) || die "cannot download busybox-static and ca-certificates"
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/debian"; done
  cp "$work/debian/bin/busybox" "$root/bin/"
  for applet in $("$root/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  cat "$work"/debian/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"

  say "$1: Go and our dependencies, downloaded and compiled"
  cp -a "$goroot"/{VERSION,go.env,bin,pkg,src,lib} "$root/usr/local/go/"
  modcache=$(go env GOMODCACHE)
  (
    export GOPATH="$root/go" GOMODCACHE="$root/go/pkg/mod" GOCACHE="$root/root/.cache/go-build"
    # What the machine's own cache holds needs no network.
    GOPROXY="file://$modcache/cache/download,$(go env GOPROXY)"
    export GOPROXY CGO_ENABLED=0
    # In a copy: in a workspace `go mod download` may write sums.
    mkdir "$work/src"
    cp -r go.work* proto pkg services "$work/src/"
    cd "$work/src"
    go mod download
    # Only saves time, so what does not compile at the moment is no reason to stop. Flags as in the Dockerfile.
    mapfile -t deps < <(go list -e -deps -f '{{with .Module}}{{if not .Main}}{{$.ImportPath}}{{end}}{{end}}' ./services/...)
    [ ${#deps[@]} -eq 0 ] || go build -trimpath -tags timetzdata "${deps[@]}" || true
  )
  import "$1" "$2" "$root" \
    "ENV PATH=/go/bin:/usr/local/go/bin:/bin GOPATH=/go HOME=/root GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off" \
    "WORKDIR /go" 'CMD ["sh"]'
  chmod -R u+w "$root" # the module cache is read-only, and must go with $work
}

make_nats() {
  local root=$work/nats
  mkdir -p "$root"
  say "$1: compiling nats-server $nats_version"
  GOBIN=$root CGO_ENABLED=0 \
    go install -trimpath -ldflags "-s -w" "github.com/nats-io/nats-server/v2@$nats_version"
  printf 'port: 4222\nmonitor_port: 8222\n' >"$root/nats-server.conf"
  import "$1" "$2" "$root" 'ENTRYPOINT ["/nats-server"]' 'CMD ["--config", "nats-server.conf"]' \
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/" "EXPOSE 4222 8222 6222"
}

# The names are read where they are used.
golang=$(sed -n 's/^FROM \(golang:[^ ]*\).*/\1/p' deploy/Dockerfile)
case $(go env GOVERSION) in
  "go${golang#golang:}" | "go${golang#golang:}".*) ;;
  *) die "deploy/Dockerfile wants $golang, this machine has $(go env GOVERSION)" ;;
esac
nats_version=$(cd pkg && GOWORK=off go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)
nats=nats:${nats_version#v}
grep -q "BASE: \"$nats\"" docker-compose.yml || die "docker-compose.yml should name $nats, as pkg/go.mod does"

sum=$({ go version; cat go.work* {proto,pkg,services}/go.{mod,sum} deploy/stand-ins.sh; } | hash)
if wanted "$golang" "$sum"; then make_golang "$golang" "$sum"; fi

sum=$({ go version; echo "$nats_version"; cat deploy/stand-ins.sh; } | hash)
if wanted "$nats" "$sum"; then make_nats "$nats" "$sum"; fi
