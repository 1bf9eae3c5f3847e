# shellcheck shell=bash
# Docker Compose v2, as a program only, built from its Go module.
COMPOSE_VERSION=v2.39.4
COMPOSE_DIR=$LIB/compose-$COMPOSE_VERSION
COMPOSE_PARTS=()

compose_install() {
  [[ ! -x $COMPOSE_DIR/docker-compose ]] || return 0
  go_need
  echo "stack: building Compose from source, which takes some three minutes the first time" >&2
  logged compose-install env CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN="$COMPOSE_DIR" \
    "$GO" install -trimpath -ldflags '-s -w' "github.com/docker/compose/v2/cmd@$COMPOSE_VERSION"
  mv "$COMPOSE_DIR/cmd" "$COMPOSE_DIR/docker-compose"
}

compose_fresh() { :; }

compose_up() { :; }

compose_down() { :; }

compose_env() { [[ ! -x $COMPOSE_DIR/docker-compose ]] || echo "CODEXSYS_TEST_COMPOSE=$COMPOSE_DIR/docker-compose"; }
