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
