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
