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
