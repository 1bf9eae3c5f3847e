# shellcheck shell=bash
# MinIO, built from source by the Go toolchain: one drive, no console, no outside calls.
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
MINIO_PORT=$((PORTS + 900))
MINIO_CONSOLE_PORT=$((PORTS + 901))
MINIO_KEY=codexsys
MINIO_SECRET=codexsys-secret
MINIO_PARTS=(minio)

minio_install() {
  apt_need curl
  [[ -x $LIB/minio-$MINIO_VERSION/minio ]] || {
    go_need
    echo "stack: building MinIO from source, which takes some two minutes the first time" >&2
    logged minio-install env CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN="$LIB/minio-$MINIO_VERSION" \
      "$GO" install -trimpath -ldflags '-s -w' "github.com/minio/minio@$MINIO_VERSION"
  }
}

minio_fresh() { emptied minio; }

minio_up() {
  claim "$MINIO_PORT"
  spawn minio env MINIO_ROOT_USER="$MINIO_KEY" MINIO_ROOT_PASSWORD="$MINIO_SECRET" MINIO_BROWSER=off \
    MINIO_UPDATE=off "$LIB/minio-$MINIO_VERSION/minio" server --quiet --address "127.0.0.1:$MINIO_PORT" \
    --console-address "127.0.0.1:$MINIO_CONSOLE_PORT" "$DATA/minio"
  await minio 60 curl -fsS "http://127.0.0.1:$MINIO_PORT/minio/health/ready"
}

minio_down() { finish minio; }

minio_env() {
  echo "CODEXSYS_TEST_S3_URL=http://127.0.0.1:$MINIO_PORT"
  echo "CODEXSYS_TEST_S3_KEY=$MINIO_KEY"
  echo "CODEXSYS_TEST_S3_SECRET=$MINIO_SECRET"
}
