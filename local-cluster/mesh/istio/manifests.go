package main

import (
	"fmt"

	"istio.io/istio/operator/pkg/render"
)

// manifests prints what `istioctl manifest generate --set A --set B` does.
func manifests(settings []string) error {
	sets, _, err := render.GenerateManifest(nil, settings, false, nil, nil)
	if err != nil {
		return err
	}
	for _, set := range sets {
		for _, manifest := range set.Manifests {
			fmt.Printf("---\n%s\n", manifest.Content)
		}
	}
	return nil
}
