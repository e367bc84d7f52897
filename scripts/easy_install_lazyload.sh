#!/usr/bin/env bash
# Installs the SlimeBoot operator and, through it, Slime lazyload. Needs bash (3.2 or newer), kubectl and, without a checkout, curl.
#
#   scripts/easy_install_lazyload.sh                    from a checkout or an unpacked release, without network
#   /bin/bash -c "$(curl -fsSL …/easy_install_lazyload.sh)" v0.1.2 --with-pilot
#
# docs/install.md tells of each step. Everything is inside functions, so that a script that was cut off while loading does nothing.
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

# --- arguments ---

# The list of tags, latest first; a mirror sets SLIMEBOOT_BASE_URL and SLIMEBOOT_TAGS_URL.
TAGS_URL=${SLIMEBOOT_TAGS_URL:-https://api.github.com/repos/slime-io/lazyload/tags}
TIMEOUT=300
DRY_RUN=
WAIT=yes
PILOT=
FILE=
TAG=
FOLDER=
MINOR=0

usage() {
  cat <<'USAGE'
Usage: easy_install_lazyload.sh [tag-or-commit] [options]

Installs the SlimeBoot operator and a SlimeBoot, and waits until lazyload works. Run again, it changes nothing that is right already.
A SlimeBoot that exists is left as it is unless -f gives another.

  tag-or-commit     install that release; without it the files beside this script, or the latest tag when there are none
  -f FILE           apply this SlimeBoot instead of samples/slimeboot_lazyload.yaml
  --with-pilot      apply samples/slimeboot_lazyload_pilot.yaml, the tutorial's shape with a pilot of its own
  --namespace NS    where the operator and the sample's modules run (default mesh-operator)
  --context NAME    context of the kubeconfig
  --timeout SECONDS how long to wait for the operator and for the SlimeBoot, each (default 300)
  --no-wait         apply and do not wait for Ready
  --dry-run         check everything, try what can be tried (--dry-run=server), change nothing
  -h, --help

Environment: SLIMEBOOT_BASE_URL and SLIMEBOOT_TAGS_URL name a mirror of the release files and of the list of tags.

Exit codes: 0 done; 1 the files could not be got or the cluster refused something; 2 wrong arguments;
3 something is missing and nothing was changed; 4 all is applied but not Ready in time.
USAGE
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      -f | --namespace | --context | --timeout) [ $# -gt 1 ] || usage_error "$1 needs a value." ;;
    esac
    case $1 in
      -f) FILE=$2; shift ;;
      --namespace) NAMESPACE=$2; shift ;;
      --context) CONTEXT=$2; shift ;;
      --timeout) TIMEOUT=${2%s}; shift ;;
      --with-pilot) PILOT=yes ;;
      --no-wait) WAIT= ;;
      --dry-run) DRY_RUN=yes ;;
      --) ;;
      -*) usage_error "Unknown option $1." ;;
      *) [ -z "$TAG" ] || usage_error "One tag or commit only, not \"$TAG\" and \"$1\"."; TAG=$1; check_tag "$TAG" ;;
    esac
    shift
  done
  case $TIMEOUT in '' | *[!0-9]*) usage_error '--timeout takes seconds.' ;; esac
  case $NAMESPACE in '' | *[!a-z0-9-]*) usage_error "\"$NAMESPACE\" is no name of a namespace." ;; esac
  [ -z "$FILE" ] || [ -z "$PILOT" ] || usage_error '-f and --with-pilot exclude each other.'
  [ -z "$FILE" ] || [ "$FILE" = - ] || [ -r "$FILE" ] || usage_error "$FILE cannot be read."
}

# --- the files that are applied: beside this script, of a named release, of the latest one ---

# The files that are applied: deploy.yaml and boot.yaml in $WORK. Sets TAG when it is looked up. No kubectl before this is done.
get_files() {
  local path
  [ -n "$TAG" ] || FOLDER=$(own_folder)
  if [ -z "$TAG" ] && [ -z "$FOLDER" ]; then
    echo 'No specified tag or commit. Use the latest tag.'
    find_latest_tag
  fi
  ok "${FOLDER:+Files beside this script: $FOLDER}${TAG:+Release $TAG}"
  for path in deploy/slimeboot.yaml deploy/slimeboot-before-1.30.yaml "samples/slimeboot_lazyload${PILOT:+_pilot}.yaml"; do
    if [ -n "$FOLDER" ]; then cp "$FOLDER/$path" "$WORK/" || exit 1; else fetch "$TAG" "$path" "$WORK/${path##*/}"; fi
  done
}

