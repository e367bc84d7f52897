#!/usr/bin/env bash
# Removes lazyload, what SlimeBoots installed, the operator and its CustomResourceDefinitions. Needs bash (3.2 or newer) and kubectl.
# The names of the operator's objects are in this file (a test compares them with deploy/slimeboot.yaml), so nothing is fetched.
#
#   scripts/easy_uninstall_lazyload.sh
#   /bin/bash -c "$(curl -fsSL …/easy_uninstall_lazyload.sh)"
#
# docs/uninstall.md tells of each step. Everything is inside functions, so that a script that was cut off while loading does nothing.
#
# Made of scripts/parts/ by "npm run build": edit there.
set -uo pipefail

# --- the same in easy_install_lazyload.sh and easy_uninstall_lazyload.sh ---

# Where the files of a release are: $BASE_URL/<tag or commit>/<path>.
BASE_URL=${SLIMEBOOT_BASE_URL:-https://raw.githubusercontent.com/slime-io/lazyload}
DEFAULT_NAMESPACE=mesh-operator
NAMESPACE=$DEFAULT_NAMESPACE
CONTEXT=
HELM_FINALIZERS='helm.sdk.operatorframework.io/uninstall-release uninstall-helm-release'
WORK=
# This file; empty when it came through -c or a pipe.
SCRIPT=${BASH_SOURCE[0]-}

if [ -t 1 ]; then GREEN=$'\033[32m' RED=$'\033[31m' YELLOW=$'\033[33m' PLAIN=$'\033[0m'; else GREEN='' RED='' YELLOW='' PLAIN=''; fi
ok() { printf '%s✔%s %s\n' "$GREEN" "$PLAIN" "$1"; }
bad() { printf '%s✘%s %s\n' "$RED" "$PLAIN" "$1"; }
note() { printf '%s!%s %s\n' "$YELLOW" "$PLAIN" "$1"; }
detail() { while IFS= read -r line; do [ -z "$line" ] || printf '    %s\n' "$line"; done; }
usage_error() { printf '%s\nTry --help.\n' "$1" >&2; exit 2; }

# A request that hangs is given up: the script always ends.
k() { kubectl ${CONTEXT:+--context="$CONTEXT"} --request-timeout=30s "$@"; }

make_work_folder() {
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/slimeboot.XXXXXX") || exit 1
  trap 'rm -rf "$WORK"' EXIT
  trap 'exit 130' INT TERM
}

# Run as `bash -c "$(curl …)" TAG` the first argument is $0.
first_argument() {
  [ -z "$SCRIPT" ] || return 0
  case $0 in -- | bash | sh | -bash | -sh | */bash | */sh) ;; *) printf '%s' "$0" ;; esac
}

# Folder of a checkout or an unpacked release that this file is part of; empty when it was piped or fetched.
own_folder() {
  local folder
  [ -f "$SCRIPT" ] || return 0
  folder=$(cd "$(dirname "$SCRIPT")/.." 2>/dev/null && pwd) || return 0
  [ -f "$folder/deploy/slimeboot.yaml" ] && printf '%s' "$folder"
}

check_tag() {
  case $1 in
    -* | *..* | *[!A-Za-z0-9._/-]*) usage_error "\"$1\" is no tag or commit." ;;
  esac
}

need_curl() {
  command -v curl >/dev/null && return 0
  bad 'curl is needed to fetch the files of a release. Or run this script from an unpacked release.'
  exit 3
}

# Writes $1 to the file $2; prints the HTTP status, 000 when there was no answer.
download() {
  curl -sSL --connect-timeout 15 --max-time 120 -o "$2" -w '%{http_code}' "$1" 2>"$WORK/curl" || true
}

# Fetches $2 of the release $1 to the file $3.
fetch() {
  local url=$BASE_URL/$1/$2 code
  need_curl
  code=$(download "$url" "$3")
  [ "$code" = 200 ] && return 0
  bad "$url: $([ "$code" = 000 ] && cat "$WORK/curl" || echo "HTTP $code")"
  case $code in
    404) echo "    There is no such file at \"$1\". Is the tag or commit right?" ;;
    *) echo '    Nothing was changed. Try again, set SLIMEBOOT_BASE_URL to a mirror, or run this script from an unpacked release.' ;;
  esac
  exit 1
}

