# --- the order of it all ---

main() {
  local before
  SURVIVED=
  before=$(first_argument)
  parse_arguments ${before:+"$before"} "$@"
  make_work_folder
  : >"$WORK/refused"
  if [ -n "$TAG" ]; then run_script_of_release ${before:+"$before"} "$@"; fi
  check_kubectl
  check_cluster
  find_operator
  check_rights
  if has_crd "$FENCES"; then
    save_fences
    has_crd "$BOOTS" && stop_controllers
    let_go_of_fences
    remove_fences
  fi
  if has_crd "$BOOTS"; then remove_boots; fi
  # Nothing to do when the operator has done it. Without SlimeBoots it finds what a SlimeBoot left that somebody let go.
  remove_what_boots_own
  if has_crd "$FENCES"; then
    # Those that a lazyload controller made meanwhile.
    remove_fences
    [ -n "$KEEP_FENCES" ] || ok 'ServiceFences and their Sidecars are gone'
  fi
  remove_operator
  remove_crd "$BOOTS"
  remove_crd "$FENCES"
  remove_namespace
  if [ -n "$SURVIVED" ]; then exit 4; fi
  if [ -s "$WORK/orphans" ]; then note 'Done, but for the orphans listed above.'; exit 4; fi
  echo 'Done: nothing is left.'
}

main "$@"
