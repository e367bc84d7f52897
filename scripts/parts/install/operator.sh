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
