# shellcheck shell=bash
# A one-node Kubernetes cluster: etcd, containerd and runc from Debian, the rest built from source as one binary.
# Its node address sits on a bridge without ports, so that pods and this host reach it and no other host does.
KUBE_VERSION=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$HERE/kube/go.mod")
KUBE_DNS_VERSION=v1.12.4
KUBE_PAUSE=codexsys/pause:test
KUBE_NODE=codexsys
KUBE_NODE_BRIDGE=codexsys-node
KUBE_POD_BRIDGE=codexsys-pods
KUBE_IP=${CODEXSYS_STACK_KUBERNETES_IP:-10.246.0.1}
KUBE_PODS=${CODEXSYS_STACK_KUBERNETES_PODS:-10.245.0.0/24}
KUBE_SERVICES=${CODEXSYS_STACK_KUBERNETES_SERVICES:-10.249.0.0/24}
KUBE_PORT=$((PORTS + 643))
KUBE_ETCD_PORT=$((PORTS + 237))
KUBE_ETCD_PEER_PORT=$((PORTS + 238))
KUBE_DIR=$DATA/kubernetes
KUBE_SOCKET=$KUBE_DIR/containerd/containerd.sock
KUBE_BIN=$LIB/kube # a link to the last build
KUBE_BUILD=$LIB/kube-$(cat "$HERE"/kube/{go.mod,main.go,pause/main.go} | sha256sum | cut -c -12)
KUBE_CONFIG=$RUN/kubeconfig
KUBE_NAMES='(KUBE|CNI)-.*'       # of the packet filter's chains that a cluster makes
KUBE_CHAINS=$RUN/kubernetes.chains # those that were there before, another cluster's
KUBERNETES_PARTS=(kubernetes.{dns,apiserver,controllers,scheduler,proxy,kubelet,etcd,containerd})

kubernetes_install() {
  local new=$KUBE_BUILD.new program version=k8s.io/component-base/version minor=${KUBE_VERSION#v1.}
  ((EUID == 0)) || die "kubernetes needs root"
  apt_need etcd-server containerd runc containernetworking-plugins iptables conntrack curl iproute2 openssl
  [[ -d $KUBE_BUILD ]] || {
    go_need
    echo "stack: building Kubernetes from source, which takes some four minutes the first time" >&2
    rm -rf "$new"
    mkdir "$new"
    logged kubernetes-install env CGO_ENABLED=0 "$GO" build -C "$HERE/kube" -buildvcs=false -trimpath -o "$new/kube" \
      -ldflags "-s -w -X $version.gitVersion=$KUBE_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" .
    logged pause-install env CGO_ENABLED=0 "$GO" build -C "$HERE/kube" -buildvcs=false -trimpath -ldflags '-s -w' \
      -o "$new/pause/pause" ./pause
    archive "$KUBE_PAUSE" "$new/pause" '{"Entrypoint":["/pause"],"User":"65535:65535"}' "$new/pause.tar"
    for program in kube-{apiserver,controller-manager,scheduler,proxy} kubelet kubectl cri-sweep; do
      ln -s kube "$new/$program"
    done
    mv "$new" "$KUBE_BUILD"
  }
  ln -sfn "$KUBE_BUILD" "$KUBE_BIN"
  ln -sfn "$KUBE_BIN/kubectl" "$BIN/kubectl"
  [[ -x $LIB/coredns-$KUBE_DNS_VERSION/coredns ]] || {
    go_need
    logged coredns-install env CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN="$LIB/coredns-$KUBE_DNS_VERSION" \
      "$GO" install -trimpath -ldflags '-s -w' "github.com/coredns/coredns@$KUBE_DNS_VERSION"
  }
  image_install
  small_install
}

kubernetes_fresh() {
  local top=$KUBE_DIR/containerd
  unmount_below "$KUBE_DIR/kubelet"
  rm -rf "$KUBE_DIR"/{etcd,kubelet,logs,pki,ipam}
  mkdir -p "$KUBE_DIR"/{etcd,kubelet,logs,pki} "$top/cni"
  kubernetes_identities
  kubernetes_settings
}

certificate() { # NAME SUBJECT [EXTENSION]: a key and a certificate signed by the cluster's authority
  local ca=() extension=()
  [[ $1 == ca ]] || ca=(-CA ca.crt -CAkey ca.key)
  [[ -z ${3:-} ]] || extension=(-addext "$3")
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "$2" \
    "${ca[@]}" "${extension[@]}" -keyout "$1.key" -out "$1.crt"
}

certificates() {
  cd "$KUBE_DIR/pki" &&
    certificate ca /CN=codexsys-stack &&
    certificate server /CN=kube-apiserver \
      "subjectAltName=IP:$KUBE_IP,IP:127.0.0.1,IP:${KUBE_SERVICES%.*}.1,DNS:kubernetes.default.svc,DNS:kubernetes.default" &&
    certificate client /O=system:masters/CN=kube-apiserver &&
    certificate kubelet "/CN=system:node:$KUBE_NODE" "subjectAltName=IP:$KUBE_IP,DNS:$KUBE_NODE" &&
    openssl ecparam -name prime256v1 -genkey -noout -out accounts.key
}

kubernetes_identities() {
  local pki=$KUBE_DIR/pki user group token
  (logged kubernetes-pki certificates)
  while read -r user group; do
    token=$(openssl rand -hex 16)
    echo "$token,$user,$user,$group" >>"$pki/tokens.csv"
    cat >"$pki/$user.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
- {name: stack, cluster: {server: "https://$KUBE_IP:$KUBE_PORT", certificate-authority: "$pki/ca.crt"}}
users:
- {name: "$user", user: {token: "$token"}}
contexts:
- {name: stack, context: {cluster: stack, user: "$user"}}
current-context: stack
YAML
  done <<USERS
admin system:masters
system:kube-controller-manager
system:kube-scheduler
system:kube-proxy
system:node:$KUBE_NODE system:nodes
USERS
  cp "$pki/admin.kubeconfig" "$KUBE_CONFIG"
}

kubernetes_settings() {
  cat >"$KUBE_DIR/containerd/cni/stack.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "codexsys", "plugins": [
  {"type": "bridge", "bridge": "$KUBE_POD_BRIDGE", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$KUBE_DIR/ipam", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "$KUBE_PODS"}]]}},
  {"type": "firewall", "backend": "iptables"}
]}
JSON
  cat >"$KUBE_DIR/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $KUBE_IP
port: $((PORTS + 250))
healthzPort: $((PORTS + 248))
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: "$KUBE_DIR/pki/ca.crt"}
authorization: {mode: AlwaysAllow}
tlsCertFile: "$KUBE_DIR/pki/kubelet.crt"
tlsPrivateKeyFile: "$KUBE_DIR/pki/kubelet.key"
containerRuntimeEndpoint: "unix://$KUBE_SOCKET"
cgroupDriver: cgroupfs
failCgroupV1: false
clusterDNS: ["$KUBE_IP"]
clusterDomain: cluster.local
failSwapOn: false
oomScoreAdj: 0
podLogsDir: "$KUBE_DIR/logs"
volumePluginDir: "$KUBE_DIR/kubelet/volume-plugins"
imageGCHighThresholdPercent: 100
volumeStatsAggPeriod: 10s
nodeLeaseDurationSeconds: 16
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
YAML
}

