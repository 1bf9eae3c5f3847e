# shellcheck shell=bash
# Docker Compose v2, as a program only, built from its Go module through one of ours: `go install` refuses what excludes modules.
COMPOSE_VERSION=$(awk '$1 == "github.com/docker/compose/v2" {print $2}' "$HERE/compose/go.mod")
COMPOSE_PROGRAM=$LIB/compose-$COMPOSE_VERSION/docker-compose
COMPOSE_PARTS=()

compose_install() {
  [[ ! -x $COMPOSE_PROGRAM ]] || return 0
  go_need
  echo "stack: building Compose from source, which takes some three minutes the first time" >&2
  logged compose-install env CGO_ENABLED=0 "$GO" build -C "$HERE/compose" -buildvcs=false -trimpath -ldflags '-s -w' \
    -o "$COMPOSE_PROGRAM" github.com/docker/compose/v2/cmd
}

compose_fresh() { :; }

compose_up() { :; }

compose_down() { :; }

compose_env() { [[ ! -x $COMPOSE_PROGRAM ]] || echo "CODEXSYS_TEST_COMPOSE=$COMPOSE_PROGRAM"; }
