# shellcheck shell=bash
# A Docker daemon of the stack's own, on a UNIX socket, with its own containerd and its own bridge.
DOCKER_BRIDGE=codexsys-docker
DOCKER_ADDRESS=${CODEXSYS_STACK_DOCKER_ADDRESS:-10.247.0.1/24}
DOCKER_POOL=${CODEXSYS_STACK_DOCKER_POOL:-10.248.0.0/16}
DOCKER_SOCKET=$RUN/docker.sock
DOCKER_PARTS=(docker.daemon docker.containerd)

docker_install() {
  ((EUID == 0)) || die "docker needs root"
  apt_need docker.io containerd runc iproute2 iptables
  image_install
  small_install
}

docker_fresh() { :; } # only a daemon can remove what a daemon keeps: see docker_up

docker_here() { docker --host "unix://$DOCKER_SOCKET" "$@"; }

docker_each() { xargs -r docker --host "unix://$DOCKER_SOCKET" "$@"; }

docker_sweep() {
  docker_here ps --all --quiet | docker_each rm --force
  docker_here volume ls --quiet | docker_each volume rm --force
  docker_here network prune --force
}

docker_empty() { # everything but our images, which are slow to load
  local image
  docker_sweep
  # Prune knows which image stands on which, and leaves those that a container uses.
  for image in "$IMAGE" "$SMALL"; do docker_here create "$image" true; done
  docker_here image prune --all --force
  docker_here ps --all --quiet | docker_each rm --force
}

docker_up() {
  local dir=$DATA/docker
  alive docker.containerd || runtime docker.containerd "$dir/containerd"
  alive docker.daemon || {
    bridge "$DOCKER_BRIDGE" "$DOCKER_ADDRESS"
    echo '{}' >"$RUN/docker.json"
    rm -f "$dir/docker.pid"
    spawn docker.daemon dockerd --config-file "$RUN/docker.json" --host "unix://$DOCKER_SOCKET" --group "$(id -gn)" \
      --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" --oom-score-adjust 0 \
      --containerd "$dir/containerd/containerd.sock" --bridge "$DOCKER_BRIDGE" \
      --default-address-pool "base=$DOCKER_POOL,size=24"
    await docker.daemon 60 docker_here version
  }
  docker_image "$IMAGE" "$IMAGE_FILE"
  docker_image "$SMALL" "$SMALL_FILE"
  [[ $KEEP ]] || docker_empty >"$LOG/docker-sweep.log"
}

docker_image() { # IMAGE FILE: load it unless it is there
  docker_here image inspect "$1" &>/dev/null || logged docker-image docker_here load --input "$2"
}

docker_down() {
  [[ -e $RUN/docker.daemon.pid || -e $RUN/docker.containerd.pid ]] || return 0
  KEEP=yes docker_up # containers outlive a killed daemon, and only a daemon can remove them
  docker_sweep >"$LOG/docker-sweep.log"
  finish docker.daemon
  finish docker.containerd
  unmount_below "$DATA/docker"
  unrule "$DOCKER_BRIDGE"
  unbridge "$DOCKER_BRIDGE"
}

docker_env() {
  echo "CODEXSYS_TEST_DOCKER_HOST=unix://$DOCKER_SOCKET"
  echo "CODEXSYS_TEST_DOCKER_GATEWAY=${DOCKER_ADDRESS%/*}"
  echo "CODEXSYS_TEST_IMAGE=$IMAGE"
  echo "CODEXSYS_TEST_SMALL_IMAGE=$SMALL"
}