kubernetes_dns() { # names of Services, as every cluster has them
  local ready=127.0.0.1:$((PORTS + 254))
  cat >"$KUBE_DIR/Corefile" <<CONF
.:53 {
  bind $KUBE_IP
  errors
  ready $ready
  kubernetes cluster.local {
    kubeconfig $KUBE_CONFIG stack
  }
  forward . /etc/resolv.conf
}
CONF
  alive kubernetes.dns || spawn kubernetes.dns "$LIB/coredns-$KUBE_DNS_VERSION/coredns" -conf "$KUBE_DIR/Corefile"
  await kubernetes.dns 60 curl -fsS "http://$ready/ready"
}

kube() { # PART PROGRAM ARGUMENT...
  alive "kubernetes.$1" || spawn "kubernetes.$1" "$KUBE_BIN/$2" "${@:3}"
}

kubectl_here() { "$KUBE_BIN/kubectl" --kubeconfig "$KUBE_CONFIG" "$@"; }

kubernetes_up() {
  [[ -e $KUBE_CHAINS ]] || chains "$KUBE_NAMES" >"$KUBE_CHAINS"
  local pki=$KUBE_DIR/pki etcd=http://127.0.0.1:$KUBE_ETCD_PORT peer=http://127.0.0.1:$KUBE_ETCD_PEER_PORT
  bridge "$KUBE_NODE_BRIDGE" "$KUBE_IP/32"
  alive kubernetes.etcd || {
    claim "$KUBE_ETCD_PORT"
    spawn kubernetes.etcd etcd --data-dir "$KUBE_DIR/etcd" --unsafe-no-fsync \
      --listen-client-urls "$etcd" --advertise-client-urls "$etcd" --listen-peer-urls "$peer" \
      --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
  }
  alive kubernetes.apiserver || claim "$KUBE_PORT" "$KUBE_IP"
  kube apiserver kube-apiserver --etcd-servers="$etcd" --bind-address="$KUBE_IP" --advertise-address="$KUBE_IP" \
    --secure-port="$KUBE_PORT" --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" \
    --token-auth-file="$pki/tokens.csv" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/accounts.key" \
    --service-account-signing-key-file="$pki/accounts.key" --service-cluster-ip-range="$KUBE_SERVICES" \
    --service-node-port-range="$((PORTS + 1000))-$((PORTS + 1700))" --allow-privileged=true \
    --kubelet-preferred-address-types=InternalIP \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-client-certificate="$pki/client.crt" \
    --kubelet-client-key="$pki/client.key"
  kubernetes_runtime
  [[ $KEEP ]] || kubernetes_sweep "docker.io/$KUBE_PAUSE" "docker.io/$IMAGE" "docker.io/$SMALL"
  kubernetes_has "$KUBE_PAUSE" || kubernetes_load "$KUBE_BIN/pause.tar"
  kubernetes_has "$IMAGE" || kubernetes_load "$IMAGE_FILE"
  kubernetes_has "$SMALL" || kubernetes_load "$SMALL_FILE"
  await kubernetes.apiserver 60 kubectl_here get --raw /readyz
  kube controllers kube-controller-manager --kubeconfig="$pki/system:kube-controller-manager.kubeconfig" \
    --service-account-private-key-file="$pki/accounts.key" --root-ca-file="$pki/ca.crt" \
    --use-service-account-credentials=true --leader-elect=false --kube-api-qps=200 --kube-api-burst=400 \
    --node-monitor-grace-period=20s --bind-address=127.0.0.1 --secure-port="$((PORTS + 257))"
  kube scheduler kube-scheduler --kubeconfig="$pki/system:kube-scheduler.kubeconfig" --leader-elect=false \
    --bind-address=127.0.0.1 --secure-port="$((PORTS + 259))"
  kube kubelet kubelet --config="$KUBE_DIR/kubelet.yaml" --kubeconfig="$pki/system:node:$KUBE_NODE.kubeconfig" \
    --hostname-override="$KUBE_NODE" --node-ip="$KUBE_IP" --root-dir="$KUBE_DIR/kubelet"
  kube proxy kube-proxy --kubeconfig="$pki/system:kube-proxy.kubeconfig" --hostname-override="$KUBE_NODE" \
    --proxy-mode=iptables --cluster-cidr="$KUBE_PODS" --conntrack-max-per-core=0 --oom-score-adj=0 \
    --healthz-bind-address="127.0.0.1:$((PORTS + 256))" --metrics-bind-address="127.0.0.1:$((PORTS + 249))"
  kubernetes_dns
  await kubernetes.controllers 60 healthy "https://127.0.0.1:$((PORTS + 257))"
  await kubernetes.scheduler 60 healthy "https://127.0.0.1:$((PORTS + 259))"
  await kubernetes.proxy 60 healthy "http://127.0.0.1:$((PORTS + 256))"
  await kubernetes.kubelet 60 healthy "http://127.0.0.1:$((PORTS + 248))"
  await kubernetes.kubelet 60 kubectl_here wait --for=condition=Ready "node/$KUBE_NODE" --timeout=0
  await kubernetes.controllers 60 kubectl_here get serviceaccount default
}