check_kubectl() {
  local version
  command -v kubectl >/dev/null || { bad 'kubectl is not installed: https://kubernetes.io/docs/tasks/tools/'; exit 3; }
  version=$(kubectl version --client 2>/dev/null | sed -n 's/.*\(v[0-9][0-9.]*\).*/\1/p' | head -1)
  ok "kubectl ${version:-of unknown version}"
}

# Sets MINOR, the minor version of Kubernetes 1.x.
check_cluster() {
  local answer version
  if ! answer=$(k get --raw /version 2>"$WORK/error"); then
    bad 'the cluster does not answer:'
    detail <"$WORK/error"
    echo '    Check "kubectl cluster-info", KUBECONFIG and --context.'
    exit 3
  fi
  version=$(printf '%s' "$answer" | sed -n 's/.*"gitVersion": *"\([^"]*\)".*/\1/p')
  MINOR=$(printf '%s' "$answer" | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p')
  MINOR=${MINOR:-0}
  ok "Kubernetes $version at $(kubectl ${CONTEXT:+--context="$CONTEXT"} config view --minify -o 'jsonpath={.clusters[0].cluster.server}')"
}

# Asks for all rights at once. Standard input: lines "VERB GROUP/RESOURCE [NAMESPACE]", GROUP empty for the core group. Prints what is denied.
denied_rights() {
  local verb resource namespace
  while read -r verb resource namespace; do
    printf -- '---\napiVersion: authorization.k8s.io/v1\nkind: SelfSubjectAccessReview\nmetadata: {}\nspec:\n  resourceAttributes: {verb: %s, group: "%s", resource: %s, namespace: "%s"}\n' \
      "$verb" "${resource%%/*}" "${resource#*/}" "${namespace-}"
  done | k create --validate=false -f - -o 'go-template={{if not .status.allowed}}{{with .spec.resourceAttributes}}{{.verb}} {{.resource}}{{with .group}}.{{.}}{{end}}{{with .namespace}} in namespace {{.}}{{end}}{{"\n"}}{{end}}{{end}}'
}

# --- end of what is the same ---

# --- names of what is removed ---

FENCES=servicefences.microservice.slime.io
BOOTS=slimeboots.config.netease.com
# Kinds that a SlimeBoot becomes (operator/api/kinds.ts).
KINDS='envoyfilters.networking.istio.io deployments.apps services configmaps sidecars.networking.istio.io destinationrules.networking.istio.io
  networkpolicies.networking.k8s.io poddisruptionbudgets.policy serviceaccounts rolebindings.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io'
# The operator's objects: "apiVersion Kind name", those in its namespace with a leading dot.
OPERATOR_OBJECTS='
  rbac.authorization.k8s.io/v1 ClusterRoleBinding slime-boot
  rbac.authorization.k8s.io/v1 ClusterRoleBinding slime-boot-objects
  rbac.authorization.k8s.io/v1 ClusterRole slime-boot
  rbac.authorization.k8s.io/v1 ClusterRole slime-boot-objects
  rbac.authorization.k8s.io/v1 ClusterRole slime-lazyload
  rbac.authorization.k8s.io/v1 ClusterRole slime-lazyload-reader
  rbac.authorization.k8s.io/v1 ClusterRole slime-lazyload-leases
  rbac.authorization.k8s.io/v1 ClusterRole slime-global-sidecar-pilot
  rbac.authorization.k8s.io/v1 ClusterRole slimeboot-installer
  rbac.authorization.k8s.io/v1 ClusterRole slimeboot-binder
  .apps/v1 Deployment slime-boot
  .policy/v1 PodDisruptionBudget slime-boot
  .v1 Service slime-boot
  .rbac.authorization.k8s.io/v1 RoleBinding slime-boot
  .rbac.authorization.k8s.io/v1 Role slime-boot
  .coordination.k8s.io/v1 Lease slime-boot
  .v1 ServiceAccount slime-boot'
POLICIES='slimeboot-marks slimeboot-namespaces slimeboot-roles slimeboot-spec'

# --- arguments ---

TIMEOUT=300
PATIENCE=45
SETTLE=10
SIDECARS_PER_SECOND=20
KEEP_FENCES=
FORCE=
SAVE=
TAG=
MINOR=0

usage() {
  cat <<'USAGE'
Usage: easy_uninstall_lazyload.sh [tag-or-commit] [options]

Removes, in this order: the Sidecars of ServiceFences, 20 a second; ServiceFences (saved to a file first); SlimeBoots with everything they installed; the
operator; CustomResourceDefinitions of which nothing is left; the namespace if nothing else lives in it. Run again, it goes on.
An operator that does not answer is not waited for: its work is done here, with your rights.

  tag-or-commit            run the uninstall script of that release instead of this one
  --keep-fences            keep ServiceFences and their CustomResourceDefinition; their Sidecars are deleted, nobody would maintain them
  --save FILE              where ServiceFences are saved (default ./servicefences-<time>.yaml); "kubectl apply -f FILE" brings them back
  --force                  let SlimeBoots go even if something they installed cannot be deleted; what is orphaned is listed
  --namespace NS           where the operator runs (default mesh-operator, or where it is found)
  --context NAME           context of the kubeconfig
  --timeout SECONDS        how long to wait for the SlimeBoots, and for the namespace (default 300)
  --operator-timeout SECONDS  an operator that shows no sign for this time does not answer (default 45)
  --mesh-settle SECONDS    time between removing a catch-all and the global-sidecar behind it, where this script does it (default 10)
  -h, --help

Exit codes: 0 nothing is left; 1 the files could not be got or ServiceFences not saved; 2 wrong arguments;
3 something is missing and nothing was changed; 4 something survived, it is listed with what blocks it.
USAGE
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --save | --namespace | --context | --timeout | --operator-timeout | --mesh-settle) [ $# -gt 1 ] || usage_error "$1 needs a value." ;;
    esac
    case $1 in
      --save) SAVE=$2; shift ;;
      --namespace) NAMESPACE=$2; shift ;;
      --context) CONTEXT=$2; shift ;;
      --timeout) TIMEOUT=${2%s}; shift ;;
      --operator-timeout) PATIENCE=${2%s}; shift ;;
      --mesh-settle) SETTLE=${2%s}; shift ;;
      --keep-fences) KEEP_FENCES=yes ;;
      --force) FORCE=yes ;;
      --) ;;
      -*) usage_error "Unknown option $1." ;;
      *) [ -z "$TAG" ] || usage_error "One tag or commit only, not \"$TAG\" and \"$1\"."; TAG=$1; check_tag "$TAG" ;;
    esac
    shift
  done
  case $TIMEOUT,$PATIENCE,$SETTLE in *[!0-9,]* | *,,* | ,* | *,) usage_error 'Times are whole seconds.' ;; esac
  case $NAMESPACE in '' | *[!a-z0-9-]*) usage_error "\"$NAMESPACE\" is no name of a namespace." ;; esac
}