find_latest_tag() {
  local code
  need_curl
  code=$(download "$TAGS_URL" "$WORK/tags")
  case $code in
    200) TAG=$(tr ',{' '\n' <"$WORK/tags" | sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p' | head -1) ;;
    403 | 429)
      bad "$TAGS_URL: HTTP $code, the limit of requests without a login is used up."
      echo '    Name a release, which needs no look-up: easy_install_lazyload.sh v0.1.2. Or wait an hour.'
      exit 1 ;;
    *)
      bad "$TAGS_URL: $([ "$code" = 000 ] && cat "$WORK/curl" || echo "HTTP $code")"
      echo '    Name a release, which needs no look-up: easy_install_lazyload.sh v0.1.2. Or run this script from an unpacked release.'
      exit 1 ;;
  esac
  if [ -z "$TAG" ]; then
    bad "Failed to get the latest tag. Exited. ($TAGS_URL names none.)"
    echo '    Name a release or a commit: easy_install_lazyload.sh v0.1.2.'
    exit 1
  fi
  check_tag "$TAG"
}

prepare_files() {
  local deploy=$WORK/slimeboot.yaml move="s/^\( *namespace: \)$DEFAULT_NAMESPACE\$/\1$NAMESPACE/"
  if [ "$MINOR" -lt 30 ]; then
    deploy=$WORK/slimeboot-before-1.30.yaml
    note 'Kubernetes before 1.30 has no ValidatingAdmissionPolicy: SlimeBoots are honoured in the operator'\''s own namespace only.'
  fi
  sed -e "$move" -e "s/^  name: $DEFAULT_NAMESPACE\$/  name: $NAMESPACE/" "$deploy" >"$WORK/deploy.yaml"
  if [ "$FILE" = - ]; then cat >"$WORK/boot.yaml"
  elif [ -n "$FILE" ]; then cat "$FILE" >"$WORK/boot.yaml"
  elif [ "$NAMESPACE" = "$DEFAULT_NAMESPACE" ]; then cat "$WORK/slimeboot_lazyload${PILOT:+_pilot}.yaml" >"$WORK/boot.yaml"
  else sed -e "$move" -e "s/^spec:\$/&\\
  namespace: $NAMESPACE/" "$WORK/slimeboot_lazyload${PILOT:+_pilot}.yaml" >"$WORK/boot.yaml"
  fi
}

# Documents of standard input whose kind is (keep) or is not (drop) among the words that follow.
documents() {
  awk -v mode="$1" -v kinds=" ${*:2} " '
    function flush() { if (text != "" && (index(kinds, " " kind " ") > 0) == (mode == "keep")) printf "---\n%s", text; text = ""; kind = "" }
    /^---/ { flush(); next }
    { text = text $0 "\n" }
    /^kind: / { kind = $2 }
    END { flush() }'
}

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

# --- the operator ---

apply_operator() {
  local changed
  if [ -n "$DRY_RUN" ]; then
    if [ -n "$(namespace_phase)" ]; then
      k apply --server-side --force-conflicts --dry-run=server -f "$WORK/deploy.yaml" 2>"$WORK/error" | detail
    else
      documents keep Namespace CustomResourceDefinition ClusterRole ClusterRoleBinding ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding <"$WORK/deploy.yaml" |
        k apply --server-side --force-conflicts --dry-run=server -f - 2>"$WORK/error" | detail
      documents drop Namespace CustomResourceDefinition ClusterRole ClusterRoleBinding ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding <"$WORK/deploy.yaml" |
        awk -v ns="$NAMESPACE" '/^---/ { named = 0 } /^kind: / { kind = tolower($2) } /^  name: / && !named++ { print kind "/" $2 " would be created in namespace " ns " (not tried: there is no such namespace yet)" }' | detail
    fi
    # A binding's role cannot be changed: the installation makes it anew.
    grep -v '^The ClusterRoleBinding "slime-boot" is invalid: roleRef' "$WORK/error" >"$WORK/refused"
    [ ! -s "$WORK/refused" ] || { bad 'The operator would be refused:'; detail <"$WORK/refused"; exit 1; }
    ok 'Operator: would be applied as above'
    return 0
  fi
  changed=$(k apply --server-side --force-conflicts -f "$WORK/deploy.yaml" 2>"$WORK/error") || stopped 'The operator was not applied whole:'
  ok "Operator applied: $(printf '%s\n' "$changed" | wc -l | tr -d ' ') objects"
}