kubernetes_runtime() { # its containerd; what is said here of pods is what makes it one for a kubelet
  local told='
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "docker.io/'$KUBE_PAUSE'"
  disable_tcp_service = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "'$KUBE_DIR'/containerd/cni"
  max_conf_num = 1'
  alive kubernetes.containerd || runtime kubernetes.containerd "$KUBE_DIR/containerd" "$told"
}

kubernetes_sweep() { # [IMAGE-TO-KEEP...]
  logged kubernetes-sweep "$KUBE_BIN/cri-sweep" "unix://$KUBE_SOCKET" "$@"
}

healthy() { curl -fsSk "$1/healthz"; }

kubernetes_images() { ctr --address "$KUBE_SOCKET" --namespace k8s.io images "$@"; }

kubernetes_has() { [[ $(kubernetes_images list --quiet "name==docker.io/$1") ]]; }

kubernetes_load() { logged kubernetes-load kubernetes_images import "$1"; }

kubernetes_down() {
  local part known=
  for part in "${KUBERNETES_PARTS[@]}"; do
    [[ ! -e $RUN/$part.pid ]] || known=yes
  done
  [[ $known ]] || return 0
  finish kubernetes.{dns,apiserver,controllers,scheduler,proxy,kubelet,etcd}
  kubernetes_runtime
  kubernetes_sweep
  finish kubernetes.containerd
  logged kubernetes-cleanup "$KUBE_BIN/kube-proxy" --cleanup
  unmount_below "$KUBE_DIR"
  unbridge "$KUBE_NODE_BRIDGE"
  unbridge "$KUBE_POD_BRIDGE"
  [[ ! -e $KUBE_CHAINS ]] || unchain "$KUBE_NAMES" "$KUBE_CHAINS"
  kubernetes_left
  rm -f "$KUBE_CHAINS"
}

kubernetes_left() { # fails when something of the cluster is still on this host
  local left
  left=$(
    findmnt -rno TARGET | awk -v top="$KUBE_DIR/" 'index($0, top) == 1'
    [[ ! -e $KUBE_CHAINS ]] || chains "$KUBE_NAMES" | grep -vxFf "$KUBE_CHAINS"
    pgrep -af "^$KUBE_DIR/|$KUBE_SOCKET"
    find "$KUBE_DIR/ipam/codexsys" -name '[0-9]*' 2>/dev/null
  ) || true
  [[ ! $left ]] || die "left of the cluster: $left"
}

kubernetes_env() {
  echo "CODEXSYS_TEST_KUBECONFIG=$KUBE_CONFIG"
  echo "CODEXSYS_TEST_KUBECTL=$BIN/kubectl"
  echo "CODEXSYS_TEST_NODE_IP=$KUBE_IP"
  echo "CODEXSYS_TEST_IMAGE=$IMAGE"
  echo "CODEXSYS_TEST_SMALL_IMAGE=$SMALL"
}
