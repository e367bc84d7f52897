# --- what SlimeBoots own, where the operator does not remove it ---

# Lists "apiVersion Kind namespace name catch-all finalizers" of every object that a SlimeBoot owns: our annotation names the object
# itself, or it is of the Helm release of a SlimeBoot that the earlier operator served. Not what deletion-policy "orphan" keeps.
owned_objects() {
  local served kept
  kept=" $(k get "$BOOTS" -A -o 'jsonpath={range .items[?(@.metadata.annotations.config\.netease\.com/deletion-policy=="orphan")]}{.metadata.namespace}/{.metadata.name} {end}' 2>/dev/null)"
  served=" $(list_boots | grep -E "${HELM_FINALIZERS// /|}" | awk '{ printf "%s/%s ", $1, $2 }')"
  {
    list_marked config.netease.com/slimeboot
    [ "$served" = ' ' ] || list_marked app.kubernetes.io/managed-by=Helm
  } | awk -v served="$served" -v kept="$kept" '
    {
      group = index($1, "/") ? substr($1, 1, index($1, "/") - 1) : ""
      namespace = $3 == "-" ? "" : $3
      self = group "/" $2 "/" namespace "/" $4
      ours = substr($5, index($5, "=") + 1) == self && index($5, "=") > 0
      helm = $5 == "-" && index(served, " " $7 "/" $8 " ") > 0 && ($10 == $7 "/" $8 || ($3 == $7 && $11 == $8))
    }
    index(kept, " " substr($5, 1, index($5, "=") - 1) " ") > 0 { next }
    (ours || helm) && !seen[self]++ { print $1, $2, $3, $4, $6, $9 }'
}

# Those of KINDS that the cluster knows, comma separated: one unknown kind would fail the whole list.
known_kinds() {
  local kind known
  known=" $(k api-resources -o name 2>/dev/null | tr '\n' ' ')"
  for kind in $KINDS; do
    case $known in *" $kind "*) printf '%s,' "$kind" ;; esac
  done
}

# Objects with the label $1: apiVersion Kind namespace name owned catch-all release-namespace release-name finalizers,
# and for whom the earlier operator made it: primary-resource and owner. Helm's marks alone may be of somebody's own release.
list_marked() {
  k get "${KNOWN_KINDS%,}" -A -l "$1" -o 'go-template={{range .items}}{{.apiVersion}} {{.kind}} {{or .metadata.namespace "-"}} {{.metadata.name}}{{with .metadata.annotations}} {{or (index . "config.netease.com/owned") "-"}} {{or (index . "config.netease.com/catch-all") "-"}} {{or (index . "meta.helm.sh/release-namespace") "-"}} {{or (index . "meta.helm.sh/release-name") "-"}}{{else}} - - - -{{end}} {{range .metadata.finalizers}}{{.}},{{else}}-{{end}}{{with .metadata.annotations}} {{or (index . "operator-sdk/primary-resource") "-"}}{{else}} -{{end}} {{range .metadata.ownerReferences}}{{if eq .kind "SlimeBoot"}}{{.name}}{{end}}{{end}}{{"\n"}}{{end}}' 2>"$WORK/error" ||
    keep_error
}