# Each release knows best what it installed.
run_script_of_release() {
  local arguments=() argument
  fetch "$TAG" scripts/easy_uninstall_lazyload.sh "$WORK/uninstall.sh"
  ok "Release $TAG"
  for argument in "$@"; do [ "$argument" = "$TAG" ] || arguments+=("$argument"); done
  bash "$WORK/uninstall.sh" ${arguments[@]+"${arguments[@]}"}
  exit
}

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

# --- deleting by manifests that name just the objects ---

# Lines "apiVersion Kind namespace name" (namespace "-" for none) to manifests that name just that.
as_manifests() {
  awk 'NF >= 4 { printf "---\napiVersion: %s\nkind: %s\nmetadata:\n  name: \"%s\"\n", $1, $2, $4; if ($3 != "-") printf "  namespace: \"%s\"\n", $3 }'
}

# Deletes what standard input names; what is refused is kept for the report.
remove_manifests() {
  cat >"$WORK/delete.yaml"
  [ -s "$WORK/delete.yaml" ] || return 0
  k delete --ignore-not-found --wait=false -f "$WORK/delete.yaml" >/dev/null 2>"$WORK/error" || keep_error
}

# Kinds that the cluster does not know have no objects.
keep_error() {
  grep -Ev "no matches for kind|doesn't have a resource type|ensure CRDs are installed first|^Warning:" "$WORK/error" >>"$WORK/refused"
}

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

# --- SlimeBoots, with an operator that does its work ---

# "namespace name resourceVersion finalizer,…" of each SlimeBoot.
list_boots() {
  k get "$BOOTS" -A -o 'go-template={{range .items}}{{.metadata.namespace}} {{.metadata.name}} {{.metadata.resourceVersion}} {{range .metadata.finalizers}}{{.}},{{end}}{{"\n"}}{{end}}' 2>/dev/null
}