wait_for_crds() {
  local deadline=$((SECONDS + TIMEOUT)) crd
  for crd in slimeboots.config.netease.com servicefences.microservice.slime.io; do
    until [ "$(k get crd "$crd" -o 'go-template={{range .status.conditions}}{{if eq .type "Established"}}{{.status}}{{end}}{{end}}' 2>/dev/null)" = True ]; do
      [ "$SECONDS" -lt "$deadline" ] || stopped "CustomResourceDefinition $crd is not established after $TIMEOUT s." 4
      sleep 0.2
    done
  done
  ok 'CustomResourceDefinitions are served'
}

wait_for_operator() {
  local deadline=$((SECONDS + TIMEOUT)) said='' now
  until rolled_out; do
    now=$(pod_causes)
    if [ -n "$now" ] && [ "$now" != "$said" ]; then printf '%s\n' "$now" | detail; said=$now; fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      printf '%s\n' "${now:-See: kubectl describe pods -n $NAMESPACE -l name=slime-boot}" >"$WORK/error"
      stopped "The operator is not available after $TIMEOUT s:" 4
    fi
    sleep 1
  done
  ok 'Operator is available'
}

# All replicas are of this generation and available, and no other is left.
rolled_out() {
  local generation observed wanted updated available all
  read -r generation observed wanted updated available all <<<"$(k get deployment slime-boot -n "$NAMESPACE" -o "go-template={{.metadata.generation}} \
{{or .status.observedGeneration 0}} {{.spec.replicas}} {{or .status.updatedReplicas 0}} {{or .status.availableReplicas 0}} {{or .status.replicas 0}}" 2>/dev/null | tr '\n' ' ')"
  [ -n "$all" ] && [ "$observed" -ge "$generation" ] && [ "$updated" -ge "$wanted" ] && [ "$available" -ge "$wanted" ] && [ "$all" -le "$wanted" ]
}

# Why pods of the operator do not run: of each container that waits, of the scheduler, of a ReplicaSet that may not create pods.
pod_causes() {
  k get pods -n "$NAMESPACE" -l name=slime-boot -o "go-template={{range .items}}{{with .status}}\
{{range .conditions}}{{if and (eq .type \"PodScheduled\") (eq .status \"False\")}}Pod: {{.reason}}: {{.message}}{{\"\\n\"}}{{end}}{{end}}\
{{range .containerStatuses}}{{with .state.waiting}}{{if ne .reason \"ContainerCreating\"}}Pod: {{.reason}}{{with .message}}: {{.}}{{end}}{{\"\\n\"}}{{end}}{{end}}{{end}}\
{{end}}{{end}}" 2>/dev/null | sort -u
  k get deployment slime-boot -n "$NAMESPACE" -o "go-template={{range .status.conditions}}{{if eq .type \"ReplicaFailure\"}}{{.reason}}: {{.message}}{{\"\\n\"}}{{end}}{{end}}" 2>/dev/null
}

# Says what is there and how to go on or back.
stopped() {
  bad "$1"
  [ ! -s "$WORK/error" ] || detail <"$WORK/error"
  echo "    What was applied stays. To go on, mend the cause and run this again. To go back, run easy_uninstall_lazyload.sh."
  [ -z "${EARLIER-}" ] || echo "    The earlier operator ran as $EARLIER; applying its own manifest starts it again."
  exit "${2:-1}"
}

# --- the SlimeBoot ---

