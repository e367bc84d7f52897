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
