# --- the files that are applied: beside this script, of a named release, of the latest one ---

# The files that are applied: deploy.yaml and boot.yaml in $WORK. Sets TAG when it is looked up. No kubectl before this is done.
get_files() {
  local path
  [ -n "$TAG" ] || FOLDER=$(own_folder)
  if [ -z "$TAG" ] && [ -z "$FOLDER" ]; then
    echo 'No specified tag or commit. Use the latest tag.'
    find_latest_tag
  fi
  ok "${FOLDER:+Files beside this script: $FOLDER}${TAG:+Release $TAG}"
  for path in deploy/slimeboot.yaml deploy/slimeboot-before-1.30.yaml "samples/slimeboot_lazyload${PILOT:+_pilot}.yaml"; do
    if [ -n "$FOLDER" ]; then cp "$FOLDER/$path" "$WORK/" || exit 1; else fetch "$TAG" "$path" "$WORK/${path##*/}"; fi
  done
}

find_latest_tag() {
  local code
  need_curl
  code=$(download "$TAGS_URL" "$WORK/tags")
  case $code in
    200) TAG=$(tr ',{' '\n' <"$WORK/tags" | sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p' | head -1) ;;
    403 | 429)
      bad "$TAGS_URL: HTTP $code, the limit of requests without a login is used up."
      echo '    Name a release, which needs no look-up: easy_install_lazyload.sh v0.1.2. Or wait an hour.'
      exit 1 ;;
    *)
      bad "$TAGS_URL: $([ "$code" = 000 ] && cat "$WORK/curl" || echo "HTTP $code")"
      echo '    Name a release, which needs no look-up: easy_install_lazyload.sh v0.1.2. Or run this script from an unpacked release.'
      exit 1 ;;
  esac
  if [ -z "$TAG" ]; then
    bad "Failed to get the latest tag. Exited. ($TAGS_URL names none.)"
    echo '    Name a release or a commit: easy_install_lazyload.sh v0.1.2.'
    exit 1
  fi
  check_tag "$TAG"
}

prepare_files() {
  local deploy=$WORK/slimeboot.yaml move="s/^\( *namespace: \)$DEFAULT_NAMESPACE\$/\1$NAMESPACE/"
  if [ "$MINOR" -lt 30 ]; then
    deploy=$WORK/slimeboot-before-1.30.yaml
    note 'Kubernetes before 1.30 has no ValidatingAdmissionPolicy: SlimeBoots are honoured in the operator'\''s own namespace only.'
  fi
  sed -e "$move" -e "s/^  name: $DEFAULT_NAMESPACE\$/  name: $NAMESPACE/" "$deploy" >"$WORK/deploy.yaml"
  if [ "$FILE" = - ]; then cat >"$WORK/boot.yaml"
  elif [ -n "$FILE" ]; then cat "$FILE" >"$WORK/boot.yaml"
  elif [ "$NAMESPACE" = "$DEFAULT_NAMESPACE" ]; then cat "$WORK/slimeboot_lazyload${PILOT:+_pilot}.yaml" >"$WORK/boot.yaml"
  else sed -e "$move" -e "s/^spec:\$/&\\
  namespace: $NAMESPACE/" "$WORK/slimeboot_lazyload${PILOT:+_pilot}.yaml" >"$WORK/boot.yaml"
  fi
}

# Documents of standard input whose kind is (keep) or is not (drop) among the words that follow.
documents() {
  awk -v mode="$1" -v kinds=" ${*:2} " '
    function flush() { if (text != "" && (index(kinds, " " kind " ") > 0) == (mode == "keep")) printf "---\n%s", text; text = ""; kind = "" }
    /^---/ { flush(); next }
    { text = text $0 "\n" }
    /^kind: / { kind = $2 }
    END { flush() }'
}
