# --- ServiceFences and their Sidecars ---

# The lazyload controllers would make the ServiceFences of labelled namespaces anew while they are deleted.
stop_controllers() {
  local namespace name deadline
  k annotate slimeboots --all -A --overwrite config.netease.com/suspend=true >/dev/null 2>&1
  k get deployments -A -l config.netease.com/slimeboot -o 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name} {.spec.template.spec.containers[0].name}{"\n"}{end}' 2>/dev/null |
    grep ' slime$' >"$WORK/controllers"
  while read -r namespace name _; do
    k scale deployment "$name" -n "$namespace" --replicas=0 >/dev/null 2>&1 </dev/null
  done <"$WORK/controllers"
  deadline=$((SECONDS + 30))
  while read -r namespace name _; do
    while [ -n "$(k get pods -n "$namespace" -l "app=$name" -o name 2>/dev/null </dev/null)" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.5; done
  done <"$WORK/controllers"
}

# The Sidecars of fences go before the catch-all that serves their pods, as the operator does it: some a second, because istiod then
# sends the pods of each the whole mesh.
let_go_of_fences() {
  local total gone=0
  fence_sidecars >"$WORK/sidecars"
  total=$(wc -l <"$WORK/sidecars" | tr -d ' ')
  [ "$total" -gt 0 ] || return 0
  while [ "$gone" -lt "$total" ]; do
    [ "$gone" -eq 0 ] || sleep 1
    sed -n "$((gone + 1)),$((gone + SIDECARS_PER_SECOND))p" "$WORK/sidecars" | as_manifests | remove_manifests
    gone=$((gone + SIDECARS_PER_SECOND))
    [ "$gone" -le "$total" ] || gone=$total
    echo "$gone of $total Sidecars let go" | detail
  done
}

# One YAML list that can be applied again: without status and what the API server sets.
save_fences() {
  local count
  count=$(k get "$FENCES" -A -o name 2>/dev/null | wc -l | tr -d ' ')
  [ "$count" -gt 0 ] || { ok 'There are no ServiceFences'; return 0; }
  [ -n "$SAVE" ] || SAVE=servicefences-$(date +%Y%m%d-%H%M%S).yaml
  if ! k get "$FENCES" -A -o yaml 2>"$WORK/error" | awk '
    /^  [a-zA-Z]+:/ || /^- / { section = $1 == "-" ? $2 : $1; dropped = 0 }
    /^    [a-zA-Z]+:/ && section == "metadata:" { dropped = $1 ~ /^(creationTimestamp|generation|managedFields|ownerReferences|resourceVersion|selfLink|uid|finalizers|deletionTimestamp|deletionGracePeriodSeconds):$/ }
    section == "status:" && !/^[a-z]/ || dropped && section == "metadata:" { next }
    { print }' >"$SAVE" || [ -s "$WORK/error" ]; then
    bad "ServiceFences could not be saved to $SAVE; nothing was deleted."
    detail <"$WORK/error"
    exit 1
  fi
  ok "$count ServiceFences are saved to $SAVE"
}

# Deletes ServiceFences, or with --keep-fences the Sidecars that they own. Without ServiceFences no application's view is narrowed any more.
remove_fences() {
  local left deadline=$((SECONDS + 4))
  if [ -n "$KEEP_FENCES" ]; then
    fence_sidecars | as_manifests | remove_manifests
  elif [ "$(k get "$FENCES" -A -o name 2>/dev/null | wc -l)" -gt 0 ]; then
    k delete "$FENCES" --all -A --wait=false >/dev/null 2>"$WORK/error" || keep_error
  else
    [ -n "$(fence_sidecars)" ] || return 0
  fi
  while left=$(fence_sidecars) && [ -n "$left" ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      # The garbage collector may be late or gone.
      printf '%s\n' "$left" | as_manifests | remove_manifests
      break
    fi
    sleep 0.5
  done
}

# "apiVersion Kind namespace name" of each Sidecar that a ServiceFence owns.
fence_sidecars() {
  # shellcheck disable=SC2016 # the $ is of the template
  k get sidecars.networking.istio.io -A -o 'go-template={{range .items}}{{$item := .}}{{range .metadata.ownerReferences}}{{if eq .kind "ServiceFence"}}{{$item.apiVersion}} {{$item.kind}} {{$item.metadata.namespace}} {{$item.metadata.name}}{{"\n"}}{{end}}{{end}}{{end}}' 2>/dev/null
}