# "observedGeneration is generation: yes/no", reason and message of Ready, for each SlimeBoot.
boot_states() {
  # shellcheck disable=SC2016 # the $ is of the template
  k get "$BOOTS" -A -o 'go-template={{range .items}}{{$g := .metadata.generation}}{{$n := printf "%s/%s" .metadata.namespace .metadata.name}}{{with .status}}{{range .conditions}}{{if eq .type "Ready"}}{{if eq (printf "%v" .observedGeneration) (printf "%v" $g)}}{{.reason}} {{$n}}: {{.message}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}{{end}}' 2>/dev/null
}

# Why the operator cannot answer; empty when it may.
operator_problem() {
  local phase available
  phase=$(k get namespace "$NAMESPACE" --ignore-not-found -o 'jsonpath={.status.phase}' 2>/dev/null)
  case $phase in
    '') echo "namespace $NAMESPACE is gone"; return 0 ;;
    Terminating) echo "namespace $NAMESPACE is terminating"; return 0 ;;
  esac
  available=$(k get deployment slime-boot -n "$NAMESPACE" --ignore-not-found -o 'go-template={{or .status.availableReplicas 0}}' 2>/dev/null)
  case $available in
    '') echo "there is no Deployment $NAMESPACE/slime-boot" ;;
    0) echo "Deployment $NAMESPACE/slime-boot has no available replica" ;;
  esac
}

# Deletes SlimeBoots and waits for the operator; what it cannot do is done here.
remove_boots() {
  local problem deadline=$((SECONDS + TIMEOUT)) seen='' now states since=$SECONDS said=''
  [ -n "$(list_boots)" ] || { ok 'There are no SlimeBoots'; return 0; }
  problem=$(operator_problem)
  k delete "$BOOTS" --all -A --wait=false >/dev/null 2>"$WORK/error" || keep_error
  while [ -z "$problem" ]; do
    now=$(list_boots)
    [ -n "$now" ] || { ok 'SlimeBoots and what they installed are gone'; return 0; }
    states=$(boot_states)
    if [ "$now" != "$seen" ]; then seen=$now; since=$SECONDS; fi
    if [ -n "$states" ] && [ "$states" != "$said" ]; then said=$states; printf '%s\n' "$states" | detail; fi
    if [ $((SECONDS - since)) -ge "$PATIENCE" ]; then
      case $states in
        '') problem="no sign of it for $PATIENCE s" ;;
        *DeleteBlocked* | *Stalled* | *OldOperatorRunning*) problem='it is blocked' ;;
      esac
    fi
    [ "$SECONDS" -lt "$deadline" ] || problem="not done after $TIMEOUT s"
    [ -n "$problem" ] || sleep 1
  done
  note "The operator does not do it ($problem): removing what SlimeBoots installed with your rights"
}

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

# --- the operator, its CustomResourceDefinitions and its namespace ---

remove_operator() {
  local policy version kind name deadline=$((SECONDS + 15))
  : >"$WORK/refused"
  # Its pods first: they end, and give their Lease back, while they have their rights.
  echo "apps/v1 Deployment $NAMESPACE slime-boot" | as_manifests | remove_manifests
  while [ -n "$(k get pods -n "$NAMESPACE" -l name=slime-boot -o name 2>/dev/null)" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.2; done
  if [ "$MINOR" -ge 30 ]; then
    for policy in $POLICIES; do
      printf 'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding - %s\nadmissionregistration.k8s.io/v1 ValidatingAdmissionPolicy - %s\n' "$policy" "$policy"
    done | as_manifests | remove_manifests
  fi
  while read -r version kind name; do
    case $version in '') ;; .*) echo "${version#.} $kind $NAMESPACE $name" ;; *) echo "$version $kind - $name" ;; esac
  done <<<"$OPERATOR_OBJECTS" | as_manifests | remove_manifests
  if [ -s "$WORK/refused" ]; then
    bad 'The operator cannot be removed:'
    detail <"$WORK/refused"
    exit 4
  fi
  ok 'The operator is removed'
}

