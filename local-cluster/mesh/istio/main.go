// Command istio is Istio's control plane, the agent of its sidecars and its
// installation manifests in one binary; the name by which it is called, or
// else the first argument, picks the part. It exists for the mesh of the
// tests, where no container engine and no downloaded release is needed.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	meshconfig "istio.io/api/mesh/v1alpha1"
	agent "istio.io/istio/pilot/cmd/pilot-agent/app"
	discovery "istio.io/istio/pilot/cmd/pilot-discovery/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func main() {
	part := filepath.Base(os.Args[0])
	if part != "pilot-discovery" && part != "pilot-agent" && len(os.Args) > 1 {
		part = os.Args[1]
		os.Args = os.Args[1:]
	}
	var err error
	switch part {
	case "pilot-discovery":
		err = run(discovery.NewRootCommand())
	case "pilot-agent":
		// Istio's init container; it wants the programs of iptables, redirect does not.
		if len(os.Args) > 1 && os.Args[1] == "istio-iptables" {
			err = redirect(os.Args[2:])
			break
		}
		err = run(agent.NewRootCommand(newSDSServer))
	case "manifests":
		err = manifests(os.Args[1:])
	default:
		err = fmt.Errorf("unknown part %q; there are pilot-discovery, pilot-agent and manifests", part)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", part, err)
		os.Exit(1)
	}
}

func run(command *cobra.Command) error {
	log.EnableKlogWithCobra()
	command.SilenceErrors = true
	return command.Execute()
}

func newSDSServer(options *security.Options, secrets security.SecretManager, keys *meshconfig.PrivateKeyProvider) istioagent.SDSService {
	return sds.NewServer(options, secrets, keys)
}
