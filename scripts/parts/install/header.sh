#!/usr/bin/env bash
# Installs the SlimeBoot operator and, through it, Slime lazyload. Needs bash (3.2 or newer), kubectl and, without a checkout, curl.
#
#   scripts/easy_install_lazyload.sh                    from a checkout or an unpacked release, without network
#   /bin/bash -c "$(curl -fsSL …/easy_install_lazyload.sh)" v0.1.2 --with-pilot
#
# docs/install.md tells of each step. Everything is inside functions, so that a script that was cut off while loading does nothing.
#
# Made of scripts/parts/ by "npm run build": edit there.
set -uo pipefail