# A CustomResourceDefinition goes with the last of its objects.
remove_crd() {
  local crd=$1 left deadline=$((SECONDS + 60))
  has_crd "$crd" || return 0
  left=$(k get "$crd" -A -o 'go-template={{range .items}}{{.kind}}/{{.metadata.namespace}}/{{.metadata.name}}: finalizer {{range .metadata.finalizers}}{{.}} {{else}}none{{end}}{{"\n"}}{{end}}' 2>"$WORK/error") || left=$(cat "$WORK/error")
  if [ -n "$left" ]; then
    if [ "$crd" = "$FENCES" ] && [ -n "$KEEP_FENCES" ]; then ok "ServiceFences and their CustomResourceDefinition are kept ($(printf '%s\n' "$left" | wc -l | tr -d ' '))"; return 0; fi
    survivor "CustomResourceDefinition/$crd stays for:" "$left"
    return 0
  fi
  k delete crd "$crd" --wait=false >/dev/null 2>"$WORK/error"
  while has_crd "$crd"; do
    if [ "$SECONDS" -ge "$deadline" ]; then survivor "CustomResourceDefinition/$crd is not gone after 60 s:" "$(cat "$WORK/error")"; return 0; fi
    sleep 0.5
  done
  ok "CustomResourceDefinition $crd is removed"
}

# What nobody makes by hand: it comes with every namespace, or follows an owner.
foreign_objects() {
  local kinds
  kinds=$(k api-resources --namespaced --verbs=list -o name 2>"$WORK/error" | grep -Ev '^(events(\.events\.k8s\.io)?|endpoints|pods\.metrics\.k8s\.io)$' | tr '\n' ',')
  [ ! -s "$WORK/error" ] || { detail <"$WORK/error"; return 0; }
  k get "${kinds%,}" -n "$NAMESPACE" --ignore-not-found -o 'go-template={{range .items}}{{if not .metadata.ownerReferences}}{{.kind}} {{.metadata.name}}{{with .type}} {{.}}{{end}}{{"\n"}}{{end}}{{end}}' 2>&1 |
    grep -Ev '^(ConfigMap (kube-root-ca\.crt|istio-ca-root-cert|istio-ca-crl)|ServiceAccount default|Secret .* kubernetes\.io/service-account-token|Lease .*|No resources found.*)$' | grep .
}

remove_namespace() {
  local foreign deadline=$((SECONDS + TIMEOUT)) phase
  phase=$(k get namespace "$NAMESPACE" --ignore-not-found -o 'jsonpath={.status.phase}' 2>/dev/null)
  [ -n "$phase" ] || { ok "There is no namespace $NAMESPACE"; return 0; }
  if [ "$phase" != Terminating ]; then
    foreign=$(foreign_objects)
    if [ -n "$foreign" ]; then
      note "Namespace $NAMESPACE is kept, other things live in it:"
      printf '%s\n' "$foreign" | detail
      return 0
    fi
    k delete namespace "$NAMESPACE" --wait=false >/dev/null 2>"$WORK/error" || { survivor "Namespace/$NAMESPACE:" "$(cat "$WORK/error")"; return 0; }
  fi
  while k get namespace "$NAMESPACE" -o name >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      survivor "Namespace/$NAMESPACE is still terminating after $TIMEOUT s:" \
        "$(k get namespace "$NAMESPACE" -o 'go-template={{range .status.conditions}}{{if eq .status "True"}}{{.message}}{{"\n"}}{{end}}{{end}}' 2>/dev/null)"
      return 0
    fi
    sleep 0.5
  done
  ok "Namespace $NAMESPACE is removed"
}

survivor() {
  bad "$1"
  printf '%s\n' "$2" | detail
  SURVIVED=yes
}

# --- the order of it all ---

main() {
  local before
  SURVIVED=
  before=$(first_argument)
  parse_arguments ${before:+"$before"} "$@"
  make_work_folder
  : >"$WORK/refused"
  if [ -n "$TAG" ]; then run_script_of_release ${before:+"$before"} "$@"; fi
  check_kubectl
  check_cluster
  find_operator
  check_rights
  if has_crd "$FENCES"; then
    save_fences
    has_crd "$BOOTS" && stop_controllers
    let_go_of_fences
    remove_fences
  fi
  if has_crd "$BOOTS"; then remove_boots; fi
  # Nothing to do when the operator has done it. Without SlimeBoots it finds what a SlimeBoot left that somebody let go.
  remove_what_boots_own
  if has_crd "$FENCES"; then
    # Those that a lazyload controller made meanwhile.
    remove_fences
    [ -n "$KEEP_FENCES" ] || ok 'ServiceFences and their Sidecars are gone'
  fi
  remove_operator
  remove_crd "$BOOTS"
  remove_crd "$FENCES"
  remove_namespace
  if [ -n "$SURVIVED" ]; then exit 4; fi
  if [ -s "$WORK/orphans" ]; then note 'Done, but for the orphans listed above.'; exit 4; fi
  echo 'Done: nothing is left.'
}

main "$@"
