#!/usr/bin/env bash
# Removes lazyload, what SlimeBoots installed, the operator and its CustomResourceDefinitions. Needs bash (3.2 or newer) and kubectl.
# The names of the operator's objects are in this file (a test compares them with deploy/slimeboot.yaml), so nothing is fetched.
#
#   scripts/easy_uninstall_lazyload.sh
#   /bin/bash -c "$(curl -fsSL …/easy_uninstall_lazyload.sh)"
#
# docs/uninstall.md tells of each step. Everything is inside functions, so that a script that was cut off while loading does nothing.
#
# Made of scripts/parts/ by "npm run build": edit there.
set -uo pipefail
