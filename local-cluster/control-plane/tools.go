//go:build tools

package main

// istio.io/api is not compiled: its module carries Istio's CRDs
// (kubernetes/customresourcedefinitions.gen.yaml), at the version pinned in go.mod.
import _ "istio.io/api/networking/v1"
