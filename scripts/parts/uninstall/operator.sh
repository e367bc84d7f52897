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
