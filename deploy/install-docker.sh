#!/usr/bin/env bash
# Docker engine and compose on a bare Debian 12, as root: for CI and for machines that cannot pull images.
# Needs apt and Go. What is there already is left as it is; a second run takes a second.
#
#   deploy/install-docker.sh        install what is missing, start dockerd if none answers
#   deploy/install-docker.sh stop   stop the dockerd that this script started, and no other
set -euo pipefail

# The last v2: it still builds with the engine's own builder, where v5 insists on the buildx plugin.
compose_version=v2.40.3
plugin=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/docker-compose
state=/run/trunkline-dockerd # pid and log of a dockerd started here

say() { printf '==> %s\n' "$*"; }
die() { printf 'install-docker: %s\n' "$*" >&2; exit 1; }

# A pid file outlives its process, and pids are given out again: believe it only if that process is a dockerd.
ours() { [ -f "$state/pid" ] && [ "$(cat "/proc/$(cat "$state/pid")/comm" 2>/dev/null)" = dockerd ]; }

stop() {
  ours || { say "no dockerd of ours is running"; return; }
  say "stopping dockerd ($(cat "$state/pid"))"
  kill "$(cat "$state/pid")"
  for _ in $(seq 100); do
    ours || { rm -f "$state/pid"; return; }
    sleep 0.2
  done
  die "dockerd did not stop in 20 s, see $state/log"
}

install_engine() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io)
  command -v iptables >/dev/null || missing+=(iptables)
  # docker.io recommends apparmor only, but where the kernel enforces it no container starts without its parser.
  if grep -qs Y /sys/module/apparmor/parameters/enabled && ! command -v apparmor_parser >/dev/null; then
    missing+=(apparmor)
  fi
  [ ${#missing[@]} -gt 0 ] || { say "engine: installed already"; return; }
  say "engine: apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || die "apt-get update failed"
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || die "apt-get install failed"
}

start_engine() {
  if docker info >/dev/null 2>&1; then
    say "dockerd: running already"
    return
  fi
  # dockerd gives up without NAT. Debian's iptables speaks nftables; a kernel without that may know the legacy tables.
  if ! iptables -t nat -nL >/dev/null 2>&1; then
    say "iptables: no nftables here, taking the legacy tables"
    update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
    update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
    iptables -t nat -nL >/dev/null || die "the kernel offers no NAT table: dockerd cannot make networks"
  fi
  # A daemon that was killed leaves files behind that stop the next one, should their number be another process's by now.
  local old
  old=$(cat /var/run/docker.pid 2>/dev/null || true)
  case "$(readlink "/proc/${old:-none}/exe" 2>/dev/null || true)" in
    */dockerd) ;; # it lives, and does not answer yet
    *) rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid ;;
  esac
  mkdir -p "$state"
  say "dockerd: starting, log in $state/log"
  setsid nohup dockerd >"$state/log" 2>&1 </dev/null & # a session of its own: it outlives the CI step
  echo $! >"$state/pid"
  for _ in $(seq 120); do
    docker info >/dev/null 2>&1 && return
    kill -0 $! 2>/dev/null || { tail -n 20 "$state/log" >&2; die "dockerd ended at once"; }
    sleep 0.5
  done
  tail -n 20 "$state/log" >&2
  die "dockerd does not answer after 60 s"
}

install_compose() {
  if docker compose version >/dev/null 2>&1; then
    say "compose: installed already ($(docker compose version --short))"
    return
  fi
  command -v go >/dev/null || die "go is needed to build the compose plugin"
  say "compose: building $compose_version (a few minutes the first time)"
  local module
  module=$(mktemp -d)
  # A module of its own, for `go install` refuses compose: its go.mod has exclude directives.
  (
    cd "$module"
    export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0
    go mod init compose-plugin
    go get "github.com/docker/compose/v2@$compose_version"
    mkdir -p "$(dirname "$plugin")"
    go build -trimpath -o "$plugin" \
      -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$compose_version" \
      github.com/docker/compose/v2/cmd
  ) >"$module/log" 2>&1 || { tail -n 20 "$module/log" >&2; die "building the compose plugin failed"; }
  rm -rf "$module"
  docker compose version >/dev/null || die "the compose plugin in $plugin does not run"
}

[ "$(id -u)" = 0 ] || die "must run as root"
case ${1:-} in
  "") # not joined by &&, which would switch `set -e` off inside them
    install_engine
    start_engine
    install_compose
    ;;
  stop) stop ;;
  *) die "usage: install-docker.sh [stop]" ;;
esac
say "done"
