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
