# --- the earlier, Helm-based operator ---

# Sets EARLIER to the image of the Helm-based operator where that is what runs, TAKEN to the SlimeBoots that it serves.
look_for_earlier_operator() {
  local found
  EARLIER='' TAKEN=''
  found=$(k get deployment slime-boot -n "$NAMESPACE" --ignore-not-found -o 'go-template={{with (index .spec.template.spec.containers 0)}}{{.image}} {{range .args}}{{.}} {{end}}{{end}}' 2>/dev/null)
  case $found in '' | *' run '*) ;; *) EARLIER=${found%% *} ;; esac
  TAKEN=$(k get slimeboots -A -o 'go-template={{range .items}}{{.metadata.namespace}} {{.metadata.name}} {{range .metadata.finalizers}}{{.}} {{end}}{{"\n"}}{{end}}' 2>/dev/null | grep -E "${HELM_FINALIZERS// /|}" | cut -d' ' -f1,2)
  [ -n "$EARLIER" ] || return 0
  note "The earlier, Helm-based operator is here ($EARLIER). It is replaced in place; what it installed is taken over and no pod restarts."
}

# Two operators would undo each other's work: the earlier one ends first. Its binding to cluster-admin cannot be changed, only made anew.
stop_earlier_operator() {
  local deadline=$((SECONDS + 60)) role
  if [ -n "$EARLIER" ]; then
    k scale deployment slime-boot -n "$NAMESPACE" --replicas=0 >/dev/null || stopped 'The earlier operator could not be stopped.'
    while [ -n "$(k get pods -n "$NAMESPACE" -l name=slime-boot -o name)" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 1; done
    ok 'The earlier operator is stopped'
  fi
  role=$(k get clusterrolebinding slime-boot --ignore-not-found -o 'jsonpath={.roleRef.name}' 2>/dev/null)
  case $role in
    '' | slime-boot) ;;
    *) k delete clusterrolebinding slime-boot >/dev/null || stopped 'The earlier binding could not be deleted.'
      ok "ClusterRoleBinding slime-boot to $role is removed" ;;
  esac
}

# The earlier operator's records of its releases serve nobody any more once a SlimeBoot is taken over.
remove_release_secrets() {
  local namespace name finalizers secrets
  while read -r namespace name; do
    [ -n "$name" ] || continue
    finalizers=$(k get slimeboot "$name" -n "$namespace" -o 'jsonpath={.metadata.finalizers}' 2>/dev/null)
    if printf '%s' "$finalizers" | grep -Eq "${HELM_FINALIZERS// /|}"; then
      note "SlimeBoot $namespace/$name still has a finalizer of the earlier operator; run this again when it is Ready."
      continue
    fi
    secrets=$(k get secrets -n "$namespace" --field-selector type=helm.sh/release.v1 -l "owner=helm,name=$name" -o name 2>/dev/null)
    # shellcheck disable=SC2086 # one word for each Secret
    [ -z "$secrets" ] || k delete -n "$namespace" $secrets >/dev/null || note "Helm's release Secrets in namespace $namespace could not be deleted; they do no harm."
    ok "SlimeBoot $namespace/$name is taken over from the earlier operator"
  done <<<"$TAKEN"
}
