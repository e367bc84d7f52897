# --- what must hold before anything is changed ---

check_istio() {
  local missing='' known kind found version broken='^(1\.9\.9|1\.10\.[56]|1\.11\.[4-7]|1\.12\.)'
  known=" $(k api-resources --api-group=networking.istio.io -o name 2>/dev/null | tr '\n' ' ')"
  for kind in envoyfilters sidecars destinationrules; do
    case $known in *" $kind.networking.istio.io "*) ;; *) missing="$missing $kind" ;; esac
  done
  if [ -n "$missing" ]; then
    bad "Istio is not installed: networking.istio.io lacks$missing. Install Istio first: https://istio.io/latest/docs/setup/"
    exit 3
  fi
  found=$(k get deployments -A -l app=istiod -o 'go-template={{range .items}}{{(index .spec.template.spec.containers 0).image}} {{.metadata.namespace}}/{{.metadata.name}}{{"\n"}}{{end}}' 2>/dev/null | head -1)
  version=$(printf '%s' "$found" | sed -n 's/^[^ ]*:v\{0,1\}\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p')
  if [ -z "$found" ]; then
    note 'Istio: its CRDs are here, but no Deployment with label app=istiod. Its version is not known; is the control plane elsewhere?'
  elif printf '%s' "$version" | grep -Eq "$broken"; then
    bad "Istio $version (${found#* }) does not remove virtual hosts by EnvoyFilter, so lazyload cannot work. Use 1.13 or newer."
    exit 3
  else
    ok "Istio ${version:-of unknown version} (${found#* })"
  fi
}

# A namespace that is going takes nothing. It goes by itself, unless SlimeBoots in it wait for an operator that went first.
check_namespace() {
  local deadline=$((SECONDS + TIMEOUT)) held
  [ "$(namespace_phase)" = Terminating ] || return 0
  held=$(k get slimeboots -n "$NAMESPACE" -o name 2>/dev/null)
  if [ -n "$held" ]; then
    bad "namespace $NAMESPACE is terminating, and held by SlimeBoots whose operator may be gone:"
    printf '%s\n' "$held" | detail
    echo '    Run easy_uninstall_lazyload.sh, which removes what they installed and lets them go; then run this again.'
    exit 3
  fi
  [ -z "$DRY_RUN" ] || { note "namespace $NAMESPACE is terminating: an installation would wait until it is gone."; return 0; }
  note "namespace $NAMESPACE is terminating; waiting until it is gone"
  while [ "$(namespace_phase)" = Terminating ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      bad "namespace $NAMESPACE is still terminating after $TIMEOUT s. What holds it:"
      k get namespace "$NAMESPACE" -o 'go-template={{range .status.conditions}}{{if eq .status "True"}}{{.message}}{{"\n"}}{{end}}{{end}}' 2>/dev/null | detail
      exit 3
    fi
    sleep 1
  done
  ok "namespace $NAMESPACE is gone and can be made anew"
}

namespace_phase() { k get namespace "$NAMESPACE" --ignore-not-found -o 'jsonpath={.status.phase}' 2>/dev/null; }

check_rights() {
  local denied resource verb
  denied=$(
    for verb in get create patch; do
      for resource in /namespaces apiextensions.k8s.io/customresourcedefinitions rbac.authorization.k8s.io/clusterroles \
        rbac.authorization.k8s.io/clusterrolebindings $([ "$MINOR" -lt 30 ] || echo admissionregistration.k8s.io/validatingadmissionpolicies admissionregistration.k8s.io/validatingadmissionpolicybindings); do
        echo "$verb $resource"
      done
      for resource in /serviceaccounts /services apps/deployments policy/poddisruptionbudgets rbac.authorization.k8s.io/roles \
        rbac.authorization.k8s.io/rolebindings config.netease.com/slimeboots; do
        echo "$verb $resource $NAMESPACE"
      done
    done | denied_rights 2>"$WORK/error"
  )
  if [ -s "$WORK/error" ]; then
    note 'Your rights cannot be asked for; the cluster will tell while applying:'
    detail <"$WORK/error"
    return 0
  fi
  # Nobody may grant what he has not: the API server says what lacks for the operator's roles.
  if [ -z "$denied" ]; then
    documents keep ClusterRole <"$WORK/deploy.yaml" | k apply --server-side --force-conflicts --dry-run=server -f - >/dev/null 2>"$WORK/error" || denied=$(cat "$WORK/error")
  fi
  [ -n "$denied" ] || { ok 'Rights: you may apply all of it'; return 0; }
  bad 'You lack rights:'
  printf '%s\n' "$denied" | detail
  echo '    Ask an administrator of the cluster for them, or to run this script. Nothing was changed.'
  exit 3
}
