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