# The operator's removal order: catch-alls, a pause for the proxies, Deployments, and the rest when their pods are gone.
remove_owned() {
  local deadline
  : >"$WORK/refused"
  KNOWN_KINDS=$(known_kinds)
  owned_objects >"$WORK/owned"
  [ -s "$WORK/owned" ] || return 0
  awk '$5 != "-"' "$WORK/owned" | as_manifests | remove_manifests
  # A release of the earlier operator has no such mark.
  awk '$2 == "EnvoyFilter" && $4 == "to-global-sidecar"' "$WORK/owned" | as_manifests | remove_manifests
  if grep -q ' Deployment [^ ]* global-sidecar ' "$WORK/owned" && grep -q ' EnvoyFilter [^ ]* to-global-sidecar ' "$WORK/owned"; then sleep "$SETTLE"; fi
  awk '$2 == "Deployment"' "$WORK/owned" | as_manifests | remove_manifests
  deadline=$((SECONDS + 30))
  while [ -n "$(k get pods -A -l app=qz-ingress -o name 2>/dev/null)" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 1; done
  awk '$2 != "Deployment" && $2 != "ClusterRoleBinding"' "$WORK/owned" | as_manifests | remove_manifests
  awk '$2 == "ClusterRoleBinding"' "$WORK/owned" | as_manifests | remove_manifests
  ok "$(wc -l <"$WORK/owned" | tr -d ' ') objects of SlimeBoots are deleted"
}

# What a SlimeBoot owns and is still there, each with what blocks it.
owned_survivors() {
  owned_objects | awk '{
    id = $2 "/" ($3 == "-" ? "" : $3 "/") $4
    printf "%s: %s\n", id, $6 == "-" || $6 == "foregroundDeletion," ? "still there; your rights or the API server refused, see below" : "finalizer " substr($6, 1, length($6) - 1) }'
}

# Lets SlimeBoots go of which nothing is left: takes our finalizer and the earlier operator's two, leaves others.
release_boots() {
  local namespace name version finalizers finalizer rest
  while read -r namespace name version finalizers; do
    [ -n "$name" ] || continue
    rest=''
    for finalizer in ${finalizers//,/ }; do
      case " config.netease.com/slimeboot $HELM_FINALIZERS " in *" $finalizer "*) ;; *) rest="$rest${rest:+,}\"$finalizer\"" ;; esac
    done
    k patch "$BOOTS" "$name" -n "$namespace" --type=json \
      -p "[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"$version\"},{\"op\":\"add\",\"path\":\"/metadata/finalizers\",\"value\":[$rest]}]" \
      >/dev/null 2>"$WORK/error" </dev/null || keep_error
    # The earlier operator's records of its releases.
    case ",$finalizers" in
      *uninstall*) k delete secrets -n "$namespace" --field-selector type=helm.sh/release.v1 -l "owner=helm,name=$name" >/dev/null 2>&1 </dev/null ;;
    esac
  done <<<"$(list_boots)"
}

remove_what_boots_own() {
  local left='' deadline=$((SECONDS + 20))
  remove_owned
  # What only foreign finalizers hold is not waited for.
  while [ -s "$WORK/owned" ] && left=$(owned_survivors) && printf '%s' "$left" | grep -q ': still there' && [ "$SECONDS" -lt "$deadline" ]; do sleep 1; done
  if [ -n "$left" ]; then
    if [ -z "$FORCE" ]; then
      bad 'These objects of SlimeBoots cannot be deleted:'
      printf '%s\n' "$left" | detail
      [ ! -s "$WORK/refused" ] || detail <"$WORK/refused"
      echo '    Whoever set a finalizer must let go; for a refusal get the right named. Then run this again. Or --force lets the SlimeBoots go and leaves these objects behind.'
      exit 4
    fi
    note 'Orphaned because of --force; nobody looks after these objects any more:'
    printf '%s\n' "$left" | tee "$WORK/orphans" | detail
  fi
  [ -n "$(list_boots)" ] || return 0
  deadline=$((SECONDS + 20))
  while [ -n "$(list_boots)" ] && [ "$SECONDS" -lt "$deadline" ]; do
    release_boots
    [ -z "$(list_boots)" ] || sleep 1
  done
  left=$(list_boots | awk '{ print "SlimeBoot/" $1 "/" $2 ": finalizer " $4 }')
  if [ -n "$left" ]; then
    bad 'SlimeBoots that cannot go:'
    printf '%s\n' "$left" | detail
    [ ! -s "$WORK/refused" ] || detail <"$WORK/refused"
    exit 4
  fi
  ok 'SlimeBoots are gone'
}
