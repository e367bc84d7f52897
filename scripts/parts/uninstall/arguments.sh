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