apply_slimeboot() {
  local exists=''
  if k get crd slimeboots.config.netease.com -o name >/dev/null 2>&1; then exists=$(k get slimeboot lazyload -n "$NAMESPACE" --ignore-not-found -o name 2>/dev/null)
  elif [ -n "$DRY_RUN" ]; then ok 'SlimeBoot: would be applied once its CustomResourceDefinition is there (not tried)'; return 0; fi
  if [ -n "$exists" ] && [ -z "$FILE" ]; then
    ok "SlimeBoot $NAMESPACE/lazyload exists and is left as it is (-f FILE applies another)"
    return 0
  fi
  if [ -n "$DRY_RUN" ]; then
    [ -n "$(namespace_phase)" ] || { ok 'SlimeBoot: would be applied once its namespace is there (not tried)'; return 0; }
    k apply --server-side --dry-run=server -n "$NAMESPACE" -f "$WORK/boot.yaml" 2>"$WORK/error" | detail
    [ ! -s "$WORK/error" ] || { bad 'The SlimeBoot would be refused:'; detail <"$WORK/error"; exit 1; }
    return 0
  fi
  k apply --server-side ${FILE:+--namespace="$NAMESPACE"} -f "$WORK/boot.yaml" >"$WORK/output" 2>"$WORK/error" || stopped 'The SlimeBoot was refused:'
  ok "SlimeBoot applied ($([ -n "$FILE" ] && echo "$FILE" || echo "samples/slimeboot_lazyload${PILOT:+_pilot}.yaml"))"
}

wait_for_slimeboots() {
  local deadline=$((SECONDS + TIMEOUT)) namespace name generation observed status reason message said=''
  k get -n "$NAMESPACE" -f "$WORK/boot.yaml" -o custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name --no-headers 2>/dev/null |
    awk '$1 == "SlimeBoot" { print $2, $3 }' >"$WORK/boots"
  printf '%s\n' "$TAKEN" >>"$WORK/boots"
  while read -r namespace name; do
    [ -n "$name" ] || continue
    while :; do
      read -r generation observed status reason message <<<"$(ready_of "$namespace" "$name")"
      if [ -z "$generation" ] && [ -z "$(k get slimeboot "$name" -n "$namespace" --ignore-not-found -o name 2>&1)" ]; then
        note "SlimeBoot $namespace/$name was deleted and is gone"
        continue 2
      fi
      # A condition of an earlier generation, or of the earlier operator, tells nothing.
      if [ -n "$generation" ] && [ "${observed:-none}" = "$generation" ]; then
        [ "$status" != True ] || break
        if [ "$reason: $message" != "$said" ]; then said="$reason: $message"; printf '%s\n' "$said" | tr "$LINE_END" '\n' | detail; fi
        case $reason in InvalidSpec | RenderFailed | NoRole) deadline=$SECONDS ;; esac
      fi
      if [ "$SECONDS" -ge "$deadline" ]; then
        printf '%s\n' "${said:-The operator has not said anything about it: kubectl logs -n $NAMESPACE deployment/slime-boot}" | tr "$LINE_END" '\n' >"$WORK/error"
        stopped "SlimeBoot $namespace/$name is not Ready:" 4
      fi
      sleep 1
    done
    ok "SlimeBoot $namespace/$name is Ready: ${message%%"$LINE_END"*}"
    case $message in *"$LINE_END"*) printf '%s\n' "${message#*"$LINE_END"}" | tr "$LINE_END" '\n' | detail ;; esac
  done < <(sort -u "$WORK/boots")
}

# Stands for the end of a line in a message that is read as one line.
LINE_END=$'\037'

# generation, then of condition Ready: observedGeneration, status, reason, message on one line.
ready_of() {
  k get slimeboot "$2" -n "$1" -o 'go-template={{.metadata.generation}}{{with .status}}{{range .conditions}}{{if eq .type "Ready"}} {{or .observedGeneration 0}} {{.status}} {{.reason}} {{.message}}{{end}}{{end}}{{end}}' 2>/dev/null | tr '\n' "$LINE_END"
}

# --- the order of it all ---

main() {
  local before
  before=$(first_argument)
  parse_arguments ${before:+"$before"} "$@"
  make_work_folder
  get_files
  check_kubectl
  check_cluster
  prepare_files
  check_istio
  check_namespace
  check_rights
  look_for_earlier_operator
  if [ -n "$DRY_RUN" ]; then
    apply_operator
    apply_slimeboot
    echo 'Dry run: nothing was changed.'
    return 0
  fi
  stop_earlier_operator
  apply_operator
  wait_for_crds
  if [ -z "$WAIT" ]; then
    apply_slimeboot
    echo "Not waiting. See: kubectl get slimeboot -n $NAMESPACE"
    return 0
  fi
  wait_for_operator
  apply_slimeboot
  wait_for_slimeboots
  remove_release_secrets
  echo "Done. Now switch lazyload on for a Service: docs/install.md. Look at it: kubectl get slimeboot -n $NAMESPACE"
}

main "$@"
