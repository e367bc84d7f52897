# --- what must hold before anything is changed ---

has_crd() { k get crd "$1" -o name >/dev/null 2>&1; }

# The operator's namespace, wherever it is.
find_operator() {
  local found
  [ -z "$(k get deployment slime-boot -n "$NAMESPACE" --ignore-not-found -o name 2>/dev/null)" ] || return 0
  found=$(k get deployments -A --field-selector metadata.name=slime-boot -o 'jsonpath={range .items[*]}{.metadata.namespace}{"\n"}{end}' 2>/dev/null)
  case $found in
    '' | *$'\n'*) ;;
    *) NAMESPACE=$found; note "The operator is in namespace $NAMESPACE." ;;
  esac
}

check_rights() {
  local denied
  denied=$(
    {
      for verb in list delete patch; do echo "$verb config.netease.com/slimeboots"; done
      for verb in list delete; do echo "$verb microservice.slime.io/servicefences"; done
      for verb in list delete; do echo "$verb networking.istio.io/sidecars"; done
      for resource in apiextensions.k8s.io/customresourcedefinitions rbac.authorization.k8s.io/clusterroles \
        rbac.authorization.k8s.io/clusterrolebindings /namespaces; do echo "delete $resource"; done
      [ "$MINOR" -lt 30 ] || echo "delete admissionregistration.k8s.io/validatingadmissionpolicies"
      for resource in /serviceaccounts /services apps/deployments policy/poddisruptionbudgets rbac.authorization.k8s.io/roles \
        rbac.authorization.k8s.io/rolebindings coordination.k8s.io/leases; do echo "delete $resource $NAMESPACE"; done
    } | denied_rights 2>/dev/null
  )
  [ -n "$denied" ] || { ok 'Rights: you may remove all of it'; return 0; }
  bad 'You lack rights:'
  printf '%s\n' "$denied" | detail
  echo '    Ask an administrator of the cluster for them, or to run this script. Nothing was changed.'
  exit 3
}
