# Sourced by the other scripts. All paths come from the environment.
lab=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${E2E_CACHE:-$HOME/.cache/imprest-e2e}    # what `build` made; kept from run to run
bin=$cache/bin
run=${E2E_DIR:-$cache/cluster}                  # scratch: certificates, logs, etcd's data, pods' folders
node=${E2E_NODE:-1}                             # 0: API server, controllers and scheduler alone, without root
node_ip=10.89.0.1                               # the node, and this machine as pods see it
export PATH=$bin:$PATH KUBECONFIG=$run/kubeconfig

# ours NAME TEXT: prints the process in pid/NAME if it still is the one that was started: its command line holds TEXT.
ours() {
  local p
  p=$(cat "$run/pid/$1" 2>/dev/null) && [ -n "$p" ] && [ -e "/proc/$p/cmdline" ] || return 1
  tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -qF -- "$2" && echo "$p"
}

# holder: prints the process that holds the cluster's namespaces, by its number outside of them.
holder() { ours holder "lab/holder $run "; }

# in_lab COMMAND…: runs it inside the cluster's mount, network and process namespaces, in the caller's folder.
in_lab() {
  local p
  if p=$(holder); then
    nsenter -t "$p" -m -n -p -- bash -c 'cd "$0" && exec "$@"' "$PWD" "$@"
  elif ours etcd "$run/etcd" >/dev/null; then
    "$@"
  else
    echo "no cluster is up in $run" >&2
    return 1
  fi
}
